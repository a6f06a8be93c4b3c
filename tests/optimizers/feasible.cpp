#include "strata/optimizers/feasible.h"

#include "catch.h"
#include "general_instances.h"
#include "strata/core/error.h"
#include "strata/optimizers/baselines.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

namespace {

struct Enumeration {
  int count = 0;
  double best = 0;
};

Enumeration enumerate(const PlanningProblem& problem) {
  Enumeration result;
  for_each_feasible(problem, [&](const Assignment& assignment) {
    ++result.count;
    result.best = std::max(result.best, evaluate(problem, assignment).importance);
  });
  return result;
}

PlanningProblem resource_problem(const Eigen::MatrixXd& importance,
                                 std::vector<std::int64_t> unit_costs,
                                 std::vector<std::int64_t> capacities) {
  PlanningProblem problem = make_instance(importance, {});
  problem.resource = "bytes";
  problem.unit_costs = std::move(unit_costs);
  problem.capacities = std::move(capacities);
  return problem;
}

}  // namespace

TEST_CASE("with budgets of units an assignment is found exactly where there is one") {
  int feasible = 0, infeasible = 0;
  for (std::uint64_t seed = 1; seed <= 1500; ++seed) {
    const PlanningProblem problem = general_instance(seed, false);
    const bool exists = enumerate(problem).count > 0;
    ++(exists ? feasible : infeasible);
    CAPTURE(seed);
    if (exists) {
      REQUIRE(is_feasible(problem, feasible_assignment(problem)));
    } else {
      REQUIRE_THROWS_AS(feasible_assignment(problem), InputError);
    }
  }
  CHECK(feasible > 500);
  CHECK(infeasible > 20);
}

TEST_CASE(
    "with budgets of a resource an assignment that is found is feasible, and few are missed") {
  int feasible = 0, missed = 0;
  for (std::uint64_t seed = 1; seed <= 1500; ++seed) {
    const PlanningProblem problem = general_instance(seed, true);
    const bool exists = enumerate(problem).count > 0;
    CAPTURE(seed);
    try {
      const Assignment assignment = feasible_assignment(problem);
      REQUIRE(is_feasible(problem, assignment));
      ++feasible;
    } catch (const InputError&) {
      missed += exists;
    }
  }
  CHECK(feasible > 500);
  CHECK(missed <= feasible / 100);
}

TEST_CASE("a direct exchange to meet the coverage loses the least importance") {
  Eigen::MatrixXd importance(3, 3);
  importance << 9, 5, 1,  //
      9, 6, 4,            //
      9, 3, 2;
  PlanningProblem problem = make_instance(importance, {1, 1, 1});
  problem.coverage = {0, 1, 0};
  Assignment expected(3, 3);
  expected << 1, 0, 0,  //
      0, 1, 0,          //
      1, 0, 0;
  CHECK(feasible_assignment(problem) == expected);
}

TEST_CASE("coverage is met through a chain of clients where no single exchange can") {
  Eigen::MatrixXd importance(3, 3);
  importance << 2, 1, 0,  //
      0, 2, 1,            //
      1, 0, 0;
  PlanningProblem problem = make_instance(importance, {1, 1, 1});
  problem.coverage = {1, 1, 1};
  // Only client1 may train unit2, only client0 and client1 unit1, and unit0 has a use to spare.
  problem.rules.assign(9, Rule::kFree);
  problem.rules[2] = problem.rules[3] = problem.rules[7] = problem.rules[8] = Rule::kForbidden;
  Assignment expected(3, 3);
  expected << 0, 1, 0,  //
      0, 0, 1,          //
      1, 0, 0;
  CHECK(feasible_assignment(problem) == expected);
}

TEST_CASE("meeting the coverage makes room at the least loss, and keeps what need not go") {
  // Unit x needs 6 of 7 bytes. Least worth per byte go first: a, b and c free 7; without a, exactly
  // the 6 that are missing are free.
  Eigen::MatrixXd importance(1, 4);
  importance << 0.1, 3, 3.3, 0;
  PlanningProblem problem = resource_problem(importance, {1, 3, 3, 6}, {7});
  problem.coverage = {0, 0, 0, 1};
  Assignment fallback(1, 4), assignment(1, 4), expected(1, 4);
  fallback << 0, 0, 0, 1;
  assignment << 1, 1, 1, 0;
  expected << 1, 0, 0, 1;
  repair(problem, fallback, assignment);
  CHECK(assignment == expected);
}

TEST_CASE("a client that has given up its cheapest unit is not taken for as cheap again") {
  // Either of the units 2 and 3 costs client 0 its unit 1, which is worth little; both would cost
  // it unit 0 as well.
  Eigen::MatrixXd importance(2, 5);
  importance << 10, 1, 0, 0, 0,  //
      0, 0, 0, 2, 5;
  PlanningProblem problem = make_instance(importance, {2, 1});
  problem.coverage = {0, 0, 1, 1, 0};
  Assignment expected(2, 5);
  expected << 1, 0, 1, 0, 0,  //
      0, 0, 0, 1, 0;
  CHECK(feasible_assignment(problem) == expected);
}

