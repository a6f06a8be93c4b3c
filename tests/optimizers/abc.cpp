#include "optimizers/abc.h"

#include "catch.h"
#include "methods.h"
#include "optimizers/neighbourhood.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

TEST_CASE("the bee colony spends its evaluations and leaves recorded, feasible states") {
  check_method(search_abc);
}

TEST_CASE("no source of the bee colony ever falls under its own prices") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    const PlanningProblem problem = layered_instance(8, 16, 4, seed);
    // Too few visits for a source to be left to a scout (60 in vain).
    SmallRun small(problem, 12, 120, seed);
    const auto prices = price_ladder(small.model, 12);
    std::vector<double> before;
    for (std::size_t i = 0; i < 12; ++i)
      before.push_back(small.model.weighted(small.population[i].value(), prices[i]));
    search_abc(small.run, small.population);
    int risen = 0;
    for (std::size_t i = 0; i < 12; ++i) {
      const double after = small.model.weighted(small.population[i].value(), prices[i]);
      CHECK(after >= before[i]);
      risen += after > before[i];
    }
    CHECK(risen >= 10);
  }
}

TEST_CASE("scouts leave sources that cannot be improved") {
  // One client's best units are the best under any prices, so every source is soon tried in vain.
  const PlanningProblem problem = layered_instance(1, 12, 3, 1);
  int elsewhere = 0;
  for (int evaluations = 2000; evaluations < 2100; ++evaluations) {
    SmallRun small(problem, 8, evaluations, 1);
    search_abc(small.run, small.population);
    const std::int64_t best = small.run.archive.entries().front()->value.importance;
    for (const UnitState& state : small.population) elsewhere += state.value().importance < best;
  }
  CHECK(elsewhere > 0);
}
