#include "optimizers/usage_enumeration.h"

#include <set>

#include "catch.h"
#include "general_instances.h"
#include "optimizers/resource_dual.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

TEST_CASE("the enumeration visits just the assignments of its total that lie in its room") {
  int visited_in_all = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const PlanningProblem problem = general_instance(seed, true);
    CAPTURE(seed);
    ResourceDual dual(problem);
    Random random(seed);
    EnumerationTask task;
    task.price = 2 * random.uniform();
    for (int x = 0; x < problem.unit_count(); ++x)
      task.usage_prices.push_back(2 * random.uniform() - 1);
    task.total = dual.least_total() + static_cast<int>(random.below(dual.totals()));
    task.room = 10 * random.uniform();
    BoundsByTotal bounds;
    dual.evaluate(task.price, task.usage_prices, bounds);
    const double least = dual.bound(task.total) - task.room;
    std::set<std::vector<std::uint64_t>> wanted, optional, visited;
    for_each_feasible(problem, [&](const Assignment& assignment) {
      if (total_of(assignment) != task.total) return;
      const Objectives objectives = evaluate(problem, assignment);
      const double value = objectives.importance - task.price * objectives.usage_variance;
      std::vector<std::uint64_t> rows(problem.client_count());
      for (int c = 0; c < problem.client_count(); ++c) {
        for (int x = 0; x < problem.unit_count(); ++x)
          rows[c] |= std::uint64_t{assignment(c, x)} << x;
      }
      if (value > least + 1e-6) wanted.insert(rows);
      if (value > least - 1e-6) optional.insert(rows);
    });
    std::int64_t steps = 1000000;
    REQUIRE(enumerate_assignments(problem, dual, task, steps, [&](const auto& rows) {
      visited.insert(rows);
      return task.room;
    }));
    for (const auto& rows : wanted) REQUIRE(visited.count(rows) == 1);
    for (const auto& rows : visited) REQUIRE(optional.count(rows) == 1);
    visited_in_all += static_cast<int>(visited.size());
    // Too few steps are said to be too few.
    std::int64_t none = 1;
    CHECK_FALSE(
        enumerate_assignments(problem, dual, task, none, [&](const auto&) { return task.room; }));
  }
  CHECK(visited_in_all > 100);
}