TEST_CASE("what exchanges for the coverage leave of a budget is used") {
  // For unit 1 (2 bytes) unit 0 (5 bytes) has to go, and unit 2 (3 bytes) fits again.
  Eigen::MatrixXd importance(1, 3);
  importance << 10, 0, 1;
  PlanningProblem problem = resource_problem(importance, {5, 2, 3}, {5});
  problem.coverage = {0, 1, 0};
  Assignment expected(1, 3);
  expected << 0, 1, 1;
  CHECK(feasible_assignment(problem) == expected);
}

TEST_CASE("where exchanges fail, dear units go first and to who has most left") {
  // Units 0, 3 and 4 fit in one way only: 0 and 3 at client 0, 3 and 4 at client 1. Exchanges from
  // the clients' best units end elsewhere, and so does giving unit 0 to client 1, whom it fits
  // best.
  Eigen::MatrixXd importance(3, 5);
  importance << 5, 3, 2, 7, 3,  //
      13, 10, 6, 4, 0,          //
      5, 1, 1, 1, 2;
  PlanningProblem problem = resource_problem(importance, {4, 0, 4, 2, 2}, {7, 4, 0});
  problem.coverage = {1, 0, 0, 2, 1};
  Assignment expected(3, 5);
  expected << 1, 1, 0, 1, 0,  //
      0, 1, 0, 1, 1,          //
      0, 1, 0, 0, 0;
  CHECK(feasible_assignment(problem) == expected);
}

TEST_CASE("repair takes the fallback where exchanges do not meet the coverage") {
  // 3 + 3 and 2 + 2 + 2 are the only way to pack these into 6 and 6, and from 3 + 2 and 3 + 2 no
  // chain of exchanges leads there.
  PlanningProblem problem = resource_problem(Eigen::MatrixXd::Ones(2, 5), {3, 3, 2, 2, 2}, {6, 6});
  problem.coverage = {1, 1, 1, 1, 1};
  Assignment fallback(2, 5), assignment(2, 5);
  fallback << 1, 1, 0, 0, 0,  //
      0, 0, 1, 1, 1;
  assignment << 1, 0, 1, 0, 0,  //
      0, 1, 0, 1, 0;
  repair(problem, fallback, assignment);
  CHECK(assignment == fallback);
}

TEST_CASE("infeasible coverage is named with its units and numbers") {
  PlanningProblem problem = make_instance(Eigen::MatrixXd::Ones(2, 4), {1, 2});
  problem.coverage = {2, 1, 1, 0};
  CHECK_THROWS_WITH(feasible_assignment(problem),
                    "the coverage cannot be met within budgets and rules: unit \"unit2\" gets 0 of "
                    "the 1 clients asked for");
  problem = make_instance(Eigen::MatrixXd::Ones(1, 2), {});
  problem.resource = "bytes";
  problem.unit_costs = {3, 4};
  problem.capacities = {6};
  problem.coverage = {1, 1};
  CHECK_THROWS_WITH(feasible_assignment(problem),
                    "found no assignment that meets the coverage within the budgets of bytes (a "
                    "heuristic search, there may be one): unit \"unit1\" gets 0 of the 1 clients "
                    "asked for");
}

TEST_CASE("an invalid problem is refused before it is searched") {
  PlanningProblem problem = make_instance(Eigen::MatrixXd::Ones(2, 4), {1, 5});
  CHECK_THROWS_WITH(feasible_assignment(problem),
                    "client \"client1\": a budget of 5 units, but there are 4; allowed is 0 to 4");
}

TEST_CASE("repair makes any matrix feasible and leaves a feasible one alone") {
  int repaired = 0;
  for (std::uint64_t seed = 1; seed <= 800; ++seed) {
    const PlanningProblem problem = general_instance(seed, seed % 2 == 0);
    Assignment fallback;
    try {
      fallback = feasible_assignment(problem);
    } catch (const InputError&) {
      continue;
    }
    CAPTURE(seed);
    Random random(derive_seed(seed, "repair"));
    for (int trial = 0; trial < 5; ++trial) {
      Assignment assignment = fallback;
      for (Eigen::Index i = 0; i < assignment.size(); ++i) {
        assignment.data()[i] = static_cast<std::uint8_t>(random.below(2));
      }
      repair(problem, fallback, assignment);
      REQUIRE(is_feasible(problem, assignment));
      const Assignment before = assignment;
      repair(problem, fallback, assignment);
      REQUIRE(assignment == before);
      ++repaired;
    }
  }
  CHECK(repaired > 1000);
}

TEST_CASE("repair drops the least and fills the best") {
  Eigen::MatrixXd importance(2, 4);
  importance << 4, 3, 2, 1,  //
      4, 3, 2, 1;
  const PlanningProblem problem = make_instance(importance, {2, 2});
  Assignment assignment(2, 4), expected(2, 4);
  assignment << 0, 1, 1, 1,  //
      0, 0, 0, 1;
  expected << 0, 1, 1, 0,  //
      1, 0, 0, 1;
  repair(problem, top_k(problem), assignment);
  CHECK(assignment == expected);
}
