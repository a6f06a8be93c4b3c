#pragma once
/// \file
/// Scores that do not compare. Internal.

#include <string>

#include "strata/core/score_table.h"

namespace strata {

/// Two scales of scores are apart from here on.
constexpr double kScalesApart = 10;

/// Three digits, for messages.
std::string short_number(double value);

/// Units of different roles whose mean scores are so far apart that those of one take all budgets:
/// one line with both means, "" if there is none or the roles are not known.
std::string role_scale_warning(const ScoreTable& table);

}  // namespace strata
