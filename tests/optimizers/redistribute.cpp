#include "optimizers/redistribute.h"

#include "catch.h"
#include "general_instances.h"
#include "strata/optimizers/baselines.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

TEST_CASE("units dealt out anew: the best for their usages, where every client is in one group") {
  int better = 0;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    PlanningProblem problem = bytes_instance(3, 6, seed);
    problem.rules.assign(18, Rule::kFree);
    problem.rules[seed % 6] = Rule::kForbidden;
    problem.rules[6] = problem.unit_costs[0] <= problem.capacities[1] ? Rule::kPinned : Rule::kFree;
    const Assignment start = random_assignment(problem, seed);
    double best = -1;
    for_each_feasible(problem, [&](const Assignment& assignment) {
      if (usage(assignment) == usage(start))
        best = std::max(best, evaluate(problem, assignment).importance);
    });
    const LayerModel model(problem);
    UnitState state(model, start);
    std::int64_t steps = 1'000'000;
    const bool improved = redistribute(state, 3, steps);
    const Assignment found = state.assignment();
    REQUIRE(is_feasible(problem, found));
    CHECK(usage(found) == usage(start));
    CHECK(evaluate(problem, found).importance == Approx(best));
    CHECK(improved == (best > evaluate(problem, start).importance + 1e-9));
    CHECK(state.value().importance == UnitState(model, found).value().importance);
    better += improved;
    // It ends where the steps do.
    UnitState same(model, start);
    std::int64_t none = -1;
    CHECK_FALSE(redistribute(same, 3, none));
    CHECK(same.assignment() == start);
  }
  CHECK(better >= 10);
}
