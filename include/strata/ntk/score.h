#pragma once
/// \file
/// Importance of a model's units for one client: layerwise NTK eigenvalues and other measures.
/// \code
/// // `model` is a models::Model; `dataset` holds the client's examples as its task encodes them.
/// const std::vector<UnitScore> scores =
///     score_units(model, *dataset, model.units(), {.samples = 4});
/// assert(scores.size() == model.units().size());
/// assert(scores[0].ok() && scores[0].value > 0 && scores[0].residual < 1e-4);
/// \endcode

#include <Eigen/Core>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "strata/core/unit.h"
#include "strata/ntk/metric_names.h"
#include "strata/ntk/metric_table.h"

namespace strata::models {
class Model;   // src/models/model.h
struct Batch;  // src/models/batch.h
}  // namespace strata::models

namespace strata::tasks {
class Dataset;  // src/tasks/dataset.h
class Task;     // src/tasks/task.h
}  // namespace strata::tasks

namespace strata::ntk {

/// Stands for default_metric().
inline constexpr const char* kAutoMetric = "auto";

struct ScoreOptions {
  std::string metric = kAutoMetric;   ///< that is default_metric(), or one of metric_names()
  int samples = 32;                   ///< n; a client with fewer uses all it has
  std::uint64_t seed = 1;             ///< which samples; the solvers' starts; the random metric
  std::vector<std::int64_t> outputs;  ///< lntk and trace: outputs to differentiate; empty: all K
  /// lntk and trace of a model that answers in words: the answers whose log-likelihoods are
  /// differentiated; empty: the `top_answers` that are most frequent in the data.
  std::vector<std::string> answers = {};
  int top_answers = 8;
  /// lntk and trace of a model that segments: so many sums of all logits with random signs, drawn
  /// from the seed, are differentiated; 0: the mean logit of each class where it is the largest.
  int random_outputs = 0;
  int top = 1;  ///< lntk and gradient: how many eigenvalues to find
  /// Bytes beyond the model and the samples (and, of lntk, trace and gradient, one block's
  /// activations); less memory takes longer.
  std::int64_t memory_bytes = std::int64_t{4} << 30;
  /// lntk, trace and gradient: samples whose products may be formed at a time, each with
  /// at::get_num_threads() threads, on the CPU. Changes no result.
  int parallel = 1;
  /// Weights that are frozen in every unit. grasp and gradflow ask for the gradient of all others,
  /// also in units that are not scored; elsewhere it is enough that the scored units leave them
  /// out.
  std::set<std::string> frozen = {};
  /// lntk, trace and gradient: called before each stage of the model, from the top down; others
  /// before each pass through it.
  std::function<void(std::int64_t done, std::int64_t total, const std::string& stage)> progress =
      {};
};

/// lntk; of a model that answers in words, or segments, gradient: a row a sample, the
/// log-likelihood of its answer, or its stack's loss.
std::string default_metric(const models::Model& model);
/// That for kAutoMetric, any other metric as it is.
std::string settled_metric(const models::Model& model, const std::string& metric);

/// One unit's value with its certificate.
struct UnitScore {
  double value = 0;     ///< λ₁ or the metric's value, ≥ 0
  double residual = 0;  ///< ‖Θv − λv‖ / λ₁ for eigenvalues, 0 for other metrics
  /// kOkStatus, "ok", or why not to rely on the value: an eigenvalue that did not converge is a
  /// lower bound.
  std::string status = kOkStatus;
  bool ok() const { return status == kOkStatus; }
  /// For eigenvalues: the `top` largest, and |λ₁ − λ₁'| / λ₁ for λ₁' from a second random start (0
  /// where all eigenvalues were computed, or a block of starts was searched together).
  std::vector<double> eigenvalues;
  double second_start = 0;
};

/// Scores `units` (their order; parameters may overlap, and those that are left out count as
/// frozen) for one client's data; its samples are drawn without replacement from `seed`. Costs and
/// memory: docs/lntk.md, docs/importance.md.
/// @throws InputError: no samples, an unknown metric, a unit without parameters, random outputs of
/// a model that does not segment; WorkError: a value
/// or activations that are not finite (it names unit or stage), or too small a memory limit.
std::vector<UnitScore> score_units(const models::Model& model, const tasks::Dataset& data,
                                   const std::vector<Unit>& units, const ScoreOptions& options);

/// The same for several metrics, which share their passes: one list for each of them.
std::vector<std::vector<UnitScore>> score_metrics(const models::Model& model,
                                                  const tasks::Dataset& data,
                                                  const std::vector<Unit>& units,
                                                  const std::vector<std::string>& metrics,
                                                  const ScoreOptions& options);

/// ⟨gᵢ, gⱼ⟩ of the gradients gᵢ of the batch's samples' losses over all weights of `units`
/// together: n × n, symmetric. Units must share no weight. No sample's gradient is held; costs are
/// those of the metric `gradient` (docs/lntk.md), within 4 GiB. What private training clips by.
/// @throws as score_units
Eigen::MatrixXd loss_gradient_gram(const models::Model& model, const tasks::Task& task,
                                   const models::Batch& batch, const std::vector<Unit>& units);

/// What scoring one client with `options.metric` would take on this machine, from a short trial on
/// two of its samples.
struct ScoreEstimate {
  double seconds = 0;
  std::int64_t bytes = 0;        ///< as memory_bytes counts them
  std::int64_t least_bytes = 0;  ///< the smallest memory limit that works
  int backward_passes = 0;  ///< of lntk, trace and gradient, through single stages; 0 of others
};
ScoreEstimate estimate_score(const models::Model& model, const tasks::Dataset& data,
                             const std::vector<Unit>& units, const ScoreOptions& options);

}  // namespace strata::ntk
