#include "models/architectures/connector.h"

namespace strata::models {

void Connector::declare(LayerList& list) const {
  std::int64_t in = config_.in;
  for (const std::vector<std::string>& names : names_) {
    Layer& layer = list.add_linear(names.front(), config_.out, in,
                                   {Init::Kind::kNormal, config_.initializer_range}, config_.bias);
    layer.aliases.assign(names.begin() + 1, names.end());
    in = config_.out;
  }
}

torch::Tensor Connector::run(const torch::Tensor& rows, Pass& pass) const {
  torch::Tensor x = pass.linear(names_.front().front(), rows);
  if (!config_.activation) return x;
  return pass.linear(names_.back().front(), pass.activation(*config_.activation, x));
}

}  // namespace strata::models
