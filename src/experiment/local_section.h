#pragma once
/// \file
/// `run.local`: what a client does in a round.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/fields.h"
#include "experiment/training_options.h"

namespace strata::experiment {

/// DP-SGD over patients (fedrunner/private_gradient.h).
struct PrivateTraining {
  double noise = 1;     ///< σ over `clip`, > 0
  double clip = 1;      ///< the longest gradient of a patient, > 0
  double delta = 1e-5;  ///< at which ε is said, in (0, 1)
};

/// Either `steps` or `epochs` is 0.
struct LocalConfig {
  std::int64_t steps = 0, epochs = 0;
  TrainingOptions training;  ///< within a round: the learning rate is the first round's, constant
  /// Learning rates to choose among, ascending; empty: `training.learning_rate` it is.
  std::vector<double> learning_rates;
  std::string chosen_by;  ///< the task's metric by which one is chosen; "": the main one
  Schedule schedule = Schedule::kConstant;  ///< of the learning rate over the rounds
  std::optional<PrivateTraining> privacy = {};
};

const Fields<LocalConfig>& local_fields();

}  // namespace strata::experiment
