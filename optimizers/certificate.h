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

/// Points that no assignment of at most `most` usage variance lies beyond, for hypervolumes: steps
/// from `least` on below a bound that rises with the variance. The last has `corner`, the least
/// importance of the front, from which hypervolumes are measured.
std::vector<Objectives> staircase(double least, double most, double corner,
                                  const std::function<double(double)>& importance_bound);

}  // namespace strata::optimizers
