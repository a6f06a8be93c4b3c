#pragma once
/// \file
/// Saying what an image shows: exactly one of the model's labels, or, where the data set has it
/// so, any number of them.

#include "tasks/task.h"

namespace strata::tasks {

/// As label_classification.h has it.
TaskPtr image_classification();

}  // namespace strata::tasks
