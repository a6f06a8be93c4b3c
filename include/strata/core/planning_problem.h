#pragma once
/// \file
/// The layer-assignment problem, assignments and their objectives.

#include <Eigen/Core>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "strata/core/score_table.h"

namespace strata {

/// M ∈ {0,1}^(clients × units), row-major so that a client's choice is contiguous. Of problems with
/// ranks an entry is the rank at which the client trains the unit, 0 where it does not.
using Assignment = Eigen::Matrix<std::uint8_t, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Whether a client may, must or must not train a unit.
enum class Rule : std::uint8_t { kFree, kPinned, kForbidden };

/// Larger ones than LoRA's are used with; entries of an assignment have a byte.
inline constexpr int kLargestRank = 255;

/// Who may train how much of what.
///
/// Budgets count units or a resource:
/// - units: client i trains exactly `budgets[i]` units, pinned ones included. Exactly, not at most:
///   as scores are ≥ 0 an unused slot can only lose importance, and the paper fixes the number of
///   layers per client. Budgets of 0 and of all units are allowed.
/// - a resource (`resource` is not empty): client i trains any units whose costs sum to at most
///   `capacities[i]`. Costs are additive; `budgets` is empty.
///
/// With `ranks` above 1 an entry of the assignment is a rank, 0 to `ranks`, as of LoRA's pairs.
/// Budgets then count ranks, of which client i takes exactly `budgets[i]` in all, pinned units at
/// least one each; or they are of a resource, of which a unit's first rank costs what `unit_costs`
/// has and each further one what `rank_costs` has.
/// The k-th rank of a unit adds S[i,l] / k to the importance, so that of evenly valued units each
/// further rank is worth less, and ranks come out in proportion to the scores (the divisors of
/// Jefferson's method of apportionment); usage is nₗ = Σᵢ M[i,l], the ranks that all clients
/// together spend on the unit, and coverage counts them. Further objectives have no ranks.
///
/// Whoever fills in only the first four members gets F3OCUS's problem.
/// \code
/// PlanningProblem problem;
/// problem.clients = {"ct", "mri"};
/// problem.units = {"block.0", "block.1"};
/// problem.importance = Eigen::MatrixXd{{0.75, 0.25}, {0.5, 0.5}};
/// problem.budgets = {1, 1};
/// problem.validate();
/// Assignment assignment(2, 2);
/// assignment << 1, 0, 0, 1;
/// const Objectives objectives = evaluate(problem, assignment);
/// assert(is_feasible(problem, assignment));
/// assert(objectives.importance == 1.25 && objectives.usage_variance == 0);
/// \endcode
struct PlanningProblem {
  std::vector<std::string> clients;
  std::vector<std::string> units;
  /// S, clients × units, finite and ≥ 0; already multiplied by the clients' weights.
  Eigen::MatrixXd importance;
  std::vector<int> budgets;  ///< one per client, in [0, units · ranks]

  std::string resource = {};                  ///< "" (units), bytes, flops or memory
  std::vector<std::int64_t> unit_costs = {};  ///< of the resource, one per unit, ≥ 0
  /// Of the resource and ranks alone, one per unit, ≥ 0: of each rank beyond the first.
  std::vector<std::int64_t> rank_costs = {};
  std::vector<std::int64_t> capacities = {};  ///< of the resource, one per client, ≥ 0
  std::vector<Rule> rules = {};               ///< clients × units, row-major; empty: all free
  std::vector<int> coverage = {};             ///< least usage of every unit; empty: 0

  /// Further objectives, minimised, where these are not empty.
  std::vector<std::int64_t> uplink_bytes = {};  ///< one per unit, ≥ 0: what training it sends
  Eigen::MatrixXd seconds = {};                 ///< clients × units, ≥ 0: what training it takes

  int ranks = 1;  ///< the largest entry of an assignment, in [1, kLargestRank]

  /// A unit is trained by nobody or by at least so many clients, in [1, clients], so that no update
  /// of fewer can be told from a unit's mean; 1 asks for nothing, and more goes with no ranks.
  /// `make_plan` and `certify` keep it; the algorithms called for themselves, such as
  /// `exact_front`, do not look at it.
  int least_cohort = 1;

