#include <algorithm>
#include <cmath>

#include "fedrunner/lora_rules/lora_rules.h"

namespace strata::fedrunner {
namespace {

using torch::Tensor;

/// Ranks that add up to less than the pair's leave rows of A as they were, over columns of B that
/// are 0: the product is the same, and whoever has them trains them.
Tensor completed_a(const Tensor& a, const Tensor& before) {
  const std::int64_t missing = before.size(0) - a.size(0);
  return missing == 0 ? a : torch::cat({a, before.narrow(0, a.size(0), missing)}, 0);
}
Tensor completed_b(const Tensor& b, std::int64_t rank) {
  const std::int64_t missing = rank - b.size(1);
  return missing == 0 ? b : torch::cat({b, torch::zeros({b.size(0), missing}, b.options())}, 1);
}

/// The product is never formed: with B̂ = [p₁B₁ …] = Q₁R₁ and Â = [A₁; …] = R₂ᵀQ₂ᵀ, it is B̂ Â = Q₁
/// (R₁ R₂ᵀ) Q₂ᵀ.
MergedPair merged_by_product(const PairUploads& uploads) {
  // As it is, a pair's best part of a smaller rank is not its first rows and columns.
  if (uploads.shares.size() == 1 && !uploads.cut) return {uploads.mean_a, uploads.mean_b};
  double squares = 0, rows = 0;
  std::vector<Tensor> left, right;
  for (const auto& [a, b, share] : uploads.shares) {
    left.push_back(b * share);
    right.push_back(a);
    squares += a.square().sum().item<double>();
    rows += static_cast<double>(a.size(0));
  }
  const auto [q1, r1] = torch::linalg_qr(torch::cat(left, 1));
  const auto [q2, r2] = torch::linalg_qr(torch::cat(right, 0).t());
  const auto [u, s, vh] = torch::linalg_svd(torch::matmul(r1, r2.t()), false);
  const std::int64_t rank = std::min(uploads.before_a.size(0), s.size(0));
  // Where every A is 0, so is the product, whatever the scale.
  const double scale = squares > 0 ? std::sqrt(squares / rows) : 1;
  const double energy = s.square().sum().item<double>();
  const double away = s.narrow(0, rank, s.size(0) - rank).square().sum().item<double>();
  const Tensor a = torch::matmul(vh, q2.t()).narrow(0, 0, rank) * scale;
  const Tensor b = (torch::matmul(q1, u) * s).narrow(1, 0, rank) / scale;
  return {completed_a(a, uploads.before_a), completed_b(b, uploads.before_a.size(0)),
          energy > 0 ? away / energy : 0};
}

}  // namespace

LoraRule product_rule() {
  return {
      .value = LoraAverage::kProduct, .merge = merged_by_product, .loss = "cut", .any_ranks = true};
}

}  // namespace strata::fedrunner
