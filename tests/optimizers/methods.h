#pragma once
// What every metaheuristic must do, and small runs of one.

#include <vector>

#include "catch.h"
#include "instances.h"
#include "optimizers/search_run.h"
#include "strata/optimizers/baselines.h"

namespace strata::test {

/// A population of recorded states, ready for a method.
struct SmallRun {
  const PlanningProblem& problem;
  optimizers::LayerModel model;
  optimizers::SearchRun run;
  std::vector<optimizers::UnitState> population;

  /// The method may spend `evaluations` after the population's own.
  SmallRun(const PlanningProblem& p, std::size_t size, std::int64_t evaluations, std::uint64_t seed)
      : problem(p),
        model(p),
        run(model, {static_cast<std::int64_t>(size) + evaluations, 0}, seed, {}) {
    for (std::size_t i = 0; i < size; ++i) {
      population.emplace_back(model, optimizers::random_assignment(p, seed * 1000 + i));
      run.record(population.back());
    }
  }
};

/// The method spends what it may and no more, leaves as many states as it found, all of them
/// feasible and with their right values, and has recorded what it leaves: the archive has
/// something as good as each.
inline void check_method(optimizers::Method method, const PlanningProblem& problem,
                         std::int64_t evaluations, std::uint64_t seed) {
  constexpr std::size_t kSize = 8;
  SmallRun small(problem, kSize, evaluations, seed);
  if (small.model.movable().empty()) return;
  method(small.run, small.population);
  CHECK(small.run.spent());
  CHECK(small.run.evaluations() == static_cast<std::int64_t>(kSize) + evaluations);
  REQUIRE(small.population.size() == kSize);
  for (const auto& state : small.population) {
    REQUIRE(is_feasible(problem, state.assignment()));
    const optimizers::UnitState fresh(small.model, state.assignment());
    CHECK(state.value().importance == fresh.value().importance);
    CHECK(state.value().spread == fresh.value().spread);
    CHECK_FALSE(small.run.archive.accepts(state.value(), small.model));
  }
}

/// On instances of all kinds: rules, coverage, budgets of a resource, further objectives.
inline void check_method(optimizers::Method method) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    check_method(method, layered_instance(6, 12, 3, seed), 100 + static_cast<int>(seed), seed);
    check_method(method, tiny_ruled_instance(seed), 50, seed);
    check_method(method, tiny_resource_instance(seed), 50, seed);
  }
}

}  // namespace strata::test
