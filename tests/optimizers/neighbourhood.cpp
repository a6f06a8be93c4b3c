#include "optimizers/neighbourhood.h"

#include <cmath>

#include "catch.h"
#include "instances.h"
#include "strata/optimizers/baselines.h"
#include "strata/optimizers/feasible.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

namespace {

/// Units in which two rows of 64 units or fewer differ.
int distance(const UnitState& state, int client, const UnitState& other) {
  return std::popcount(*state.row(client) ^ *other.row(client));
}

}  // namespace

TEST_CASE("a best response is the best row there is") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    const PlanningProblem problem = tiny_instance(seed);
    const LayerModel model(problem);
    Random random(seed);
    const Prices prices = random_prices(model, random);
    Assignment start;
    for_each_assignment(problem, [&](const Assignment& a) { start = a; });
    UnitState state(model, start);
    const int client = static_cast<int>(random.below(model.clients()));
    respond(state, client, prices);
    const double found = model.weighted(state.value(), prices);
    for_each_assignment(problem, [&](const Assignment& a) {
      Assignment other = state.assignment();
      other.row(client) = a.row(client);
      CHECK(model.weighted(UnitState(model, other).value(), prices) <=
            found + 1e-9 * static_cast<double>(model.greatest_score()));
    });
  }
}

TEST_CASE("with budgets of a resource a response adds what fits and is worth its usage") {
  PlanningProblem problem = make_instance(Eigen::MatrixXd{{4, 1, 3}}, {});
  problem.resource = "bytes";
  problem.unit_costs = {2, 2, 2};
  problem.capacities = {5};
  const LayerModel model(problem);
  UnitState state(model, Assignment::Zero(1, 3));
  respond(state, 0, {});
  CHECK(state.assignment() == Assignment{{1, 0, 1}});
  // No usage is worth a price above every score.
  UnitState none(model, Assignment::Zero(1, 3));
  respond(none, 0, {.usage = 10 * static_cast<double>(model.greatest_score())});
  CHECK(none.assignment() == Assignment::Zero(1, 3));
}

TEST_CASE("who has settled gains nothing by any client's response") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    const PlanningProblem problem = layered_instance(6, 12, 3, seed);
    const LayerModel model(problem);
    Random random(seed);
    const Prices prices = random_prices(model, random);
    UnitState state(model, random_assignment(problem, seed));
    double before = model.weighted(state.value(), prices);
    // One pass at a time: the weighted sum never falls.
    for (int pass = 0; pass < 30; ++pass) {
      settle(state, prices, 1);
      const double after = model.weighted(state.value(), prices);
      REQUIRE(after >= before);
      before = after;
    }
    for (int client = 0; client < 6; ++client) {
      UnitState other = state;
      respond(other, client, prices);
      CHECK(model.weighted(other.value(), prices) == before);
    }
  }
}

TEST_CASE("prices reach from a ten-thousandth of the greatest score to all of it") {
  const PlanningProblem problem = layered_instance(3, 8, 2, 1);
  const LayerModel model(problem);
  const auto greatest = static_cast<double>(model.greatest_score());
  const auto ladder = price_ladder(model, 5);
  REQUIRE(ladder.size() == 5);
  CHECK(ladder.front().usage == greatest);
  CHECK(ladder.back().usage == Approx(1e-4 * greatest));
  for (std::size_t k = 1; k < 5; ++k) CHECK(ladder[k].usage / ladder[k - 1].usage == Approx(0.1));
  CHECK(price_ladder(model, 1).front().usage == greatest);
  Random random(1);
  int lower_half = 0;
  for (int i = 0; i < 1000; ++i) {
    const Prices prices = random_prices(model, random);
    CHECK(prices.usage <= greatest);
    CHECK(prices.usage >= 0.99e-4 * greatest);
    CHECK(prices.byte == 0);
    CHECK(prices.second == 0);
    lower_half += prices.usage < 1e-2 * greatest;
  }
  // Log-uniform: five standard deviations of 1,000 coins.
  CHECK(std::abs(lower_half - 500) < 80);
}

