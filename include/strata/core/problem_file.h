#pragma once
/// \file
/// problem.yaml: everything about a planning problem in one file (docs/planner.md).

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "strata/core/planning_problem.h"
#include "strata/core/score_table.h"

namespace strata {

/// What a command line may give in place of, or beside, the file. Empty: not given.
struct ProblemOptions {
  std::string file = {};    ///< problem.yaml
  std::string scores = {};  ///< scores.json or .csv; wins over the file's
  std::string budget = {};  ///< an amount or a file; wins over the file's
  std::vector<std::string> units =
      {};  ///< plan over these units only (patterns); wins over the file's
  std::optional<bool> normalise = {};    ///< wins over the file's
  std::string of = {};                   ///< what `budget` counts; empty: as it says itself
  std::string costs = {};                ///< a file; wins over the file's
  std::string metric = {};               ///< of scores that hold several; wins over the file's
  std::optional<int> ranks = {};         ///< wins over the file's
  std::optional<int> least_cohort = {};  ///< wins over the file's
};

struct LoadedProblem {
  ScoreTable scores;  ///< as read
  PlanningProblem problem;
  /// One a unit of the problem, or empty: what to plan is `with_target_usage(problem,
  /// target_usage)` (target_usage.h).
  std::vector<int> target_usage;
  bool normalised = false;
  std::vector<std::string> always;  ///< units that every client trains beside its budget
  /// One line each about what may not be meant, with figures.
  std::vector<std::string> warnings;
  std::string choose;  ///< the file's rule; empty when it names none
  /// The other files that the problem file names, as they were opened, by key ("scores").
  std::vector<std::pair<std::string, std::string>> files;
};

/// Reads scores and, where there is one, the problem file. Keys of the file, all optional but
/// `version: 1` (and `scores`, `budget` unless given as options):
///
///   scores: scores.csv            relative to the problem file
///   metric: lntk                  of scores that hold several
///   normalise: true               divide each row by its sum; the default where the scores say
///   their
///                                 units' roles, as those of `strata score` do
///   units: [block.*, head]        these compete for the budgets
///   always: [head]                every client trains these beside its budget
///                                 (both by default as choose_units has it; unit_choice.h)
///   client_weights: {a: 2}        importance counts so often; others 1
///   budget: 4                     or 400kB, or a file (budget.h), or
///   budget: {of: bytes, each: 4MB, clients: {a: 8000000}}     of: units, bytes, flops or memory
///   budget: {a: 4MB, b: 8MB}      the clients alone
///   ranks: 8                      a client trains a unit at a rank of 1 to 8, and budgets count
///                                 ranks (PlanningProblem::ranks); 1 by default
///   costs: costs.csv              columns unit,bytes,flops,memory (any of the last three), or the
///                                 JSON of `strata inspect --json`, or a mapping
///   costs: {block.0: {bytes: 100kB, flops: 5, memory: 7}, …}
///   pinned: {a: [head], "*": ["block.[0-3]"]}, forbidden: likewise     "*": every client
///   coverage: 1                   or {"block.*": 2}: at least so many clients train the unit
///   least_cohort: 3               a unit is trained by nobody or by at least three clients; 1 by
///                                 default
///   target_usage: {"block.*": 2}  how many clients (or ranks) each unit shall have, in place of as
///                                 many as any other; 0 where none is said; or a list, one a unit
///   objectives: [importance, usage_variance, uplink_bytes, slowest_client]
///   clients: {a: {samples: 1000, flops_per_second: 1e12, uplink_bytes_per_second: 1e6}}
///   choose: knee
///
/// Units may be named by patterns (matching_units). Amounts have units where that helps (amount.h).
/// From inspect's JSON: flops are 3 · forward FLOPs (a backward pass costs about two forward ones)
/// and memory is 3 · bytes (gradient and AdamW's two moments) + the activations, both of one
/// sample. slowest_client needs costs of flops and bytes and every client's speeds: training unit l
/// takes samples · flops[l] / flops_per_second + bytes[l] / uplink_bytes_per_second seconds.
///
/// Warnings: the sums of two clients' rows, as they are planned, or the mean scores of two roles
/// among the competing units differ more than tenfold.
/// @throws InputError with file, line and key.
/// \code
/// write_file("scores.csv", "client,block.0,block.1\nct,0.75,0.25\nmri,0.5,0.5\n");
/// write_file("problem.yaml", "version: 1\nscores: scores.csv\nbudget: 1\ncoverage: 1\n");
/// const LoadedProblem loaded = load_problem({.file = "problem.yaml"});
/// assert(loaded.problem.client_count() == 2 && loaded.problem.least_usage(1) == 1);
/// \endcode
LoadedProblem load_problem(const ProblemOptions& options);

/// The same of scores that are in memory: `json` is a mapping with the other keys of the file, and
/// `source` what messages begin with in place of the file's name. Files that it names are relative
/// to the working folder. The problem is checked (PlanningProblem::validate).
/// \code
/// const ScoreTable scores{.clients = {"ct", "mri"},
///                         .units = {"block.0", "block.1"},
///                         .scores = Eigen::MatrixXd{{0.75, 0.25}, {0.5, 0.5}}};
/// const LoadedProblem loaded = load_problem(scores, R"({"version": 1, "budget": 1})", "problem");
/// assert(loaded.problem.budgets == std::vector<int>({1, 1}));
/// \endcode
LoadedProblem load_problem(const ScoreTable& scores, const std::string& json,
                           const std::string& source);

}  // namespace strata
