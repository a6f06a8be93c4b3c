#include "peft/limits.h"

#include "strata/core/error.h"

namespace strata::peft {

void require_range(const std::string& where, const char* field, std::int64_t value,
                   std::int64_t low, std::int64_t high) {
  if (value >= low && value <= high) return;
  throw InputError(where + ": " + field + ": found " + std::to_string(value) +
                   ", but a whole number from " + std::to_string(low) + " to " +
                   std::to_string(high) + " is allowed");
}

}  // namespace strata::peft
