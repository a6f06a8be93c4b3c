#include "models/architectures/masks.h"

#include <limits>

namespace strata::models {

using torch::Tensor;

Tensor causal(std::int64_t rows, std::int64_t tokens, const torch::Device& device) {
  const Tensor place = torch::arange(tokens, torch::dtype(torch::kLong).device(device));
  return place.view({1, 1, tokens}) <= place.narrow(0, tokens - rows, rows).view({1, rows, 1});
}

Tensor of_own_text(const Tensor& continuations, std::int64_t rows) {
  const std::int64_t tokens = continuations.size(1);
  const Tensor of = continuations.unsqueeze(1);
  return (of == 0).logical_or(of == continuations.narrow(1, tokens - rows, rows).unsqueeze(2));
}

Tensor counted_tokens(const Tensor& attended, const Tensor& continuations) {
  if (!continuations.defined()) return attended.to(torch::kLong).cumsum(1);
  const std::int64_t tokens = attended.size(1);
  const Tensor seen = causal(tokens, tokens, attended.device())
                          .logical_and(of_own_text(continuations, tokens))
                          .logical_and(attended.unsqueeze(1) > 0);
  return seen.sum(2);
}

Tensor continuations_of(const Tensor& continuations, std::int64_t tokens) {
  if (!continuations.defined()) return continuations;
  const std::int64_t more = tokens - continuations.size(1);
  if (more <= 0) return continuations.narrow(1, -more, tokens);
  return torch::cat(
      {torch::zeros({continuations.size(0), more}, continuations.options()), continuations}, 1);
}

Tensor added_mask(const Tensor& seen, torch::ScalarType type) {
  const double lowest = type == torch::kDouble ? std::numeric_limits<double>::lowest()
                                               : std::numeric_limits<float>::lowest();
  return torch::zeros(seen.sizes(), seen.options().dtype(type)).masked_fill_(~seen, lowest);
}

}  // namespace strata::models
