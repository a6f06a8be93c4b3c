#pragma once
/// \file
/// The exact supported front of the layer-assignment problem: what any weighted sum of importance
/// and usage variance can reach, computed in integers.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "strata/core/planning_problem.h"
#include "strata/optimizers/front_points.h"

namespace strata::optimizers {

/// The extreme supported points: the vertices of the upper hull of all assignments, so that every
/// point maximises importance − w · usage variance for some w ≥ 0.
struct ExactFront {
  /// By ascending usage variance, and so by ascending importance. Never empty. The first has the
  /// least usage variance of all assignments, the last the least among those of greatest
  /// importance.
  FrontPoints points;
  /// The points and, between two of them, the nondominated assignments that single exchanges from
  /// the second lead to, by ascending usage variance: nearly the whole front, unsupported points
  /// included. See ExactFrontOptions.
  FrontPoints sweep;

  /// The most importance that an assignment with at most this usage variance can have, by the hull:
  /// linear between the points, constant to the right of the last, −∞ to the left of the first (no
  /// assignment is there). Exact at the points, an upper bound between them. O(log points).
  double importance_bound(double usage_variance) const;
};

/// Scores as integers: round(S · 2^shift). The shift makes the greatest score less than 2^bits with
/// bits = min(52 − ⌈log₂ units⌉, 60 − ⌈log₂(clients · units · ranks)⌉), so that every path of swaps
/// stays below 2^53 and every sum over an assignment below 2^60. Whole numbers and other short
/// binary fractions are represented exactly; other scores are off by at most 2^(−bits) of the
/// greatest (2^−47 at 24 units).
struct QuantisedScores {
  Eigen::Matrix<std::int64_t, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> values;
  int shift = 0;
  /// PlanningProblem::gain: rounded down, so that no rank adds more than the one before.
  std::int64_t gain(int client, int unit, int rank) const { return values(client, unit) / rank; }
};
QuantisedScores quantise_scores(const Eigen::MatrixXd& scores, int ranks = 1);

struct ExactFrontOptions {
  bool sweep = true;  ///< false leaves `ExactFront::sweep` empty
  /// Where the sweep's assignments, written out, would need more bytes, only every k-th unsupported
  /// one between two exchanges is kept, or none and only every k-th supported one, k being the
  /// least power of 2 that suffices. `ExactFront::points` are always complete.
  std::size_t sweep_bytes = std::size_t{1} << 28;
};

/// Which problems the exact front exists for: budgets of units or ranks, any rules and coverage,
/// two objectives (further ones are ignored).
///
/// The parametric exchange method. Let f(n) be the greatest importance of an assignment whose units
/// are used n times; f is M♮-concave, so an assignment that cannot be improved by moving one use
/// from a unit to another is optimal for its weight. Starting at the greatest importance, the
/// exchange of the least cost in importance per gain in Σ n² is applied until the usage is as even
/// as it can be; the assignment is a vertex of the hull whenever that ratio is about to increase.
/// The exchanges are shortest paths in the exchange graph of the units, found by Dinkelbach's
/// method with one run of shortest paths from all units at a time. All comparisons are exact, on
/// `quantise_scores`; docs/planner.md has the argument and an example. Ranks keep it whole: what is
/// moved is then one rank of a client, its last of one unit for its next of another, and as no rank
/// is worth more than the one before, f is M♮-concave still.
///
/// O(exchanges · units · (units + clients)) time in practice, units times that at worst, with at
/// most Σ budgets · clients exchanges and far fewer in practice (about Σ budgets); and O(units³)
/// for each exchange of the sweep, little of which is reached. O(clients · units + units² + swaps
/// between neighbours) memory. Deterministic.
/// @throws InputError for an invalid or infeasible problem, or budgets of a resource.
/// \code
/// const PlanningProblem problem = generate_instance(9, 24, 1);
///
/// const ExactFront exact = exact_front(problem);
/// for (const FrontPoint& point : exact.points) {
///   const Objectives& objectives = point.objectives;
///   assert(exact.importance_bound(objectives.usage_variance) >= objectives.importance - 1e-9);
/// }
/// \endcode
ExactFront exact_front(const PlanningProblem& problem, const ExactFrontOptions& options = {});

}  // namespace strata::optimizers
