#pragma once
/// \file
/// What the classifications of images have in common, with a text and without: an example's labels,
/// which are matched with the model's by their names, whatever their order.

#include <string>

#include "data/manifest.h"
#include "tasks/task.h"

namespace strata::tasks {

/// `text` is what of an example the model reads beside the image.
TaskPtr label_classification(const std::string& name, std::string data::Example::*text);

}  // namespace strata::tasks
