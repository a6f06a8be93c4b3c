#pragma once
/// \file
/// The layerwise neural tangent kernel and the loss-gradient Gram matrix of all units at once, and
/// their largest eigenvalues. Internal (LibTorch types show). Equations and costs: docs/lntk.md.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "models/model.h"
#include "models/torch.h"
#include "ntk/eigenvalues.h"
#include "strata/ntk/score.h"
#include "tasks/task.h"

namespace strata::ntk {

/// Which outputs are differentiated.
enum class NtkOutputs {
  kOutputs,  ///< the task's K, or those of `output_subset`: rows (i, k) = i·K + k, Θ is n·K × n·K
  kLoss,     ///< each sample's loss: rows i, Θ is n × n (K = 1)
};

/// How a unit's eigenvalues are found.
enum class NtkMethod {
  kAutomatic,  ///< whichever of the two costs less (docs/lntk.md), within the memory
  kGram,       ///< Θ itself, then its eigenvalues
  kLanczos,    ///< block Lanczos on Jˡ(Jˡᵀ V), without Θ; units within one stage only
};

struct LntkOptions {
  NtkOutputs outputs = NtkOutputs::kOutputs;
  std::vector<std::int64_t> output_subset;  ///< outputs to differentiate; empty: all
  int top = 1;                              ///< m: how many of the largest eigenvalues
  bool trace = false;                       ///< the trace also where Θ is not formed
  /// Bytes beyond the model, the batch and one stage's activations. Operations are taken in as many
  /// groups as it asks for, each with K backward passes through its stage: less memory costs time.
  std::int64_t memory_bytes = std::int64_t{4} << 30;
  NtkMethod method = NtkMethod::kAutomatic;
  std::uint64_t seed = 1;  ///< of the solvers' starts
  int parallel = 1;        ///< samples whose products may be formed at a time; changes no result
  /// Called before each stage, from the top down: how many are done of how many, and its name.
  std::function<void(std::int64_t done, std::int64_t total, const std::string& stage)> progress;
};

struct UnitSpectrum {
  std::string unit;
  Spectrum spectrum;
  double trace = 0;  ///< NaN where it was not asked for and Θ not formed
  NtkMethod method = NtkMethod::kGram;
};

/// The spectra of `units` (any lists of weights; they may overlap and leave weights out, which
/// count as frozen), in their order.
///
/// One forward pass keeps the input of every stage. From the top down each stage is run again with
/// its operations captured, and K calls of autograd bring their δ's and the gradients of the
/// stage's input: the K backward passes are shared by all units, and at any time one stage's
/// captures are held.
/// @throws InputError: a unit without weights (it has no trainable parameter); WorkError:
/// activations that are not finite (it names the stage), or a memory limit below what one column of
/// one operation's δ needs (it names the least one).
std::vector<UnitSpectrum> layerwise_spectra(const models::Model& model, const tasks::Task& task,
                                            const models::Batch& batch,
                                            const std::vector<Unit>& units,
                                            const LntkOptions& options);

/// Calls `visit(unit, Θ)` for every unit whose Θ is complete, from the top down; Θ is double on the
/// CPU (n·K, n·K). The kernels themselves, for tests and for other uses than eigenvalues.
void visit_unit_grams(
    const models::Model& model, const tasks::Task& task, const models::Batch& batch,
    const std::vector<Unit>& units, const LntkOptions& options,
    const std::function<void(const std::string& unit, const torch::Tensor& gram)>& visit);

/// @throws WorkError naming the lowest stage whose output for the batch is not finite.
void check_activations(const models::Model& model, const models::Batch& batch);

/// What layerwise_spectra would take with `samples` samples like those of a small batch; the time
/// from a sweep and a matrix product timed on this machine.
ScoreEstimate estimate_spectra(const models::Model& model, const tasks::Task& task,
                               const models::Batch& small_batch, std::int64_t samples,
                               const std::vector<Unit>& units, const LntkOptions& options);

}  // namespace strata::ntk
