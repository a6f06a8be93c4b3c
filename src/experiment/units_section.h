#pragma once
/// \file
/// `units`: what of a model competes for the clients' budgets, and what is always trained.

#include <string>

#include "core/fields.h"
#include "strata/core/unit_choice.h"

namespace strata::experiment {

struct UnitsConfig {
  std::string scheme = "block";  ///< see peft::scheme_units
  UnitWishes wishes;             ///< patterns of the selectable and the always trained units
};

const Fields<UnitsConfig>& units_fields();

}  // namespace strata::experiment
