#include "optimizers/unit_state.h"

#include "catch.h"
#include "instances.h"
#include "optimizers/neighbourhood.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

namespace {

void check_same(const UnitState& moved, const UnitState& fresh) {
  CHECK(moved.value().importance == fresh.value().importance);
  CHECK(moved.value().spread == fresh.value().spread);
  CHECK(moved.value().bytes == fresh.value().bytes);
  CHECK(moved.value().seconds == fresh.value().seconds);
}

/// Many random moves; after each the values equal those of the same assignment evaluated anew.
void check_walk(const PlanningProblem& problem, std::uint64_t seed) {
  const LayerModel model(problem);
  if (model.movable().empty()) return;
  Random random(seed);
  // What is feasible here may be what `instances.h` kept; any start will do.
  Assignment start;
  for_each_assignment(problem, [&](const Assignment& assignment) {
    if (start.size() == 0 && is_feasible(problem, assignment)) start = assignment;
  });
  REQUIRE(start.size() > 0);
  UnitState state(model, start);
  for (int i = 0; i < 60; ++i) {
    const Prices prices = random_prices(model, random);
    const auto move = draw_move(state, prices, 1 + static_cast<int>(random.below(3)), random);
    if (!move) continue;
    REQUIRE(state.allowed(*move));
    const Value expected = state.value_after(*move);
    const double gained = model.weighted(expected, prices) - model.weighted(state.value(), prices);
    if (move->drop >= 0 && move->add >= 0 && prices.second == 0 && problem.counts_units()) {
      CHECK(gained == Approx(adjusted_score(state, prices, move->client, move->add, false) -
                             adjusted_score(state, prices, move->client, move->drop, true))
                          .margin(1e-9 * static_cast<double>(model.greatest_score())));
    }
    state.apply(*move);
    REQUIRE(is_feasible(problem, state.assignment()));
    check_same(state, UnitState(model, state.assignment()));
    CHECK(expected.importance == state.value().importance);
    const Objectives scratch = evaluate(problem, state.assignment());
    const Objectives incremental = model.objectives(state.value());
    CHECK(incremental.usage_variance == Approx(scratch.usage_variance).margin(1e-12));
    CHECK(incremental.importance == Approx(scratch.importance).epsilon(1e-12));
    CHECK(incremental.uplink_bytes == scratch.uplink_bytes);
    CHECK(incremental.slowest_seconds == scratch.slowest_seconds);
  }
}

}  // namespace

TEST_CASE("objectives that follow moves equal those computed from scratch") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    check_walk(tiny_instance(seed), seed);
    check_walk(tiny_ruled_instance(seed), seed);
    check_walk(tiny_resource_instance(seed), seed);
  }
}

TEST_CASE("rows of more than 64 units take several words") {
  const PlanningProblem problem = layered_instance(2, 130, 40, 1);
  const LayerModel model(problem);
  CHECK(model.words() == 3);
  Assignment assignment = Assignment::Zero(2, 130);
  for (int k = 0; k < 40; ++k) assignment(0, 3 * k) = assignment(1, 129 - k) = 1;
  const UnitState state(model, assignment);
  CHECK(state.assignment() == assignment);
  CHECK(state.has(1, 129));
  CHECK_FALSE(state.has(0, 128));
}
