#pragma once
/// \file
/// The two ways to certify, as rows of algorithms.h. Internal.

#include "strata/core/plan_options.h"
#include "strata/optimizers/certificate.h"

namespace strata::optimizers {

/// By the exact front, whose points are the sweep's where the options ask for it. @throws
/// InputError for budgets of a resource, and as `certify`.
Certificate certify_exactly(const PlanningProblem& problem, const PlanOptions& options);
/// @throws InputError as `certify`.
Certificate certify_by_prices(const PlanningProblem& problem, const PlanOptions& options);

}  // namespace strata::optimizers
