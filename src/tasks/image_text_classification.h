#pragma once
/// \file
/// Saying what an image and the text beside it, such as a radiograph and its report, are about:
/// exactly one of the model's labels, or, where the data set has it so, any number of them.

#include "tasks/task.h"

namespace strata::tasks {

/// An example's labels are matched with the model's by their names, whatever their order. A text
/// that is longer than the model reads is cut.
TaskPtr image_text_classification();

}  // namespace strata::tasks
