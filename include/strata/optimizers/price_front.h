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
/// any prices π on the units' usages n, each client's subproblem is its own, with scores S − π, and
/// what remains is to bound π · n − w · variance(n) over the usages alone.
///
/// - Budgets of units: the client takes its units of greatest adjusted score. As the mean usage is
///   fixed, the rest is separable, and each unit's part is maximised over whole numbers of uses,
///   from its coverage to the clients that may train it.
/// - Budgets of a resource: the client solves a knapsack, by branch and bound with Dantzig's bound
///   (Martello & Toth 1990); a search that is cut off gives Dantzig's bound to the dual, so that
///   the bound stays valid. The variance, a convex quadratic form of n, is bounded by its tangent
///   plane where its gradient is π / w; coverage has prices ≥ 0 of its own.
///
/// Assignments come from letting each client in turn answer the others' usages with its best choice
/// (with a resource: the best by a tangent in its number of units), so that the weighted sum never
/// falls; coverage is kept at every step. The marginal prices 2 w (n − n̄) / units of the outcome
/// are the first π. Where the gap they leave is above the accuracy:
/// - Budgets of units: from what the clients choose at the best π known, cheapest paths of swaps
///   lead to the best assignment, and the lengths of the paths are its prices: no gap is left, and
///   the point lies on the exact front. So with accuracy 0 every cut is tight.
/// - Budgets of a resource: π is improved by subgradient steps, and what the clients choose at the
///   best π is another start for their answers. A gap remains that the tangent and the knapsacks'
///   wholeness cause, of up to about w / 4; it matters most where the variance is small.
///
/// Prices w are 0, one at which usage outweighs scores, and then slopes between neighbouring points
/// where bound and points are farthest apart. Further objectives are evaluated but not optimised.
///
/// Identical for any number of threads. O(clients · units) memory for every price. Time is
/// O(clients · units) for each round of answers and each try of π, a few to some 100 for each
/// price, and with budgets of units O(clients · units²) for each price that needs paths. 10,000
/// clients × 200 units with budgets of up to 50 units take half a minute of one processor's time,
/// with as large budgets of bytes some four seconds a price.
/// @throws InputError for an invalid or infeasible problem or option.
PriceFront price_front(const PlanningProblem& problem, const PriceFrontOptions& options = {});

}  // namespace strata
