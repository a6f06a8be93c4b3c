#pragma once
/// \file
/// `units`: what of a model competes for the clients' budgets, and what is always trained.

#include <string>

#include "core/fields.h"
#include "models/units.h"
#include "strata/core/unit_choice.h"

namespace strata::experiment {

struct UnitsConfig {
  std::string scheme = "block";  ///< see peft::scheme_units
  UnitWishes wishes;             ///< patterns of the selectable, always trained and personal units
  models::Buffers buffers = models::Buffers::kAverage;
};

const Fields<UnitsConfig>& units_fields();

}  // namespace strata::experiment
