#pragma once
/// \file
/// DP-SGD at a client, patient by patient: gradients that hide whether any one patient takes part
/// (Abadi et al., CCS 2016, algorithm 1, with patients in place of examples).

#include <functional>
#include <string>
#include <vector>

#include "experiment/local_section.h"
#include "models/model.h"
#include "strata/core/unit.h"
#include "strata/fedrunner/run.h"
#include "tasks/dataset.h"

namespace strata::fedrunner {

/// Where a private step's chance comes from; tests hand in their own.
struct Chance {
  std::function<double()> uniform;  ///< in [0, 1)
  std::function<double()> normal;   ///< of the standard normal distribution
};
/// The operating system's, which no seed gives again: who could draw the noise again could subtract
/// it.
Chance system_chance();

/// Rows of each patient, in the order of the patients' first rows: who shares
/// data::Example::patient or, where it is not known, the image.
std::vector<std::vector<std::int64_t>> patients_of(const tasks::Dataset& data);

/// The share of patients that a step draws, each for itself: batch_size over the rows, at most 1.
double sampling_rate(std::int64_t rows, std::int64_t batch_size);

/// What a private step is made of.
struct PrivateWork {
  experiment::PrivateTraining privacy;
  std::int64_t batch_size = 1;
  std::vector<Unit> units = {};  ///< that are trained, without weights that are frozen
};

/// Leaves in `weights` (the trained ones of `model`, in any order) the gradient of one private
/// step: 1 / (rate · patients) · (Σ over drawn patients of g · min(1, clip / ‖g‖) + clip · noise ·
/// N), where g is the gradient of the mean loss of the patient's rows over all trained weights
/// together and N has independent normal numbers. Norms come of the Gram matrix of samples'
/// gradients
/// (`gram`), so that no sample's gradient is ever held; then one backward pass adds up the clipped
/// ones. Patients are taken as many at a time as have about batch_size rows. Without dropout.
/// @throws WorkError: a loss or norm that is not finite
void leave_private_gradient(const models::Model& model, const tasks::Dataset& data,
                            const PrivateWork& work,
                            const std::vector<std::vector<std::int64_t>>& patients,
                            const GradientGram& gram, const Chance& chance,
                            const std::vector<torch::Tensor>& weights);

}  // namespace strata::fedrunner
