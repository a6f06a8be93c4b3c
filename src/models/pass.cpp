#include "models/pass.h"

#include "models/attention.h"
#include "models/dropout.h"
#include "models/short_weights.h"

namespace strata::models {

using torch::Tensor;

Tensor Pass::stored(const std::string& parameter) {
  return weights_.at(parameter);
}

Tensor Pass::weight(const std::string& parameter) {
  return computable(stored(parameter));
}

Tensor Pass::lookup(const std::string& parameter, const Tensor& ids) {
  return computable(torch::embedding(stored(parameter), ids));
}

Tensor Pass::with_attachments(const Layer& layer, const Tensor& input, Tensor output) {
  // What an attachment has put there itself is not attached to.
  if (!layer.method.empty()) return output;
  for (const auto& attachment : blueprint_.attachments())
    output = attachment->after(layer, input, output, *this);
  return output;
}

Tensor Pass::linear(const std::string& name, const Tensor& input) {
  const Layer& layer = blueprint_.layer(name);
  return with_attachments(layer, input, run_linear(layer, input));
}

Tensor Pass::run_linear(const Layer& layer, const Tensor& input) {
  const Tensor matrix = stored(layer.weight()->name).flatten(1);
  const Tensor bias = layer.bias() ? weight(layer.bias()->name) : Tensor();
  return is_short(matrix) ? short_linear(input, matrix, bias) : torch::linear(input, matrix, bias);
}

Tensor Pass::layer_norm(const std::string& name, const Tensor& input, double eps) {
  const Layer& layer = blueprint_.layer(name);
  return with_attachments(layer, input, run_layer_norm(layer, input, eps));
}

Tensor Pass::run_layer_norm(const Layer& layer, const Tensor& input, double eps) {
  const Tensor gamma = weight(layer.weight()->name), beta = weight(layer.bias()->name);
  // Autocast leaves the type to us on the CPU.
  return torch::layer_norm(input.to(gamma.scalar_type()), {input.size(-1)}, gamma, beta, eps);
}

Tensor Pass::attention(const Tensor& query, const Tensor& key, const Tensor& value,
                       const Tensor& mask, std::int64_t heads, double dropout) {
  return models::attention(query, key, value, mask, heads, dropout, generator_);
}

Tensor Pass::activation(Activation kind, const Tensor& input) {
  switch (kind) {
    case Activation::kGelu:
      return torch::gelu(input);
    case Activation::kRelu:
      return torch::relu(input);
    default:
      return torch::tanh(input);
  }
}

Tensor Pass::dropout(const Tensor& input, double probability) const {
  return generator_ && probability > 0 ? models::dropout(input, probability, *generator_) : input;
}

Tensor Pass::sequence(const std::string& layer, const Tensor& rows) {
  return with_attachments(blueprint_.layer(layer), rows, rows);
}

Tensor Pass::block_end(const std::string& layer, const Tensor& rows) {
  return with_attachments(blueprint_.layer(layer), rows, rows);
}

Tensor Pass::used(Use, const std::string&, const Tensor&, Tensor output) {
  return output;
}

bool Pass::wants(const std::string&) const {
  return false;
}

}  // namespace strata::models
