#pragma once
/// \file
/// What document.h's readers of YAML are made of; the one place that includes yaml-cpp. Internal.

#include <string>

#include "core/document.h"

namespace strata {

/// Values are read, copied and written by functions that call themselves for what is nested in
/// them: without a limit a file of brackets takes all of the stack. Also ends an alias within what
/// its anchor names.
inline constexpr int kMostLevels = 200;

/// One value, typed as load_yaml types it. @throws InputError that begins with `source`.
Json parse_yaml_value(const std::string& text, const std::string& source);

}  // namespace strata
