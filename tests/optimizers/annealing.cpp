#include "optimizers/annealing.h"

#include "catch.h"
#include "methods.h"
#include "optimizers/neighbourhood.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

TEST_CASE("annealing spends its evaluations and leaves recorded, feasible states") {
  check_method(search_annealing);
}

TEST_CASE("annealing anneals one state and leaves the others as they were") {
  const PlanningProblem problem = layered_instance(8, 16, 4, 1);
  SmallRun small(problem, 8, 3000, 1);
  const auto before = small.population;
  search_annealing(small.run, small.population);
  CHECK(small.population[0].bits() != before[0].bits());
  for (std::size_t i = 1; i < 8; ++i) CHECK(small.population[i].bits() == before[i].bits());
}

TEST_CASE("annealing runs along all prices: it nears both ends of the front") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    const PlanningProblem problem = layered_instance(8, 16, 4, seed);
    SmallRun small(problem, 8, 4000, seed);
    search_annealing(small.run, small.population);
    const auto entries = small.run.archive.entries();
    const double most = evaluate(problem, top_k(problem)).importance;
    CHECK(small.model.objectives(entries.back()->value).importance >= 0.999 * most);
    // 32 uses of 16 units: two of each.
    CHECK(entries.front()->value.spread == 0);
  }
}

TEST_CASE("what annealing refuses but keeps in the archive is undone") {
  int kept = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    CAPTURE(seed);
    // One move, from the archive's best state at the highest price on usage.
    const PlanningProblem problem = layered_instance(8, 16, 4, seed);
    SmallRun small(problem, 8, 1, seed);
    const Prices highest = price_ladder(small.model, 8).front();
    const double before =
        small.model.weighted(small.run.archive.best(highest, small.model).value, highest);
    const std::size_t archived = small.run.archive.size();
    search_annealing(small.run, small.population);
    const double after = small.model.weighted(small.population[0].value(), highest);
    // At the hottest, 0.005 of the greatest score, a loss of a quarter of it is accepted once in
    // e^50 times.
    CHECK(after >= before - 0.25 * static_cast<double>(small.model.greatest_score()));
    kept += after == before && small.run.archive.size() > archived;
  }
  CHECK(kept > 0);
}