TEST_CASE("further objectives have a price in half of the draws") {
  PlanningProblem problem = layered_instance(2, 4, 2, 1);
  problem.uplink_bytes = {1, 2, 3, 4};
  problem.seconds = Eigen::MatrixXd::Ones(2, 4);
  const LayerModel model(problem);
  const auto greatest = static_cast<double>(model.greatest_score());
  Random random(1);
  int bytes = 0, seconds = 0;
  for (int i = 0; i < 1000; ++i) {
    const Prices prices = random_prices(model, random);
    bytes += prices.byte > 0;
    seconds += prices.second > 0;
    CHECK(prices.byte <= greatest / 4);
    CHECK(prices.second <= greatest);
  }
  CHECK(std::abs(bytes - 500) < 80);
  CHECK(std::abs(seconds - 500) < 80);
}

TEST_CASE("the power law: one in most draws, k or more with probability 1/sqrt(k)") {
  Random random(1);
  constexpr int kDraws = 20000;
  int many = 0, four = 0, most = 0;
  for (int i = 0; i < kDraws; ++i) {
    const int drawn = power_law(100, random);
    REQUIRE(drawn >= 1);
    REQUIRE(drawn <= 100);
    many += drawn >= 2;
    four += drawn >= 4;
    most += drawn == 100;
    REQUIRE(power_law(1, random) == 1);
  }
  // Five standard deviations are at most 0.018 of the draws.
  CHECK(std::abs(many / double(kDraws) - std::sqrt(0.5)) < 0.018);
  CHECK(std::abs(four / double(kDraws) - 0.5) < 0.018);
  CHECK(std::abs(most / double(kDraws) - 0.1) < 0.018);
}

TEST_CASE("moves towards a row come two units closer each, until the rows are the same") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    const PlanningProblem problem = layered_instance(3, 20, 6, seed);
    const LayerModel model(problem);
    UnitState state(model, random_assignment(problem, seed));
    const UnitState target(model, random_assignment(problem, seed + 100));
    Random random(seed);
    for (int left = distance(state, 1, target); left > 0; left -= 2) {
      const auto move = draw_move_towards(state, target.row(1), 1, random);
      REQUIRE(move);
      CHECK(target.has(1, move->add));
      CHECK_FALSE(target.has(1, move->drop));
      state.apply(*move);
      REQUIRE(distance(state, 1, target) == left - 2);
    }
    CHECK_FALSE(draw_move_towards(state, target.row(1), 1, random));
  }
}

TEST_CASE("of many candidates the best are drawn, of one any") {
  const PlanningProblem problem = make_instance(Eigen::MatrixXd{{1, 2, 3, 4, 5, 6}}, {3});
  const LayerModel model(problem);
  const UnitState state(model, Assignment{{1, 1, 1, 0, 0, 0}});
  Random random(1);
  int best = 0, any = 0;
  for (int i = 0; i < 600; ++i) {
    const auto guided = draw_move(state, {}, 50, random), uniform = draw_move(state, {}, 1, random);
    REQUIRE(guided);
    REQUIRE(uniform);
    best += guided->drop == 0 && guided->add == 5;
    any += uniform->drop == 0 && uniform->add == 5;
  }
  CHECK(best == 600);
  // One in nine, within five standard deviations.
  CHECK(std::abs(any - 600 / 9) < 39);
}

TEST_CASE("what is perturbed stays feasible, under rules, coverage and budgets of a resource") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    for (const PlanningProblem& problem :
         {tiny_ruled_instance(seed), tiny_resource_instance(seed)}) {
      const LayerModel model(problem);
      if (model.movable().empty()) continue;
      UnitState state(model, feasible_assignment(problem));
      Random random(seed);
      for (int i = 0; i < 20; ++i) {
        perturb(state, random_prices(model, random), random);
        REQUIRE(is_feasible(problem, state.assignment()));
      }
    }
  }
}
