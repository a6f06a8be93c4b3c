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
  int prices = 40;  ///< at most; ≥ 2
  /// Stop improving a price's bound and assignment, or adding prices between two, once the gap is
  /// this share of the importance bound; ≥ 0.
  double accuracy = 1e-4;
};

/// For a price w ≥ 0 on usage variance, importance − w · usage variance is bounded by duality: with
/// any prices π on the units' usages, each client's subproblem is its own, with scores S − π, and
/// what remains is a bound of π · n − w · variance(n) over the usages n alone.
///
/// - Budgets of units: the client takes its units of greatest adjusted score. As the mean usage is
///   fixed, the rest is separable, and each unit's part is maximised over whole numbers of uses,
///   from its coverage to the clients that may train it; at the best π this bound is exact
///   (the constraints are totally unimodular).
/// - Budgets of a resource: the client solves a knapsack, by branch and bound with Dantzig's bound
///   (Martello & Toth 1990); a search that is cut off gives Dantzig's bound to the dual, so that
///   the bound stays valid. The variance, a convex quadratic form of n, is bounded by its tangent
///   plane where its gradient is π / w; coverage has prices ≥ 0 of its own.
///
/// The unit prices start from a good assignment's marginal usage prices and are improved by
/// subgradient steps of Polyak's length. Assignments come from letting each client in turn answer
/// the others' usages with its best choice (with a resource: the best by a tangent in its number of
/// units), so that the weighted sum never falls, until no client gains; coverage is kept at every
/// step. Prices w are 0, one at which usage outweighs scores, and then slopes between neighbouring
/// points where bound and points are farthest apart.
///
/// Further objectives are evaluated but not optimised. Identical for any number of threads.
/// O(prices · iterations · clients · units log units) time, O(prices · clients · units) memory.
/// @throws InputError for an invalid or infeasible problem or option.
PriceFront price_front(const PlanningProblem& problem, const PriceFrontOptions& options = {});

}  // namespace strata
