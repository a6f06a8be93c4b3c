#pragma once
/// \file
/// How far a pair is from the average product of the clients' pairs. Internal.

#include "fedrunner/lora_rules/lora_rule.h"

namespace strata::fedrunner {

/// ‖Σ share · Bᵢ Aᵢ − B A‖ / ‖Σ share · Bᵢ Aᵢ‖ by Frobenius norms; 0 where the denominator is. No
/// product is formed: O((in + out) (k r)²) for k clients' pairs of rank r.
double drift(const PairUploads& uploads, const torch::Tensor& a, const torch::Tensor& b);

/// ‖left · right‖ of matrices given by their columns (out × m in all) and rows (m × in).
double product_norm(const std::vector<torch::Tensor>& left,
                    const std::vector<torch::Tensor>& right);

}  // namespace strata::fedrunner
