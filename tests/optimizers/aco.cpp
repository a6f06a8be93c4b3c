#include "optimizers/aco.h"

#include <algorithm>

#include "catch.h"
#include "methods.h"
#include "optimizers/neighbourhood.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

TEST_CASE("the ant colony spends its evaluations and leaves recorded, feasible states") {
  check_method(search_aco);
}

TEST_CASE("ants find a single client's best units in their first iteration, though some explore") {
  int exploring = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    // One client: what it uses is as even whatever it takes, so its best units are the best row.
    const PlanningProblem problem = layered_instance(1, 30, 8, seed);
    SmallRun small(problem, 20, 20, seed);
    search_aco(small.run, small.population);
    const auto entries = small.run.archive.entries();
    REQUIRE(entries.size() == 1);
    CHECK(to_assignment(small.model, entries[0]->bits) == top_k(problem));
    for (const UnitState& ant : small.population)
      exploring += ant.value().importance < entries[0]->value.importance;
  }
  // Three rows in ten are built with noise, most of which then differ from the best.
  CHECK(exploring > 20);
  CHECK(exploring < 160);
}

TEST_CASE("later ants start from archived assignments and rebuild few of their rows") {
  const PlanningProblem problem = layered_instance(40, 12, 3, 1);
  SmallRun small(problem, 10, 20, 1);
  search_aco(small.run, small.population);
  // The second iteration's ants: most of their 40 rows are those of an ant of the first.
  int alike = 0;
  for (const UnitState& ant : small.population) {
    int most = 0;
    for (const auto* entry : small.run.archive.entries()) {
      const Assignment archived = to_assignment(small.model, entry->bits);
      int same = 0;
      for (int c = 0; c < 40; ++c) same += archived.row(c) == ant.assignment().row(c);
      if (same < 40) most = std::max(most, same);
    }
    alike += most >= 30;
  }
  CHECK(alike >= 5);
}
