#pragma once
/// \file
/// Values as YAML text.

#include <string>

#include "core/document.h"

namespace strata {

/// Block-style YAML of a mapping, which `load_yaml` reads back as the same value.
std::string to_yaml(const Json& value);

}  // namespace strata
