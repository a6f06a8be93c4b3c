#pragma once
/// \file
/// What fields of methods may hold.

#include <cstdint>
#include <functional>
#include <limits>
#include <string>

#include "models/blueprint.h"
#include "models/layer.h"

namespace strata::peft {

/// What a field may hold before the model is known.
constexpr std::int64_t kLargestField = std::numeric_limits<int>::max();

/// Of LoRA and its kin.
constexpr double kLargestAlpha = 1e6;

/// AdapterHub's and PEFT's own, whatever the model's initializer_range.
inline models::Init library_normal() {
  return {models::Init::Kind::kNormal, 0.02};
}

/// @throws InputError beginning with `where`
void require_range(const std::string& where, const char* field, std::int64_t value,
                   std::int64_t low, std::int64_t high);

/// That the architecture has a layer, or a place, of this kind in its blocks or before them.
/// @throws InputError beginning with `where`
void require_place(const std::string& where, const models::Blueprint& blueprint,
                   models::LayerKind kind, const std::string& plural);
/// That it has a layer of which `is_place` holds, which is returned. @throws InputError likewise
const models::Layer& require_place(const std::string& where, const models::Blueprint& blueprint,
                                   const std::function<bool(const models::Layer&)>& is_place,
                                   const std::string& plural);
/// @throws InputError saying that the architecture has no place for the method's weights
[[noreturn]] void no_place(const std::string& where, const models::Blueprint& blueprint,
                           const std::string& plural);

}  // namespace strata::peft
