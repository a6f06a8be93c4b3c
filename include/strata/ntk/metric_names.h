#pragma once
/// \file
/// The importance metrics by name. Apart from the scorer itself, so that programs without LibTorch can
/// list and check them.

#include <string>
#include <vector>

namespace strata {

/// The metrics, in the order of --help:
///   lntk       λ₁(Θˡ), Θˡ = JˡJˡᵀ, Jˡ = ∂(all n·K logits)/∂(unit l's weights)  (F3OCUS, arXiv 2411.11912)
///   gradient   λ₁ of the n × n Gram matrix of the per-sample loss gradients of unit l
///   magnitude  mean |w| over the unit's weights
///   random     uniform in (0, 1], drawn from the seed
///   first      L − l for unit l of L, bottom to top: top-k selects the first k
///   last       l + 1: top-k selects the last k
const std::vector<std::string>& metric_names();

}  // namespace strata
