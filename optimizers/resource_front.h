#pragma once
/// \file
/// `price_front` for budgets of a resource. Internal.

#include "strata/optimizers/price_front.h"

namespace strata::optimizers {

/// The problem must be valid and have budgets of a resource.
PriceFront resource_front(const PlanningProblem& problem, const PriceFrontOptions& options);

}  // namespace strata::optimizers
