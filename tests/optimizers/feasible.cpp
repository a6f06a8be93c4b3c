#include "strata/optimizers/feasible.h"

#include "catch.h"
#include "general_instances.h"
#include "strata/core/error.h"
#include "strata/optimizers/baselines.h"

using namespace strata;
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
