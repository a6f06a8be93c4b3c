#pragma once
/// \file
/// The training loop that local training and central pretraining share.

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "experiment/training_options.h"
#include "models/model.h"
#include "tasks/dataset.h"

namespace strata::fedrunner {

using experiment::ClassWeights;
using experiment::Flips;
using experiment::LocalOptimizer;
using experiment::Schedule;
using experiment::TrainingOptions;

/// The learning rate of step 0, 1, … of `steps`. After a warm-up of w steps, in which step s has
/// the (s + 1) / w-th part, cosine gives ½ (1 + cos(π (s − w) / (steps − w))).
double learning_rate_at(const TrainingOptions& options, std::int64_t step, std::int64_t steps);

/// Changes the gradient of a weight in place, before the step in which it is used. Weights that a
/// step's loss does not depend on have none.
using GradientChange = std::function<void(const std::string& name, const torch::Tensor& weight,
                                          torch::Tensor& gradient)>;

/// A second model, which is trained in turn with the first on the same batches, each of them by the
/// task's loss and by what the other one says (mutual distillation). Of the weights that are
/// trained it has `own` for itself, and the others are the first model's: both train them. With D
/// of a student's outputs and a teacher's, which are constants, T² · the mean over samples of
/// KL(softmax(teacher / T) ‖ softmax(student / T)), each batch makes two steps:
/// - the first model's, by its loss + teaches · D(first, partner), then
/// - the partner's, by its loss + learns · D(partner, first), the first's outputs being those of
///   its step.
/// Both steps have the same rate, and each clips its own gradients. FedProx's term and the hooks'
/// changes are of the first's, and so is the loss that is returned, D included. The partner draws
/// its dropout from a generator of its own and normalises by the running statistics. Outputs are
/// Task::outputs, which must be a distribution's logits.
struct Partner {
  models::Model model;
  std::set<std::string> own;
  double learns = 1, teaches = 1;  ///< ≥ 0
  double temperature = 1;          ///< T
};

/// Leaves the gradient of a step in the trained weights in place of a batch's.
using StepGradient = std::function<void(const std::vector<torch::Tensor>& weights)>;

struct TrainingHooks {
  std::function<void(std::int64_t done)> after_step;
  /// Epochs count from 1; the loss is the mean over the epoch's steps.
  std::function<void(int epoch, double loss)> after_epoch;
  GradientChange change_gradient = nullptr;   ///< as by another term of the loss
  GradientChange correct_gradient = nullptr;  ///< once all gradients together are clipped
  /// In place of batches' gradients; losses are then not known, and nothing is clipped again.
  StepGradient step_gradient = nullptr;
  std::shared_ptr<Partner> partner = nullptr;  ///< its own weights change; a batch is one part then
};

/// Steps of one pass over `samples` rows; the last batch may be smaller.
std::int64_t steps_per_epoch(std::int64_t samples, std::int64_t batch_size);

/// Below so many rows the products of a batch's part are too narrow to gain from a thread.
constexpr std::int64_t kRowsPerPart = 8;

/// Trains exactly the weights of `units`, but for those `frozen`, with a fresh optimizer for
/// `steps` batches of the task's loss. Rows are shuffled anew for every pass over the data by
/// Random(seed), and dropout has a generator of its own, so trainings in several threads do not
/// touch each other. Returns the mean loss over the steps. Losses stay on the device until an epoch
/// ends. `steps` ≥ 1, `data` is not empty. A batch is differentiated in up to `parts` pieces of at
/// least kRowsPerPart rows, each by a thread of its own with at::get_num_threads() threads below
/// it: the gradient is the same but for the last bits, which depend on `parts` (and with dropout
/// the masks do), not on how the threads run. BatchNorms whose statistics are buffers of the units
/// (Unit::buffers) take the batch's own, with `parts` = 1; the buffers must be the model's own.
/// @throws WorkError when the loss is not finite.
double train(models::Model& model, const tasks::Dataset& data,
             const std::vector<std::string>& units, std::int64_t steps,
             const TrainingOptions& options, std::uint64_t seed, const TrainingHooks& hooks = {},
             int parts = 1, const std::set<std::string>& frozen = {});

}  // namespace strata::fedrunner
