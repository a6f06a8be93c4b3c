#pragma once
/// \file
/// Who trains what in a round: the planner's plans, and those of the runner's own algorithms.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fedrunner/federated_task.h"
#include "strata/core/plan.h"
#include "strata/core/planning_problem.h"
#include "strata/core/score_table.h"
#include "strata/fedrunner/run.h"

namespace strata::fedrunner {

/// Whether something that is due every so many rounds is due in this one: in 1, 1 + every, …
bool is_due(int round, std::int64_t every);
/// The last such round up to this one.
int last_due(int round, std::int64_t every);

/// Units dealt out in turn: each client takes those of the cycle that it can afford, beginning with
/// the next, and a deal goes on where the one before ended. It begins one client later every time,
/// without which clients would get the same units again where what is dealt is a multiple of the
/// units.
class Rotation {
 public:
  /// The deal `number`, from 0. It remembers where it is: deals in their order cost O(clients ·
  /// units) each, and one out of order as many as there are up to it.
  Assignment deal(const PlanningProblem& problem, std::int64_t number);

 private:
  std::int64_t dealt_ = 0;
  int next_ = 0;  ///< the unit that the deal `dealt_` begins with
};

/// Plans of one run. All of it follows from the run's seed, the round and the scores.
class Planning {
 public:
  /// All of these are to outlive it.
  Planning(const FederatedTask& task, const PlannedRun& run, const RunUnits& units,
           const Planner& planner)
      : task_(task), run_(run), units_(units), planner_(planner) {}

  /// Rounds between plans. A dropped subset that stayed for several rounds would be no dropout.
  std::int64_t every() const;
  /// Whether units are drawn in every round.
  bool drops() const;

  /// What the strategy makes of the clients' budgets: nothing to spend, as much as all units cost,
  /// or what they are.
  std::vector<std::int64_t> budgets() const;

  /// The plan of a round in which one is due. Without scores every unit counts the same, which
  /// leaves the choice to the algorithm; a client that is not among those that scored has nothing
  /// to spend. `warm_start` is of the run's last plan.
  Plan plan(int round, const std::optional<ScoreTable>& scores,
            const std::vector<Assignment>& warm_start);

 private:
  PlanningProblem problem(const std::optional<ScoreTable>& scores) const;
  /// That of the runner's own algorithms: within the problem's budgets, without scores.
  Plan own_plan(const PlanningProblem& problem, int round, std::uint64_t seed);
  Assignment dropout(const PlanningProblem& problem, int round) const;

  const FederatedTask& task_;
  const PlannedRun& run_;
  const RunUnits& units_;
  const Planner& planner_;
  Rotation rotation_;
};

}  // namespace strata::fedrunner
