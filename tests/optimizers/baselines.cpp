#include "strata/optimizers/baselines.h"

#include "catch.h"
#include "general_instances.h"
#include "strata/core/error.h"
#include "strata/optimizers/feasible.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

TEST_CASE("top-k takes each client's greatest scores, ties by the lower unit") {
  Eigen::MatrixXd importance(3, 4);
  importance << 0.1, 0.4, 0.2, 0.3,  //
      0.25, 0.25, 0.25, 0.25,        //
      0, 1, 0, 0;
  const PlanningProblem problem = make_instance(importance, {2, 3, 0});
  Assignment expected(3, 4);
  expected << 0, 1, 0, 1,  //
      1, 1, 1, 0,          //
      0, 0, 0, 0;
  CHECK(top_k(problem) == expected);
}

TEST_CASE("top-k has the greatest importance of all assignments") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    const PlanningProblem problem = tiny_instance(seed);
    const Assignment assignment = top_k(problem);
    REQUIRE(is_feasible(problem, assignment));
    double best = 0;
    for_each_assignment(problem, [&](const Assignment& other) {
      best = std::max(best, evaluate(problem, other).importance);
    });
    REQUIRE(evaluate(problem, assignment).importance == best);
  }
}

TEST_CASE("random assignments are feasible, seeded and uniform over the units") {
  const PlanningProblem problem = make_instance(Eigen::MatrixXd::Ones(4, 6), {0, 2, 3, 6});
  std::vector<int> counts(6, 0);
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    const Assignment assignment = random_assignment(problem, seed);
    REQUIRE(is_feasible(problem, assignment));
    for (int x = 0; x < 6; ++x) counts[x] += assignment(1, x);
  }
  // 3000 · 2 / 6 = 1000 with a standard deviation of 26; the seeds are fixed.
  for (const int count : counts) CHECK(std::abs(count - 1000) < 130);
  CHECK(random_assignment(problem, 7) == random_assignment(problem, 7));
  CHECK(random_assignment(problem, 7) != random_assignment(problem, 8));
}

TEST_CASE("random assignments of plain problems keep their stream of random numbers") {
  // Existing plans depend on it: seed 7 draws 2, 1 and 3 of 5 units.
  const PlanningProblem problem = make_instance(Eigen::MatrixXd::Ones(3, 5), {2, 1, 3});
  Random random(derive_seed(7, "random"));
  Assignment expected = Assignment::Zero(3, 5);
  for (int c = 0; c < 3; ++c) {
    for (const int unit : random.sample(5, problem.budgets[c])) expected(c, unit) = 1;
  }
  CHECK(random_assignment(problem, 7) == expected);
}

TEST_CASE("all baselines keep to budgets of both kinds, rules and coverage") {
  int checked = 0;
  for (std::uint64_t seed = 1; seed <= 600; ++seed) {
    const PlanningProblem problem = general_instance(seed, seed % 2 == 0);
    try {
      feasible_assignment(problem);
    } catch (const InputError&) {
      continue;
    }
    CAPTURE(seed);
    ++checked;
    REQUIRE(is_feasible(problem, top_k(problem)));
    REQUIRE(is_feasible(problem, random_assignment(problem, seed)));
    REQUIRE(is_feasible(problem, greedy_by_price(problem, 1.5)));
    REQUIRE(is_feasible(problem, round_robin(problem)));
    const auto front = greedy_front(problem, 7);
    REQUIRE(!front.empty());
    for (std::size_t i = 0; i < front.size(); ++i) {
      REQUIRE(is_feasible(problem, front[i].assignment));
      const Objectives again = evaluate(problem, front[i].assignment);
      REQUIRE(again.importance == front[i].objectives.importance);
      REQUIRE(again.usage_variance == front[i].objectives.usage_variance);
      if (i == 0) continue;
      REQUIRE(front[i - 1].objectives.usage_variance < again.usage_variance);
      REQUIRE(front[i - 1].objectives.importance < again.importance);
    }
  }
  CHECK(checked > 300);
}

TEST_CASE("with a resource, top-k goes by score per cost until nothing more fits") {
  Eigen::MatrixXd importance(2, 4);
  importance << 6, 5, 4, 1,  //
      6, 5, 4, 0;
  PlanningProblem problem = make_instance(importance, {});
  problem.resource = "bytes";
  problem.unit_costs = {6, 2, 2, 0};
  problem.capacities = {4, 7};
  Assignment expected(2, 4);
  // By score per cost: unit3 costs nothing, then unit1, unit2 and unit0.
  expected << 0, 1, 1, 1,  //
      0, 1, 1, 1;
  CHECK(top_k(problem) == expected);
}

TEST_CASE("greedy by price lets clients choose by score less a price on usage") {
  Eigen::MatrixXd importance(3, 2);
  importance << 5, 4,  //
      5, 3,            //
      5, 2;
  const PlanningProblem problem = make_instance(importance, {1, 1, 1});
  CHECK(greedy_by_price(problem, 0) == top_k(problem));
  // At price 2 a use of unit0 weighs 1, 3, 5: client1 has 5 − 3 against 3 − 1 (a tie, the lower
  // unit), client2 5 − 5 against 2 − 1.
  Assignment expected(3, 2);
  expected << 1, 0,  //
      1, 0,          //
      0, 1;
  CHECK(greedy_by_price(problem, 2) == expected);
  CHECK_THROWS_AS(greedy_by_price(problem, -1), InputError);
}

TEST_CASE("the greedy front reaches from the greatest importance to even usage") {
  const PlanningProblem problem = layered_instance(9, 24, 4, 3);
  const auto front = greedy_front(problem, 40);
  CHECK(front.size() > 15);
  CHECK(front.back().objectives.importance == evaluate(problem, top_k(problem)).importance);
  // 36 uses of 24 units are most even as 12 units used twice and 12 once.
  CHECK(front.front().objectives.usage_variance == 0.25);
  CHECK_THROWS_AS(greedy_front(problem, 0), InputError);
}

TEST_CASE("round-robin uses units as evenly as can be") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const PlanningProblem problem = layered_instance(10, 7, 3, seed);
    const auto counts = usage(round_robin(problem));
    const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
    CHECK(*most - *least <= 1);
  }
}
