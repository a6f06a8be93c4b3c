#include "optimizers/resource_dual.h"

#include "catch.h"
#include "general_instances.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

TEST_CASE("no assignment of a total is above the dual's bound for it") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const PlanningProblem problem = general_instance(seed, true);
    CAPTURE(seed);
    ResourceDual dual(problem);
    Random random(seed);
    for (const double price : {0.0, 0.7, 20.0}) {
      BoundsByTotal bounds;
      std::vector<double> prices(problem.unit_count());
      for (int trial = 0; trial < 3; ++trial) {
        for (double& each : prices) each = trial == 0 ? 0 : 4 * random.uniform() - 2;
        dual.evaluate(price, prices, bounds);
      }
      for_each_feasible(problem, [&](const Assignment& assignment) {
        const std::int64_t k = total_of(assignment) - dual.least_total();
        REQUIRE(k >= 0);
        REQUIRE(k < dual.totals());
        const Objectives objectives = evaluate(problem, assignment);
        REQUIRE(objectives.importance - price * objectives.usage_variance <= bounds[k] + 1e-9);
      });
    }
  }
}
