#include "models/capture.h"

#include "models/rms_norm.h"

namespace strata::models {

using torch::Tensor;

namespace {

/// Images have their channels in the second dimension, rows in the last.
Tensor channels_last(const Tensor& images) {
  return images.permute({0, 2, 3, 1});
}
Tensor channels_second(const Tensor& rows) {
  return rows.permute({0, 3, 1, 2});
}

}  // namespace

Tensor CapturedOp::rows() const {
  if (!window) return input;
  const auto [size, stride, padding] = *window;
  const Tensor padded =
      padding > 0 ? torch::constant_pad_nd(input, {padding, padding, padding, padding}) : input;
  return padded.unfold(2, size, stride)
      .unfold(3, size, stride)
      .permute({0, 2, 3, 1, 4, 5})
      .reshape({input.size(0), -1, row_width()});
}

std::int64_t CapturedOp::row_width() const {
  return window ? input.size(1) * window->size * window->size : input.size(-1);
}

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

Tensor CapturingPass::run_rms_norm(const Layer& layer, const Tensor& input, double eps,
                                   double offset) {
  const std::string& gamma = layer.weight()->name;
  if (!wants(gamma)) return Pass::run_rms_norm(layer, input, eps, offset);
  const Tensor scale = weight(gamma);
  const Tensor normalised =
      models::rms_norm(input.to(scale.scalar_type()), torch::ones_like(scale), eps);
  return record(CapturedOp::Kind::kNorm, gamma, "", normalised, normalised * (scale + offset));
}

Tensor CapturingPass::each(const std::string& parameter) {
  if (!wants(parameter)) return Pass::each(parameter);
  std::vector<std::int64_t> shape = {samples_};
  const Tensor one = weight(parameter);
  shape.insert(shape.end(), one.sizes().begin(), one.sizes().end());
  return record(CapturedOp::Kind::kAdded, parameter, "", Tensor(),
                one.unsqueeze(0).expand(shape).contiguous());
}

Tensor CapturingPass::run_scale(const Layer& layer, const Tensor& input) {
  const bool maps = input.dim() == 4;
  const std::string bias = layer.bias() ? layer.bias()->name : "";
  const Tensor output = Pass::run_scale(layer, input);
  const Tensor rows =
      record(CapturedOp::Kind::kNorm, layer.weight()->name, bias,
             maps ? channels_last(input) : input, maps ? channels_last(output) : output);
  return maps ? channels_second(rows) : rows;
}

Tensor CapturingPass::run_convolution(const Layer& layer, const Tensor& input) {
  const Parameter* bias = layer.bias();
  const std::string &name = layer.weight()->name, bias_name = bias ? bias->name : "";
  const Tensor output = Pass::run_convolution(layer, input);
  if (!wants(name) && !wants(bias_name)) return output;
  const Tensor rows =
      record(CapturedOp::Kind::kLinear, name, bias_name, input, channels_last(output));
  ops_.back().window = Window{layer.weight()->shape.back(), layer.stride, layer.padding};
  return channels_second(rows);
}

Tensor CapturingPass::run_batch_norm(const Layer& layer, const Tensor& input, double eps) {
  const std::string &gamma = layer.weight()->name, &beta = layer.bias()->name;
  if (!wants(gamma) && !wants(beta)) return Pass::run_batch_norm(layer, input, eps);
  if (!wants(gamma)) {
    const Tensor output = Pass::run_batch_norm(layer, input, eps);
    return channels_second(
        record(CapturedOp::Kind::kNorm, gamma, beta, Tensor(), channels_last(output)));
  }
  const Tensor scale = running_scale(layer, eps);
  const Tensor normalised =
      channels_last((input.to(scale.scalar_type()) - running_mean(layer)) * scale);
  return channels_second(record(CapturedOp::Kind::kNorm, gamma, beta, normalised,
                                normalised * weight(gamma) + weight(beta)));
}

Tensor CapturingPass::used(Use use, const std::string& parameter, const Tensor& input,
                           Tensor output) {
  // As that of a linear layer whose weight nobody asked for.
  if (use == Use::kBias)
    return record(CapturedOp::Kind::kLinear, "", parameter, Tensor(), std::move(output));
  const auto kind = use == Use::kEmbedding ? CapturedOp::Kind::kEmbedding
                    : use == Use::kMixture ? CapturedOp::Kind::kMixture
                    : use == Use::kScaled  ? CapturedOp::Kind::kNorm
                                           : CapturedOp::Kind::kAdded;
  return record(kind, parameter, "", input, std::move(output));
}

}  // namespace strata::models
