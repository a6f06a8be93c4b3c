#pragma once
/// \file
/// What makes a training loss another than the mean of Task::losses. Internal (LibTorch types
/// show).

#include "models/torch.h"

namespace strata::tasks {

struct LossShape {
  torch::Tensor calibration = {};    ///< (labels), added to the logits; undefined: nothing
  torch::Tensor class_weights = {};  ///< (labels), by which a sample's loss counts; undefined: 1
  /// γ of the focal loss (Lin et al., ICCV 2017, equation 4): a loss l counts (1 - e^-l)^γ times.
  double focal_gamma = 0;
};

}  // namespace strata::tasks
