#pragma once
/// \file
/// What fields of methods may hold.

#include <cstdint>
#include <limits>
#include <string>

#include "models/layer.h"

namespace strata::peft {

/// What a field may hold before the model is known.
constexpr std::int64_t kLargestField = std::numeric_limits<int>::max();

/// AdapterHub's and PEFT's own, whatever the model's initializer_range.
inline models::Init library_normal() {
  return {models::Init::Kind::kNormal, 0.02};
}

/// @throws InputError beginning with `where`
void require_range(const std::string& where, const char* field, std::int64_t value,
                   std::int64_t low, std::int64_t high);

}  // namespace strata::peft
