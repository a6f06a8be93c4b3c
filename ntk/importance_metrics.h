#pragma once
/// \file
/// The importance measures that the layerwise NTK is compared with, per unit. Internal (LibTorch
/// types show). What each costs: docs/importance.md.

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "models/model.h"
#include "tasks/task.h"

namespace strata::ntk {

/// The measures of importance_scores. L is the mean loss over the batch's n samples and Lᵢ that
/// of sample i; g = ∇L, gᵢ = ∇Lᵢ, H = ∇²L; sums and means without an index run over the unit's
/// weights w.
///
/// - grad_norm: Σ g² (Abdelfattah, Mehrotra, Dudziak & Lane, ICLR 2021, who take the root)
/// - rgn: √(Σ g² / Σ w²), the relative gradient norm (Lee, Chen, Tajwar, Kumar, Yao, Liang & Finn,
///   ICLR 2023)
/// - snr: mean of ḡ² / (s² + ε), the signal-to-noise ratio (ibid.); ḡ and s² are the mean and the
///   unbiased variance of the n values gᵢ
/// - magnitude: mean |w| (Han, Pool, Tran & Dally, NeurIPS 2015)
/// - snip: Σ |g w|, connection sensitivity (Lee, Ajanthan & Torr, ICLR 2019)
/// - grasp: |Σ w (Hg)|, change of ‖g‖² (Wang, Zhang & Grosse, ICLR 2020)
/// - gradflow: Σ |w (Hg)|, gradient-norm preservation (Lubana & Dick, ICLR 2021)
/// - synflow: Σ |w ∂R/∂|w||, synaptic flow (Tanaka, Kunin, Yamins & Ganguli, NeurIPS 2020); R is
///   the sum of the logits with every weight w replaced by |w| and every input by 1
/// - fisher: Σ (1/n) Σᵢ gᵢ², the empirical Fisher information of FishMask (Sung, Nair & Raffel,
///   NeurIPS 2021)
///
/// snr's ε is 1e-10 of the unit's mean of (1/n) Σᵢ gᵢ². It decides only where gradients do not vary
/// beyond rounding, as those of the key's bias, on which the loss does not depend. In grasp and
/// gradflow g is that of all weights that the model's units hold, whichever units are asked for,
/// but for ImportanceOptions::frozen. For synflow a text has max_position_embeddings tokens, each
/// of them every word at once: a word's one-hot vector becomes all ones.
const std::vector<std::string>& importance_metrics();
/// Whether its value depends on the samples: not that of magnitude and synflow. @throws InputError
bool reads_samples(const std::string& metric);

struct ImportanceOptions {
  /// Bytes beyond the model and the samples. With less, fewer samples at a time go through the
  /// model, then fewer units; sums over samples are then rounded otherwise.
  std::int64_t memory_bytes = std::int64_t{4} << 30;
  /// Weights that g in Hg leaves out, whichever units hold them.
  std::set<std::string> frozen = {};
  /// Called before each of the passes through the model.
  std::function<void(std::int64_t done, std::int64_t total, const std::string& pass)> progress = {};
};

/// How importance_scores goes about it within a memory limit.
struct ImportancePlan {
  std::vector<std::vector<std::size_t>> groups;  ///< indices of units that are scored together
  std::int64_t rows = 0;                         ///< samples that go through the model at a time
  std::int64_t passes = 0;                       ///< forward passes, of whatever number of samples
  std::int64_t bytes = 0;        ///< of tensors beyond the model and the samples: an estimate
  std::int64_t least_bytes = 0;  ///< the smallest limit that works; `groups` is empty below it
};
/// Of a batch of `samples` like `batch`, of which only the shapes count. The estimate is that of
/// training_cost for the activations (thrice that for the Hessian-vector product, whose graph
/// holds the backward pass, too), 4 bytes a weight of a group for its gradient (8 where
/// the batch is divided), 16 more for snr;
/// for the Hessian-vector product 12 bytes a weight of the model's units; for synflow 24 bytes a
/// weight of one stage and one sample's activations in double; and for sums 24 bytes a number of
/// the largest weight, 24 MiB at most. @throws as importance_scores
ImportancePlan plan_importance(const models::Model& model, const models::Batch& batch,
                               std::int64_t samples, const std::vector<Unit>& units,
                               const std::vector<std::string>& metrics,
                               const ImportanceOptions& options);

/// The values of `metrics` for `units`, in the order of `units`, all ≥ 0. Units may overlap and may
/// hold any of the model's weights. The passes are shared: one over the batch for grad_norm, rgn
/// and snip, a Hessian-vector product more for grasp and gradflow, one for each sample for snr and
/// fisher, one of a single input in double for synflow; magnitude needs none. A value does not
/// depend on what else is asked for, as long as the memory limit does not divide the batch.
/// Gradients have the model's precision, sums are double. Memory: plan_importance.
/// @throws InputError: an unknown metric, an empty batch, a unit without weights, snr of a single
/// sample; WorkError naming metric and unit: a value that is not finite, and rgn of a unit whose
/// weights are all 0; WorkError with the bytes that are needed: too small a limit.
std::map<std::string, std::vector<double>> importance_scores(
    const models::Model& model, const tasks::Task& task, const models::Batch& batch,
    const std::vector<Unit>& units, const std::vector<std::string>& metrics,
    const ImportanceOptions& options = {});

}  // namespace strata::ntk
