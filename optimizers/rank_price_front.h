#pragma once
/// \file
/// `price_front` for ranks in budgets of a resource. Internal.

#include "strata/optimizers/price_front.h"

namespace strata::optimizers {

/// See price_front. The problem is valid, has ranks and counts a resource.
/// @throws InputError where no assignment was found that meets the coverage
PriceFront rank_price_front(const PlanningProblem& problem, const PriceFrontOptions& options);

}  // namespace strata::optimizers
