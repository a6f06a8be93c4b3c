#include "optimizers/nsga2.h"

#include <algorithm>

#include "catch.h"
#include "methods.h"
#include "optimizers/neighbourhood.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

TEST_CASE("NSGA-II spends its evaluations and leaves recorded, feasible states") {
  check_method(search_nsga2);
}

TEST_CASE("NSGA-II is elitist: the population keeps the extremes of what it had") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    const PlanningProblem problem = layered_instance(8, 16, 4, seed);
    SmallRun small(problem, 12, 12 * 5, seed);
    const auto most = [&] {
      std::int64_t importance = 0;
      for (const auto& state : small.population)
        importance = std::max(importance, state.value().importance);
      return importance;
    };
    const auto evenest = [&] {
      std::int64_t spread = small.population.front().value().spread;
      for (const auto& state : small.population) spread = std::min(spread, state.value().spread);
      return spread;
    };
    search_nsga2(small.run, small.population);
    // Boundary points have an infinite crowding distance, so nothing met at the ends is lost.
    const auto entries = small.run.archive.entries();
    CHECK(most() == entries.back()->value.importance);
    CHECK(evenest() == entries.front()->value.spread);
  }
}

TEST_CASE("NSGA-II's survivors are of the best ranks: none is dominated while a better one goes") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    const PlanningProblem problem = layered_instance(8, 16, 4, seed);
    SmallRun small(problem, 8, 8, seed);
    const auto parents = small.population;
    search_nsga2(small.run, small.population);
    for (const UnitState& parent : parents) {
      const bool kept =
          std::any_of(small.population.begin(), small.population.end(),
                      [&](const UnitState& state) { return state.bits() == parent.bits(); });
      if (kept) continue;
      // A parent that went dominates no survivor.
      for (const UnitState& state : small.population)
        CHECK_FALSE(dominates(parent.value(), state.value()));
    }
  }
}
