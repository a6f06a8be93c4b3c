#pragma once
/// \file
/// The importance metrics by name. Apart from the scorer itself, so that programs without LibTorch
/// can list and check them.

#include <string>
#include <vector>

namespace strata::ntk {

/// The metrics, in the order of --help. Equations, sources and costs: docs/importance.md.
///
/// - lntk: λ₁(Θˡ), Θˡ = JˡJˡᵀ, Jˡ = ∂(all n·K logits)/∂(unit l's weights) (F3OCUS, arXiv
/// 2411.11912)
/// - gradient: λ₁ of the n × n Gram matrix of the per-sample loss gradients of unit l
/// - trace: tr Θˡ
/// - grad_norm: squared norm of the mean loss' gradient
/// - rgn: norm of that gradient over norm of the weights
/// - snr: squared mean over variance of the per-sample gradients, averaged over the weights
/// - magnitude: mean |w|
/// - snip: Σ |g w|
/// - grasp: |Σ w (Hg)|
/// - gradflow: Σ |w (Hg)|
/// - synflow: Σ |w ∂R/∂|w||, without data
/// - fisher: mean over the samples of the squared norm of the gradient
/// - random: uniform in (0, 1], drawn from the seed
/// - first: L − l for unit l of L, bottom to top: top-k selects the first k
/// - last: l + 1: top-k selects the last k
/// \code
/// assert(metric_names().front() == "lntk");
/// \endcode
const std::vector<std::string>& metric_names();

}  // namespace strata::ntk
