#pragma once
// All assignments of ranks of a small planning problem.

#include <cstdint>
#include <functional>

#include "strata/core/planning_problem.h"

namespace strata::test {

/// Those that keep the problem's rules and budgets.
inline void for_each_ranks(const PlanningProblem& problem,
                           const std::function<void(const Assignment&)>& use) {
  Assignment assignment = Assignment::Zero(problem.client_count(), problem.unit_count());
  const std::function<void(Eigen::Index)> fill = [&](Eigen::Index at) {
    if (at == assignment.size()) {
      if (is_feasible(problem, assignment)) use(assignment);
      return;
    }
    for (int rank = 0; rank <= problem.ranks; ++rank) {
      assignment.data()[at] = static_cast<std::uint8_t>(rank);
      fill(at + 1);
    }
    assignment.data()[at] = 0;
  };
  fill(0);
}

}  // namespace strata::test
