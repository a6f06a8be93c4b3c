#include "models/architectures/masks.h"

#include <limits>

namespace strata::models {

using torch::Tensor;

Tensor causal(std::int64_t rows, std::int64_t tokens, const torch::Device& device) {
  const Tensor place = torch::arange(tokens, torch::dtype(torch::kLong).device(device));
  return place.view({1, 1, tokens}) <= place.narrow(0, tokens - rows, rows).view({1, rows, 1});
}

Tensor added_mask(const Tensor& seen, torch::ScalarType type) {
  const double lowest = type == torch::kDouble ? std::numeric_limits<double>::lowest()
                                               : std::numeric_limits<float>::lowest();
  return torch::zeros(seen.sizes(), seen.options().dtype(type)).masked_fill_(~seen, lowest);
}

}  // namespace strata::models
