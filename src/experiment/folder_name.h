#pragma once
/// \file
/// Names in experiment files that name folders. Internal.

#include <string>

namespace strata::experiment {

/// Letters, digits, '_', '-', '.' and those of `also`, one at least, and no '.' first.
bool names_folder(const std::string& name, const std::string& also = "");

}  // namespace strata::experiment
