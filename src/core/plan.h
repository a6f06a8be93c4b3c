#pragma once
/// \file
/// What the files about plans have in common.

#include "core/document.h"
#include "strata/core/planning_problem.h"

namespace strata {

/// The double nearest to the value's first 15 digits: of sums of decimals what they mean.
double to_fifteen_digits(double value);

/// A client's units and the rank of each, in an assignment of the plan's clients and units.
Json ranks_json(const Plan& plan, const Assignment& assignment, std::size_t client);

/// Further objectives are left out where they are 0, as in problems that do not have them.
Json objectives_json(const Objectives& objectives);

}  // namespace strata
