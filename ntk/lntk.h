#pragma once
/// \file
/// The layerwise neural tangent kernel and the loss-gradient Gram matrix of every unit. Internal
/// (LibTorch types show). Equations and costs: docs/lntk.md.

#include "models/torch.h"

#include <functional>
#include <string>
#include <vector>

#include "models/transformer.h"

namespace strata {

/// Which outputs are differentiated.
enum class NtkOutputs {
  kLogits,  ///< the K logits: rows (i, k) = i·K + k, Θ is n·K × n·K
  kLoss,    ///< each sample's cross-entropy: rows i, Θ is n × n
};

/// Calls `visit(unit, Θ)` for every named unit, top to bottom; Θ is double on the CPU. One forward
/// pass and one backward sweep of K (or 1) gradients from unit to unit: memory for gradients is
/// bounded by one unit's.
void visit_unit_grams(
    const Transformer& model, const Batch& batch, const std::vector<std::string>& units,
    NtkOutputs outputs,
    const std::function<void(const std::string& unit, const torch::Tensor& gram)>& visit);

}  // namespace strata
