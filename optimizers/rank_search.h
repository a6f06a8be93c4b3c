#pragma once
/// \file
/// A local search over single ranks, for budgets of a resource. Internal.

#include <cstdint>
#include <vector>

#include "strata/core/planning_problem.h"

namespace strata::optimizers {

/// Adds, drops and exchanges a client's ranks and passes them on to other clients, one at a time,
/// as long as importance − price · usage variance grows. Keeps budgets, rules and the coverage that
/// the assignment meets.
class RankSearch {
 public:
  RankSearch(const PlanningProblem& problem, Assignment assignment);

  /// O(clients · units · (units + clients)) a round.
  void improve(double price);
  /// Adds ranks of each unit below its coverage, those that lose the least importance first.
  /// @throws InputError where the budgets leave no room for one
  void cover();
  const Assignment& assignment() const { return assignment_; }

 private:
  bool may_add(int client, int unit) const;
  bool may_drop(int client, int unit) const;
  std::int64_t next_cost(int client, int unit) const;  ///< of one rank more
  std::int64_t last_cost(int client, int unit) const;  ///< of the last rank
  double next_gain(int client, int unit) const;
  double last_gain(int client, int unit) const;
  /// Of the usage variance where one use moves from a unit to another; −1: from or to nowhere.
  double variance_change(int from, int to) const;
  void change(int client, int unit, int by);
  bool improve_client(int client, double price, double least);
  bool pass_on(int unit, double least);
  bool make_room(int unit);

  const PlanningProblem& problem_;
  Assignment assignment_;
  std::vector<std::int64_t> slack_;
  std::vector<int> usage_;
  std::int64_t total_ = 0;
};

}  // namespace strata::optimizers
