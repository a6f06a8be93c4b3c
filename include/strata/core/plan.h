#pragma once
/// \file
/// A plan: one assignment picked from a front, with its provenance and its distance from optimal.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "strata/core/assignment_list.h"
#include "strata/core/planning_problem.h"

namespace strata {

/// What an algorithm is, and so what its front is.
enum class AlgorithmKind : std::uint8_t {
  kUnknown,  ///< of a plan.json that does not say it, as before there were kinds
  kExact,    ///< the exact supported front
  kPrice,    ///< assignments that are best under prices on usage
  kSearch,   ///< what a metaheuristic has met
  kBaseline  ///< one assignment, which weighs no objectives against each other
};
/// exact, price, search, baseline; "" for kUnknown.
const std::string& kind_name(AlgorithmKind kind);

/// What a gap is measured against.
enum class CertificateKind : std::uint8_t {
  /// The exact supported front, or with budgets of a resource the whole front, where that was
  /// proved.
  kExact,
  /// A bound by duality, for larger problems; the distance is then at most the gap, and the
  /// hypervolume ratio at least.
  kPrices,
  /// Of cohorts (PlanningProblem::least_cohort), where some sets of trained units are still open:
  /// what nothing in any of these exceeds. The distance is at most the gap.
  kBranches
};
/// exact, prices, branches.
const std::string& certificate_name(CertificateKind kind);

/// How far a plan and its front are from the exact supported front. All values are certified: the
/// upper hull of the supported points bounds what *any* assignment can reach.
struct Gap {
  bool known = false;  ///< false: nothing was certified (--no-gap)
  /// Importance that any assignment with at most the plan's usage variance can have at most, minus
  /// the plan's. ≥ 0 up to rounding; 0 on the supported front.
  double importance = 0;
  double relative = 0;  ///< importance / that bound; 0 when the bound is 0
  /// Hypervolume of the front over that of the exact supported front.
  double hypervolume_ratio = 0;
  CertificateKind certificate = CertificateKind::kExact;
};

/// A value of a plan's provenance, in plan.json a boolean, a number or a text.
using Fact = std::variant<bool, std::int64_t, double, std::string>;

/// Who trains what, and how that was decided. plan.json, version 2 (docs/planner.md).
/// \code
/// Plan plan;
/// plan.algorithm = "exact";
/// plan.choose = "knee";
/// plan.clients = {"ct"};
/// plan.units = {"block.0", "head"};
/// plan.assignment = Assignment::Ones(1, 2);
/// write_plan(plan, "plan.json");
/// assert(read_plan("plan.json").units_of(0) == plan.units);
/// \endcode
struct Plan {
  std::string algorithm;  ///< exact, nsga2, topk, random, …
  AlgorithmKind kind = AlgorithmKind::kUnknown;
  std::string choose;  ///< the rule that picked the plan from the front: knee, …
  std::uint64_t seed = 0;
  std::int64_t evaluations = 0;  ///< objective evaluations spent; 0 where none are counted
  std::vector<std::string> clients;
  std::vector<std::string> units;
  std::vector<std::string> always;  ///< units that every client trains besides, outside its budget
  Assignment assignment;
  int ranks = 1;  ///< the largest that an entry can be (PlanningProblem::ranks)
  /// What budgets count (units, ranks, bytes, flops, memory), and what each client spends of its
  /// own. Empty: not known, as in plan.json of version 1.
  std::string counted;
  std::vector<std::int64_t> used, budgets;
  Objectives objectives;
  std::vector<Objectives> front;  ///< nondominated, by ascending usage variance
  std::size_t row = 0;            ///< the plan's own in `front`, from 1; 0: not known
  /// The assignments of `front`, in its order, for a later plan to begin with. Not in plan.json, so
  /// empty in a plan that was read; plan_archive.h writes and reads them.
  AssignmentList archive;
  Gap gap;
  std::string scores_digest;  ///< strata::digest of the score table
  /// Ordered key → value: version, commit, command, machine, parameters of the algorithm.
  std::vector<std::pair<std::string, Fact>> provenance;

  /// The names of the units client i trains, in the order of `units`.
  std::vector<std::string> units_of(int client) const;
  bool has_ranks() const { return ranks > 1; }
  /// Fills in `counted`, `used` and `budgets` from the problem and the assignment.
  void count_budgets(const PlanningProblem& problem);
};

/// Writes version 2, reads it and version 1. Objectives are written to 15 digits, which sums of
/// decimals keep: 2.3, not 2.3000000000000003. O(clients · units + points).
/// @throws InputError with file and key; WorkError when it cannot be written.
Plan read_plan(const std::filesystem::path& path);
void write_plan(const Plan& plan, const std::filesystem::path& path);
std::string plan_json(const Plan& plan);
/// The content of the CSV below; front_file.h has the one with assignments.
std::string front_csv(const std::vector<Objectives>& front);
/// The objectives alone. Header `importance,usage_variance`, and `uplink_bytes` and
/// `slowest_seconds` where any point has them; one row a front point.
void write_front_csv(const std::vector<Objectives>& front, const std::filesystem::path& path);

}  // namespace strata
