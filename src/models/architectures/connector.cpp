#include "models/architectures/connector.h"

namespace strata::models {
namespace {

/// Patches (n·grid², width), row by row, as squares (n·(grid/side)², side²·width), row by row.
torch::Tensor squares(const torch::Tensor& rows, std::int64_t grid, std::int64_t side) {
  const std::int64_t width = rows.size(1);
  return rows.view({-1, grid / side, side, grid / side, side, width})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({-1, side * side * width});
}

}  // namespace

void Connector::declare(LayerList& list) const {
  std::int64_t in = config_.in * config_.shuffle * config_.shuffle;
  for (const std::vector<std::string>& names : names_) {
    Layer& layer = list.add_linear(names.front(), config_.out, in,
                                   {Init::Kind::kNormal, config_.initializer_range}, config_.bias);
    layer.aliases.assign(names.begin() + 1, names.end());
    in = config_.out;
  }
}

torch::Tensor Connector::run(const torch::Tensor& rows, Pass& pass) const {
  const torch::Tensor read =
      config_.shuffle == 1 ? rows : squares(rows, config_.grid, config_.shuffle);
  torch::Tensor x = pass.linear(names_.front().front(), read);
  if (!config_.activation) return x;
  return pass.linear(names_.back().front(), pass.activation(*config_.activation, x));
}

}  // namespace strata::models
