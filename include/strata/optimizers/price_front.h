#pragma once
/// \file
/// A front and a certified bound by prices on usage: for budgets of a resource, where the exact
/// front is no flow problem, and for problems too large for it.

#include <vector>

#include "strata/core/planning_problem.h"
#include "strata/optimizers/exact_front.h"

namespace strata {

/// importance − price · usage variance ≤ bound for every feasible assignment.
struct PriceCut {
  double price = 0;
  double bound = 0;
};

struct PriceFront {
  std::vector<FrontPoint> points;  ///< nondominated, by ascending usage variance; never empty
  std::vector<PriceCut> cuts;      ///< by ascending price

  /// The most importance that any assignment with at most this usage variance can have by the
  /// cuts: min over cuts of bound + price · usage_variance. O(cuts).
  double importance_bound(double usage_variance) const;
};

struct PriceFrontOptions {
  int prices = 40;         ///< at most; ≥ 2
  double accuracy = 1e-4;  ///< stop refining a price once its gap is this share of the bound
};

/// For a price w, max importance − w · usage variance is bounded by duality. Usage variance is
/// convex in the usages n, so a linearisation at any real n₀ bounds it from below, and what remains
/// splits into one knapsack (or one choice of the best units) per client under the prices w ·
/// ∂variance/∂nₗ. The bound is improved over n₀ by Frank–Wolfe steps; assignments come from letting
/// each client in turn answer the others' usages (an exact best response, so that the weighted sum
/// never falls) until none can improve.
///
/// Budgets of units: each client's subproblem is its units of greatest adjusted score. Budgets of a
/// resource: the knapsack's answer is by branch and bound with Dantzig's bound, and a search that
/// is cut off gives the Dantzig bound to the dual, so that the bound stays valid. Coverage is
/// relaxed with prices ≥ 0 of its own.
///
/// Identical for any number of threads. O(prices · iterations · clients · units log units).
/// @throws InputError for an invalid or infeasible problem or option.
PriceFront price_front(const PlanningProblem& problem, const PriceFrontOptions& options = {});

}  // namespace strata
