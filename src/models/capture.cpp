#include "models/capture.h"

namespace strata::models {

using torch::Tensor;

Tensor CapturingPass::stored(const std::string& parameter) {
  return Pass::stored(parameter).detach();
}

Tensor CapturingPass::record(CapturedOp::Kind kind, const std::string& weight,
                             const std::string& bias, const Tensor& input, Tensor output) {
  const bool with_weight = wants(weight), with_bias = wants(bias);
  if (!with_weight && !with_bias) return output;
  if (!output.requires_grad()) output = output.detach().requires_grad_(true);
  ops_.push_back({kind, with_weight ? weight : "", with_bias ? bias : "",
                  with_weight && input.defined() ? input.detach() : Tensor(), output});
  return output;
}

Tensor CapturingPass::run_linear(const Layer& layer, const Tensor& input) {
  const Parameter* bias = layer.bias();
  return record(CapturedOp::Kind::kLinear, layer.weight()->name, bias ? bias->name : "", input,
                Pass::run_linear(layer, input));
}

Tensor CapturingPass::run_layer_norm(const Layer& layer, const Tensor& input, double eps) {
  const std::string &gamma = layer.weight()->name, &beta = layer.bias()->name;
  Tensor normalised, output;
  if (wants(gamma)) {
    const Tensor scale = weight(gamma);
    normalised = torch::layer_norm(input.to(scale.scalar_type()), {input.size(-1)}, {}, {}, eps);
    output = normalised * scale + weight(beta);
  } else {
    output = Pass::run_layer_norm(layer, input, eps);
  }
  return record(CapturedOp::Kind::kNorm, gamma, beta, normalised, output);
}

Tensor CapturingPass::used(Use use, const std::string& parameter, const Tensor& input,
                           Tensor output) {
  const auto kind = use == Use::kEmbedding ? CapturedOp::Kind::kEmbedding
                    : use == Use::kMixture ? CapturedOp::Kind::kMixture
                                           : CapturedOp::Kind::kAdded;
  return record(kind, parameter, "", input, std::move(output));
}

}  // namespace strata::models
