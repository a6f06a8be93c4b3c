#pragma once
/// \file
/// Answering questions about images by choosing among answers, which are the model's labels.

#include "tasks/task.h"

namespace strata::tasks {

/// With several accepted answers the first that is a label is the target. A model that reads no
/// text passes over the questions.
TaskPtr answer_classification();

}  // namespace strata::tasks
