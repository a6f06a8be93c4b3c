#pragma once
/// \file
/// A front and a certified bound by prices on usage: for budgets of a resource, where the front is
/// no flow problem, and for problems too large for `exact_front`.

#include <vector>

#include "strata/core/planning_problem.h"
#include "strata/optimizers/exact_front.h"

namespace strata::optimizers {

/// importance − price · usage variance ≤ bound for every feasible assignment.
struct PriceCut {
  double price = 0;
  double bound = 0;
};

/// Assignments whose usage variance lies in [from, to] have at most this importance.
struct BoundStep {
  double from = 0;
  double to = 0;
  double importance = 0;
};

struct PriceFront {
  std::vector<FrontPoint> points;  ///< nondominated, by ascending usage variance; never empty
  std::vector<PriceCut> cuts;      ///< by ascending price
  /// With budgets of a resource: what is known beyond the cuts, by ascending usage variance and
  /// importance, from the least variance that there could be to that of the last point.
  std::vector<BoundStep> steps;
  /// With budgets of a resource: the points are all of the front, unsupported ones included, and
  /// that is proved. The steps are then the points.
  bool complete = false;

  /// The most importance that any assignment with at most this usage variance can have by the
  /// cuts and steps: min over cuts of bound + price · usage_variance, and the step that the
  /// variance is in. O(cuts + log steps).
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
/// what remains is to bound π · n − w · variance(n) over the usages alone. That part is maximised
/// over whole numbers of uses, from a unit's coverage to the clients that may train it.
///
/// Budgets of units: the client takes its units of greatest adjusted score, and as the mean usage
/// is fixed the rest is separable. Assignments come from letting each client in turn answer the
/// others' usages with its best choice, so that the weighted sum never falls. The marginal prices 2
/// w (n − n̄) / units of the outcome are the first π. Where they leave a gap above the accuracy,
/// cheapest paths of swaps from what the clients choose at the best π known lead to the best
/// assignment, and the lengths of the paths are its prices: no gap is left, and the point lies on
/// the exact front. So with accuracy 0 every cut is tight.
///
/// Budgets of a resource:
/// - The client solves a knapsack, by branch and bound with Dantzig's bound (Martello & Toth 1990);
///   a search that is cut off gives Dantzig's bound to the dual. The usages' part is separable for
///   every total Σ n, so that one π bounds each total by itself; π is improved by subgradient
///   steps, for all totals and for single ones. This is the Lagrangian dual whose value
///   Dantzig–Wolfe's master problem over the clients' knapsack patterns has, without an LP solver.
/// - What clients choose at the best π, answers to each other, and answers towards the even usages
///   of every total are where a Pareto local search begins (clients add, drop and exchange units,
///   and pass them on to each other). It keeps every nondominated assignment it meets, unsupported
///   ones included.
/// - An assignment lies below the bound by what each client's choice and each unit's usage lose
///   against the best ones. For up to 64 units, all choices and usages that lose little enough to
///   be better than what is known are enumerated, level by level of (Σ n, Σ n²), within a fixed
///   number of steps. Where that ends in time the level is closed; where all levels are, the front
///   is complete.
///
/// Ranks in budgets of a resource: the client's knapsack has a choice of rank for each unit, and is
/// bounded by its linear relaxation (Sinha & Zoltners 1979); the rest is as with units. Assignments
/// come from that relaxation, rounded down and filled up, and from adding, dropping, exchanging and
/// passing on single ranks until none gains. There are cuts alone: `steps` is empty and `complete`
/// false.
///
/// Prices w are 0, one at which usage outweighs scores, and then slopes between neighbouring points
/// where bound and points are farthest apart. Further objectives are evaluated but not optimised.
///
/// Identical for any number of threads. Budgets of units: O(clients · units) memory for every
/// price; O(clients · units) time for each round of answers and each try of π, a few to some 100
/// for each price, and O(clients · units²) for each price that needs paths; 10,000 clients × 200
/// units with budgets of up to 50 units take half a minute of one processor's time. Budgets of a
/// resource: as much for the prices, with a knapsack for units, then a fixed number of moves and
/// steps, so that 20 × 48 takes some 0.7 s; at most 256 MiB of assignments.
/// @throws InputError for an invalid or infeasible problem or option.
/// \code
/// PlanningProblem problem = generate_instance(9, 24, 1);
/// problem.resource = "bytes";
/// problem.budgets.clear();
/// problem.unit_costs = std::vector<std::int64_t>(24, 100'000);
/// problem.capacities = std::vector<std::int64_t>(9, 450'000);
/// const PriceFront front = price_front(problem);
/// const Objectives& best = front.points.back().objectives;
/// assert(front.importance_bound(best.usage_variance) >= best.importance - 1e-9);
/// \endcode
PriceFront price_front(const PlanningProblem& problem, const PriceFrontOptions& options = {});

}  // namespace strata::optimizers
