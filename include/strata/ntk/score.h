#pragma once
/// \file
/// Importance of a model's units for one client: layerwise NTK eigenvalues and the baselines.

#include <cstdint>
#include <string>
#include <vector>

#include "strata/ntk/metric_names.h"

namespace strata {

class Transformer;  // src/models/transformer.h
class VqaTensors;   // src/models/vqa_tensors.h

struct ScoreOptions {
  std::string metric = "lntk";
  int samples = 32;        ///< n; a client with fewer uses all it has
  std::uint64_t seed = 1;  ///< which samples; and the random metric
};

/// One unit's value with its certificate.
struct UnitScore {
  double value = 0;     ///< λ₁ or the metric's value, ≥ 0
  double residual = 0;  ///< ‖Θv − λv‖ / λ for eigenvalues, 0 for other metrics
};

/// Scores `units` (names, in order) for one client's data; its samples are drawn without
/// replacement from `seed`. lntk and gradient (docs/lntk.md) cost one forward pass, K (or 1)
/// backward passes over n samples without weight gradients, and about n²K² · parameters
/// multiply-adds in matrix products. Memory: activations of the n samples, one unit's K gradients
/// of its captured outputs, one block of the Jacobian (at most 256 MiB) and one n·K × n·K matrix of
/// doubles.
/// @throws InputError: no samples, an unknown metric or unit; WorkError: a value that is not finite
/// (it names the unit).
std::vector<UnitScore> score_units(const Transformer& model, const VqaTensors& data,
                                   const std::vector<std::string>& units,
                                   const ScoreOptions& options);

}  // namespace strata
