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
  // From the best state under a price at which nothing else is accepted, where every move is
  // archived for its evenness or its importance: the walk stays at recorded states.
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    const PlanningProblem problem = layered_instance(4, 8, 2, seed);
    SmallRun small(problem, 8, 400, seed);
    search_annealing(small.run, small.population);
    const LayerState& state = small.population[0];
    const LayerState fresh(small.model, state.assignment());
    CHECK(state.value().importance == fresh.value().importance);
    CHECK(state.value().spread == fresh.value().spread);
  }
}
