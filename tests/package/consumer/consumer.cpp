#include <iostream>

#include "strata/core/planning_problem.h"
#include "strata/optimizers/make_plan.h"

int main() {
  strata::PlanningProblem problem;
  problem.clients = {"ct", "mri"};
  problem.units = {"a", "b", "c"};
  problem.importance.resize(2, 3);
  problem.importance << 0.5, 0.3, 0.2, 0.1, 0.6, 0.3;
  problem.budgets = {2, 2};
  const strata::Plan plan = strata::optimizers::make_plan(problem, {});
  std::cout << "importance " << plan.objectives.importance << ", usage variance "
            << plan.objectives.usage_variance << "\n";
}