  int client_count() const { return static_cast<int>(clients.size()); }
  int unit_count() const { return static_cast<int>(units.size()); }
  bool has_further_objectives() const { return !uplink_bytes.empty() || seconds.size() > 0; }
  bool counts_units() const { return resource.empty(); }
  bool has_ranks() const { return ranks > 1; }
  /// Of the resource, what a unit costs at this rank, 1 without ranks; nothing at 0.
  std::int64_t cost(int unit, int rank) const {
    if (rank == 0) return 0;
    return unit_costs[unit] + (rank > 1 ? (rank - 1) * rank_costs[unit] : 0);
  }
  /// What the client's `rank`-th rank of the unit, from 1, adds to the importance.
  double gain(int client, int unit, int rank) const { return importance(client, unit) / rank; }
  Rule rule(int client, int unit) const {
    return rules.empty() ? Rule::kFree
                         : rules[static_cast<std::size_t>(client) * units.size() + unit];
  }
  int least_usage(int unit) const { return coverage.empty() ? 0 : coverage[unit]; }

  /// The most ranks of the unit, 1 without ranks, for which `budget` of the client's, as large as
  /// its own or smaller, suffices.
  int affordable(int unit, std::int64_t budget) const;

  /// Checks sizes, ranges and everything about a single client or unit: budgets within the units,
  /// pinned units within the budget, enough units that are not forbidden, coverage and the cohorts
  /// of pinned units within the clients that may train the unit. Whether the coverage of all units
  /// can be met together is found by `feasible_assignment` (strata/optimizers/feasible.h).
  /// @throws InputError naming the client or unit, the number found and the range allowed.
  void validate() const;
};

/// The two objectives of F3OCUS (arXiv 2411.11912, server-level optimisation) and two further ones,
/// which are 0 unless the problem has them.
struct Objectives {
  double importance = 0;  ///< Σᵢₗ S[i,l] M[i,l], of ranks S[i,l] Σ_{k ≤ M[i,l]} 1/k, maximised
  double usage_variance = 0;  ///< (1/L) Σₗ (nₗ − n̄)², nₗ = Σᵢ M[i,l], to be minimised
  double uplink_bytes = 0;    ///< Σᵢₗ bytes[l] M[i,l], to be minimised
  double slowest_seconds = 0;  ///< maxᵢ Σₗ seconds[i,l] M[i,l], to be minimised
};

/// Of importance, usage_variance, uplink_bytes and slowest_client those that the problem has, in
/// this order. The first two every problem has.
std::vector<std::string> objective_names(const PlanningProblem& problem);
/// How many every problem has.
inline constexpr int kCommonObjectives = 2;

/// a is at least as good as b in all objectives and better in one.
bool dominates(const Objectives& a, const Objectives& b);

/// nₗ: how many clients train unit l or, of ranks, how many they spend on it together.
std::vector<int> usage(const Assignment& assignment);

/// Population variance of a usage histogram, (1/L) Σ (nₗ − n̄)². 0 for an empty one.
/// Worked value: {0:5, 1:5, 12:2, 17:4, 22:3, 25:1} over 32 layers has variance 2.109, as the
/// paper's figure of layer usage states.
double usage_variance(const std::vector<int>& usage);

/// O(clients × units).
Objectives evaluate(const PlanningProblem& problem, const Assignment& assignment);

/// What every client spends of its budget: units, ranks, or the costs of the resource. O(clients ×
/// units).
std::vector<std::int64_t> spent(const PlanningProblem& problem, const Assignment& assignment);

/// No unit is trained by some clients, but fewer than `least_cohort`. O(clients × units).
bool keeps_cohorts(const PlanningProblem& problem, const Assignment& assignment);

/// Every entry is 0 or 1, or a rank, every row keeps to the client's budget and rules, every unit's
/// coverage is met, and cohorts are kept.
bool is_feasible(const PlanningProblem& problem, const Assignment& assignment);

/// From a score table and `--budget` of units: either one number for every client, or the file of a
/// table with the columns client and budget that names each client exactly once ("-" is standard
/// input).
/// @throws InputError (file and line; a budget above the number of units is named with its client).
PlanningProblem make_problem(const ScoreTable& scores, const std::string& budget);

}  // namespace strata
