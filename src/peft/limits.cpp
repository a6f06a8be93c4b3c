#include "peft/limits.h"

#include <algorithm>

#include "strata/core/error.h"

namespace strata::peft {

void require_range(const std::string& where, const char* field, std::int64_t value,
                   std::int64_t low, std::int64_t high) {
  if (value >= low && value <= high) return;
  throw InputError(where + ": " + field + ": found " + std::to_string(value) +
                   ", but a whole number from " + std::to_string(low) + " to " +
                   std::to_string(high) + " is allowed");
}

void require_place(const std::string& where, const models::Blueprint& blueprint,
                   models::LayerKind kind, const std::string& plural) {
  require_place(
      where, blueprint, [&](const models::Layer& layer) { return layer.kind == kind; }, plural);
}

const models::Layer& require_place(const std::string& where, const models::Blueprint& blueprint,
                                   const std::function<bool(const models::Layer&)>& is_place,
                                   const std::string& plural) {
  const auto& layers = blueprint.architecture().layers();
  const auto place = std::find_if(layers.begin(), layers.end(), is_place);
  if (place == layers.end()) no_place(where, blueprint, plural);
  return *place;
}

void no_place(const std::string& where, const models::Blueprint& blueprint,
              const std::string& plural) {
  throw InputError(where + ": a model of the type \"" + blueprint.architecture().type() +
                   "\" has no place for " + plural);
}

}  // namespace strata::peft
