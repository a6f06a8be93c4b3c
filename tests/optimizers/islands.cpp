#include "optimizers/islands.h"

#include "catch.h"
#include "fronts.h"
#include "instances.h"
#include "optimizers/algorithms.h"
#include "strata/optimizers/baselines.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

namespace {

constexpr int kIslands = 3, kPopulation = 16;

std::vector<std::vector<Assignment>> random_starts(const PlanningProblem& problem) {
  std::vector<std::vector<Assignment>> starts(kIslands);
  std::uint64_t seed = 0;
  for (auto& population : starts)
    for (int i = 0; i < kPopulation; ++i) population.push_back(random_assignment(problem, ++seed));
  return starts;
}

}  // namespace

TEST_CASE("islands spend their share, and the run has the best of all of them") {
  const PlanningProblem problem = layered_instance(5, 8, 3, 2);
  const LayerModel model(problem);
  const auto starts = random_starts(problem);
  for (const std::string& method : metaheuristics()) {
    CAPTURE(method);
    SearchRun run(model, {3000, 0}, 9, {});
    search_islands(run, row_of(method).search, 4, starts);
    CHECK(run.evaluations() == 3000);
    const auto front = run.archive.front(model);
    check_front(problem, front);
    // Nothing that any island began with is better than the front.
    for (const auto& population : starts) {
      for (const Assignment& start : population) {
        const Objectives then = evaluate(problem, start);
        for (const FrontPoint& point : front) CHECK_FALSE(dominates(then, point.objectives));
      }
    }

    SearchRun again(model, {3000, 0}, 9, {});
    search_islands(again, row_of(method).search, 4, starts);
    CHECK(same(again.archive.front(model), front));
  }
}

TEST_CASE("an epoch without an evaluation for each island is not begun") {
  const PlanningProblem problem = layered_instance(5, 8, 3, 2);
  const LayerModel model(problem);
  SearchRun run(model, {29, 0}, 9, {});
  search_islands(run, row_of("annealing").search, 4, random_starts(problem));
  CHECK(run.evaluations() == 0);
}
