#include "models/attention.h"

#include <cmath>

namespace strata {

torch::Tensor attention(const torch::Tensor& query, const torch::Tensor& key,
                        const torch::Tensor& value, const torch::Tensor& mask, std::int64_t heads,
                        double dropout) {
  const std::int64_t n = mask.size(0), width = query.size(1), size = width / heads;
  const auto split = [&](const torch::Tensor& rows) {
    return rows.view({n, -1, heads, size}).transpose(1, 2);
  };
  const double scale = 1 / std::sqrt(static_cast<double>(size));
  const torch::Tensor scores =
      torch::matmul(split(query * scale), split(key).transpose(2, 3)) + mask.view({n, 1, 1, -1});
  torch::Tensor weights = torch::softmax(scores, -1);
  if (dropout > 0) weights = torch::dropout(weights, dropout, true);
  return torch::matmul(weights, split(value)).transpose(1, 2).reshape({-1, width});
}

}  // namespace strata
