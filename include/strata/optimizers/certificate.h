#pragma once
/// \file
/// What no assignment of a problem exceeds, and how far a plan is from it.

#include <functional>
#include <string>
#include <vector>

#include "strata/core/plan.h"
#include "strata/core/planning_problem.h"
#include "strata/optimizers/front_points.h"

namespace strata::optimizers {

/// The exact front, or a bound by prices: whichever `auto` would plan with.
struct Certificate {
  /// kExact: the bound is that of the exact supported front, or the front itself where budgets are
  /// of a resource and price_front proved that it is complete. kPrices: a bound by duality.
  CertificateKind kind = CertificateKind::kExact;
  FrontPoints points = {};  ///< found on the way, nondominated, by ascending usage variance
  /// Points whose hypervolume no front's exceeds, but for unsupported points of an exact one
  /// (hypervolume.h).
  std::vector<Objectives> bounds = {};
  std::function<double(double usage_variance)> importance_bound = {};
  std::string algorithm = {};  ///< that found the points: exact or prices
};

/// @throws InputError for an invalid or infeasible problem.
/// \code
/// const PlanningProblem problem = generate_instance(9, 24, 1);
///
/// const Certificate certificate = certify(problem);
/// const Objectives even = evaluate(problem, round_robin(problem));
/// assert(certificate.kind == CertificateKind::kExact);
/// assert(even.importance <= certificate.importance_bound(even.usage_variance));
/// \endcode
Certificate certify(const PlanningProblem& problem);

/// The distance of a plan (its objectives and front) from what the certificate allows.
Gap measure_gap(const Plan& plan, const Certificate& certificate);

}  // namespace strata::optimizers
