#include "strata/optimizers/baselines.h"

#include "catch.h"
#include "instances.h"

using namespace strata;
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
