#include "optimizers/local_search.h"

#include "catch.h"
#include "general_instances.h"
#include "optimizers/front_archive.h"
#include "strata/optimizers/baselines.h"
#include "strata/optimizers/feasible.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

TEST_CASE("after the local search no single move leads to anything nondominated") {
  const PlanningProblem problem = bytes_instance(5, 12, 3);
  const LayerModel model(problem);
  FrontArchive archive;
  archive.insert(UnitState(model, feasible_assignment(problem)));
  archive.insert(UnitState(model, round_robin(problem)));
  const std::size_t before = archive.size();
  local_search(model, archive, 0, 10'000'000, 100'000);
  CHECK(archive.size() > 4 * before);
  for (const auto* entry : archive.entries()) {
    UnitState state(model, entry->bits);
    REQUIRE(is_feasible(problem, state.assignment()));
    for (int c = 0; c < 5; ++c) {
      for (int drop = -1; drop < 12; ++drop) {
        for (int add = -1; add < 12; ++add) {
          if (drop == add || (drop < 0 && add < 0)) continue;
          const Move move{c, drop, add};
          if (state.allowed(move)) REQUIRE_FALSE(archive.accepts(state.value_after(move), model));
        }
      }
    }
  }
  // Passing units on between two clients finds more.
  FrontArchive further = archive;
  local_search(model, further, 1e18, 10'000'000, 100'000);
  int better = 0;
  for (const auto* entry : further.entries())
    better += archive.importance_within(entry->value.spread) < entry->value.importance;
  CHECK(better > 0);
  // It ends where it may not go on.
  FrontArchive small;
  small.insert(UnitState(model, feasible_assignment(problem)));
  local_search(model, small, 0, 10'000'000, 6);
  CHECK(small.size() <= 6 + 5 * 13 * 13);
  CHECK(small.size() < archive.size());
}
