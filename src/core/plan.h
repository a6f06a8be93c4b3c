#pragma once
/// \file
/// What the files about plans have in common.

#include "core/document.h"
#include "strata/core/plan.h"

namespace strata {

/// The double nearest to the value's first 15 digits: of sums of decimals what they mean.
double to_fifteen_digits(double value);

/// Calls `use(unit, rank)` for what a client, from 0, trains in an assignment of the plan's clients
/// and units, in the order of the units; the rank is 1 where the plan has none.
template <typename Use>
void each_unit(const Plan& plan, const Assignment& assignment, std::size_t client, const Use& use) {
  for (std::size_t l = 0; l < plan.units.size(); ++l) {
    const int rank = assignment(static_cast<Eigen::Index>(client), static_cast<Eigen::Index>(l));
    if (rank > 0) use(plan.units[l], rank);
  }
}
/// The same as a mapping from units to ranks.
Json ranks_json(const Plan& plan, const Assignment& assignment, std::size_t client);

/// Further objectives are left out where they are 0, as in problems that do not have them.
Json objectives_json(const Objectives& objectives);

}  // namespace strata
