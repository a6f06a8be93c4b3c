#include "strata/optimizers/baselines.h"

#include <algorithm>
#include <numeric>

#include "strata/core/random.h"

namespace strata {

Assignment top_k(const PlanningProblem& problem) {
  Assignment assignment = Assignment::Zero(problem.client_count(), problem.unit_count());
  std::vector<int> order(problem.unit_count());
  for (int c = 0; c < problem.client_count(); ++c) {
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
      return problem.importance(c, a) > problem.importance(c, b);
    });
    for (int k = 0; k < problem.budgets[c]; ++k) assignment(c, order[k]) = 1;
  }
  return assignment;
}

Assignment random_assignment(const PlanningProblem& problem, std::uint64_t seed) {
  Assignment assignment = Assignment::Zero(problem.client_count(), problem.unit_count());
  Random random(derive_seed(seed, "random"));
  for (int c = 0; c < problem.client_count(); ++c) {
    for (const int unit : random.sample(problem.unit_count(), problem.budgets[c])) {
      assignment(c, unit) = 1;
    }
  }
  return assignment;
}

}  // namespace strata
