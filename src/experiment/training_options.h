#pragma once
/// \file
/// What local training and central pretraining share.

#include <cstdint>

#include "core/choices.h"
#include "core/fields.h"
#include "models/precision.h"

namespace strata::experiment {

/// Of the learning rate.
enum class Schedule { kConstant, kCosine, kPolynomial };
const Choices<Schedule>& schedules();

/// Random mirroring of the images.
enum class Flips { kNone, kHorizontal, kVertical, kBoth };

/// What a label's loss counts.
enum class ClassWeights { kNone, kBalanced };

/// What takes the steps.
enum class LocalOptimizer { kAdamw, kSgd };

struct TrainingOptions {
  LocalOptimizer optimizer = LocalOptimizer::kAdamw;
  std::int64_t batch_size = 32;
  double learning_rate = 1e-3;
  double weight_decay = 0.01;  ///< decoupled, on every trained weight
  double clip_norm = 1;        ///< of the gradient of all trained weights together; 0: no clipping
  double warmup = 0;           ///< share of the steps over which the learning rate rises linearly
  Schedule schedule = Schedule::kConstant;  ///< after the warm-up; the others fall to 0
  double decay_power = 0.9;                 ///< of the polynomial schedule
  /// Adds log((count + 1) / (samples + labels)) of each label among the training rows to its logit,
  /// in the loss only: a client whose answers are mostly "no" then learns from its images rather
  /// than the answer (logit adjustment, Menon et al. 2021; FedLC, Zhang et al. 2022).
  bool calibrate_labels = false;
  /// Balanced: n / (labels · count), by the client's own counts, as scikit-learn has it.
  ClassWeights class_weights = ClassWeights::kNone;
  double focal_gamma = 0;  ///< γ of the focal loss (Lin et al., ICCV 2017); 0: cross-entropy
  Flips flips = Flips::kNone;
  bool augment = false;  ///< the task's own variation of samples (tasks::Variation::seed)
  /// μ of FedProx (Li et al., MLSys 2020, equation 2): adds μ/2 ‖w − w₀‖² to the loss, w₀ the
  /// trained weights at the start. Losses are reported without it.
  double proximal = 0;
  /// Of the forward pass: see Autocast (models/device.h).
  models::Precision precision = models::Precision::kFloat32;
  /// The backward pass runs each stage again in place of keeping its activations
  /// (models/staged_gradients.h). Changes no number.
  bool gradient_checkpointing = false;
};

/// All but `schedule`, which `pretrain` and `run.local` mean differently; each takes those that it
/// has.
const Fields<TrainingOptions>& training_fields();

}  // namespace strata::experiment
