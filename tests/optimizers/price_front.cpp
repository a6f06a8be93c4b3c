#include "strata/optimizers/price_front.h"

#include <tbb/global_control.h>

#include "catch.h"
#include "general_instances.h"
#include "strata/core/error.h"
#include "strata/optimizers/baselines.h"
#include "strata/optimizers/choose.h"
#include "strata/optimizers/feasible.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

namespace {

/// Rounding of sums of scores, by which two ways of adding may differ.
constexpr double kRounding = 1e-9;

PlanningProblem with_bytes(PlanningProblem problem, std::uint64_t seed) {
  Random random(seed);
  problem.resource = "bytes";
  problem.budgets.clear();
  for (int x = 0; x < problem.unit_count(); ++x) {
    problem.unit_costs.push_back(random.between(1000, 9000));
  }
  for (int c = 0; c < problem.client_count(); ++c) {
    problem.capacities.push_back(random.between(5000, 40000));
  }
  return problem;
}

void check_points(const PlanningProblem& problem, const PriceFront& front) {
  REQUIRE(!front.points.empty());
  for (std::size_t i = 0; i < front.points.size(); ++i) {
    const Objectives& objectives = front.points[i].objectives;
    REQUIRE(is_feasible(problem, front.points[i].assignment));
    const Objectives again = evaluate(problem, front.points[i].assignment);
    REQUIRE(again.importance == objectives.importance);
    REQUIRE(again.usage_variance == objectives.usage_variance);
    REQUIRE(objectives.importance <= front.importance_bound(objectives.usage_variance) + kRounding);
    if (i == 0) continue;
    REQUIRE(front.points[i - 1].objectives.usage_variance < objectives.usage_variance);
    REQUIRE(front.points[i - 1].objectives.importance < objectives.importance);
  }
  REQUIRE(std::is_sorted(front.cuts.begin(), front.cuts.end(),
                         [](const PriceCut& a, const PriceCut& b) { return a.price < b.price; }));
}

void check_equal(const PriceFront& a, const PriceFront& b) {
  REQUIRE(a.cuts.size() == b.cuts.size());
  for (std::size_t i = 0; i < a.cuts.size(); ++i) {
    REQUIRE(a.cuts[i].price == b.cuts[i].price);
    REQUIRE(a.cuts[i].bound == b.cuts[i].bound);
  }
  REQUIRE(a.points.size() == b.points.size());
  for (std::size_t i = 0; i < a.points.size(); ++i) {
    REQUIRE(a.points[i].assignment == b.points[i].assignment);
  }
}

}  // namespace

TEST_CASE("no assignment is above the bound, whatever the budgets, rules and coverage") {
  int checked = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    const PlanningProblem problem = general_instance(seed, seed % 2 == 0);
    try {
      feasible_assignment(problem);
    } catch (const InputError&) {
      REQUIRE_THROWS_AS(price_front(problem), InputError);
      continue;
    }
    CAPTURE(seed);
    const PriceFront front = price_front(problem, {8});
    check_points(problem, front);
    for_each_feasible(problem, [&](const Assignment& assignment) {
      const Objectives objectives = evaluate(problem, assignment);
      REQUIRE(objectives.importance <=
              front.importance_bound(objectives.usage_variance) + kRounding);
    });
    ++checked;
  }
  CHECK(checked > 250);
}

TEST_CASE("with budgets of units the bound is tight at every price") {
  int checked = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const PlanningProblem problem = general_instance(seed, false);
    double greatest = -1;
    for_each_feasible(problem, [&](const Assignment& assignment) {
      greatest = std::max(greatest, evaluate(problem, assignment).importance);
    });
    if (greatest < 0) continue;
    CAPTURE(seed);
    const PriceFront front = price_front(problem, {12, 0});
    for (const PriceCut& cut : front.cuts) {
      CAPTURE(cut.price);
      double best = -1e300;
      for_each_feasible(problem, [&](const Assignment& assignment) {
        const Objectives objectives = evaluate(problem, assignment);
        best = std::max(best, objectives.importance - cut.price * objectives.usage_variance);
      });
      REQUIRE(cut.bound == Approx(best).epsilon(1e-9).margin(1e-9));
    }
    ++checked;
  }
  CHECK(checked > 120);
}

TEST_CASE("with budgets of units the points lie on the exact front and the bound close above it") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    PlanningProblem problem = layered_instance(20, 48, 8, seed);
    if (seed == 3) problem.coverage.assign(48, 2);
    const ExactFront exact = exact_front(problem);
    const PriceFront front = price_front(problem);
    check_points(problem, front);
    CHECK(front.points.size() > 20);
    for (const FrontPoint& point : exact.points) {
      const double bound = front.importance_bound(point.objectives.usage_variance);
      CHECK(bound >= point.objectives.importance * (1 - 1e-9));
      CHECK(bound <= point.objectives.importance * 1.002);
    }
    for (const FrontPoint& point : front.points) {
      CHECK(point.objectives.importance >=
            exact.importance_bound(point.objectives.usage_variance) * (1 - 2e-4));
    }
  }
}

TEST_CASE("with budgets of a resource points and bound are close at scale") {
  const PlanningProblem problem = with_bytes(layered_instance(150, 40, 0, 5), 6);
  const PriceFront front = price_front(problem, {20});
  check_points(problem, front);
  // Where usage hardly matters a knapsack per client is all there is.
  const Objectives& last = front.points.back().objectives;
  CHECK(front.importance_bound(last.usage_variance) <= last.importance * 1.0002);
  // Less variance than 1 is where whole numbers of uses, which a weighted sum does not know of,
  // count. Unsupported points have a gap by nature: those of the hull of all that was found are
  // held to the bound (0.2 to 1.1 % here, with half of the usual prices), and from the knee on all
  // are.
  std::vector<Objectives> objectives, hull;
  for (const FrontPoint& point : front.points) {
    const Objectives& next = point.objectives;
    objectives.push_back(next);
    const auto is_below = [&] {
      const Objectives &a = hull[hull.size() - 2], &b = hull.back();
      return (b.importance - a.importance) * (next.usage_variance - a.usage_variance) <=
             (next.importance - a.importance) * (b.usage_variance - a.usage_variance);
    };
    while (hull.size() > 1 && is_below()) hull.pop_back();
    hull.push_back(next);
  }
  REQUIRE(hull.size() > 15);
  for (const Objectives& point : hull) {
    if (point.usage_variance < 1) continue;
    CHECK(front.importance_bound(point.usage_variance) <= point.importance * 1.012);
  }
  for (std::size_t i = choose(objectives, "knee"); i < objectives.size(); ++i) {
    CHECK(front.importance_bound(objectives[i].usage_variance) <= objectives[i].importance * 1.005);
  }
}

TEST_CASE("one thread and two find the same") {
  PlanningProblem units = layered_instance(200, 30, 6, 11);
  units.coverage.assign(30, 3);
  for (const PlanningProblem& problem : {units, with_bytes(layered_instance(200, 30, 0, 12), 13)}) {
    PriceFront one, two;
    {
      const tbb::global_control threads(tbb::global_control::max_allowed_parallelism, 1);
      one = price_front(problem, {6});
    }
    {
      const tbb::global_control threads(tbb::global_control::max_allowed_parallelism, 2);
      two = price_front(problem, {6});
    }
    check_equal(one, two);
  }
}

TEST_CASE("knapsacks: equal costs, free units and capacities of zero") {
  // One client, price 0: the bound is the knapsack's optimum, 8 + 7 (9 alone is less), and the unit
  // that costs nothing.
  Eigen::MatrixXd importance(2, 4);
  importance << 9, 8, 7, 1,  //
      9, 8, 7, 1;
  PlanningProblem problem = make_instance(importance, {});
  problem.resource = "bytes";
  problem.unit_costs = {6, 5, 5, 0};
  problem.capacities = {10, 0};
  const PriceFront front = price_front(problem, {2});
  CHECK(front.cuts.front().price == 0);
  CHECK(front.cuts.front().bound == Approx(17));
  CHECK(front.points.back().objectives.importance == 17);
}

TEST_CASE("knapsacks: no choice is above the bound where choices all but tie") {
  // One client whose units are worth what they cost, but for some 1e-8: of choices that fill the
  // capacity the search stops at one, and the bound alone knows of the better ones.
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const int units = static_cast<int>(random.between(4, 10));
    PlanningProblem problem = make_instance(Eigen::MatrixXd::Zero(1, units), {});
    problem.resource = "bytes";
    problem.budgets.clear();
    std::int64_t all = 0;
    for (int x = 0; x < units; ++x) {
      problem.unit_costs.push_back(random.between(2, 25));
      all += problem.unit_costs.back();
      problem.importance(0, x) =
          static_cast<double>(problem.unit_costs.back()) * (1 + 5e-8 * random.uniform());
    }
    problem.capacities = {random.between(1, all)};
    const PriceFront front = price_front(problem);
    for_each_feasible(problem, [&](const Assignment& assignment) {
      const Objectives objectives = evaluate(problem, assignment);
      REQUIRE(objectives.importance <=
              front.importance_bound(objectives.usage_variance) * (1 + kRounding));
    });
  }
}

TEST_CASE("problems with one point") {
  // Equal scores and usage that no choice changes.
  const PriceFront all = price_front(make_instance(Eigen::MatrixXd::Ones(3, 4), {4, 4, 0}));
  REQUIRE(all.points.size() == 1);
  CHECK(all.points[0].objectives.importance == 8);
  CHECK(all.importance_bound(0) == Approx(8));
  const PriceFront zeros = price_front(make_instance(Eigen::MatrixXd::Zero(2, 2), {1, 1}));
  CHECK(zeros.points.size() == 1);
  CHECK(zeros.importance_bound(9) == Approx(0).margin(1e-12));
}

TEST_CASE("where scores are flat the plan is as even as it can be") {
  for (const double score : {1.0, 0.0}) {
    CAPTURE(score);
    const auto problem = make_instance(Eigen::MatrixXd::Constant(4, 4, score), {1, 1, 1, 1});
    const PriceFront front = price_front(problem);
    REQUIRE(front.points.size() == 1);
    CHECK(front.points[0].objectives.usage_variance == 0);
    CHECK(front.points[0].objectives.importance == 4 * score);
    CHECK(front.importance_bound(0) == Approx(4 * score).margin(1e-12));
  }
}

TEST_CASE("without rules the last price on units reaches the most even plan there is") {
  // Every client prefers one unit by all that its scores differ, so that only a price that
  // outweighs this moves the last use away from it.
  Eigen::MatrixXd importance = Eigen::MatrixXd::Zero(4, 4);
  importance.col(0).setConstant(1);
  const PriceFront front = price_front(make_instance(importance, {1, 1, 1, 1}));
  CHECK(front.points.front().objectives.usage_variance == 0);
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    const PlanningProblem problem = tiny_instance(seed);
    const Objectives even = exact_front(problem, {.sweep = false}).points.front().objectives;
    const Objectives found = price_front(problem).points.front().objectives;
    CHECK(found.usage_variance == even.usage_variance);
    CHECK(found.importance <= even.importance + kRounding);
  }
}

TEST_CASE("price_front refuses wrong options and problems") {
  PlanningProblem problem = make_instance(Eigen::MatrixXd::Ones(2, 4), {1, 2});
  CHECK_THROWS_WITH(price_front(problem, {1}), "prices: found 1, allowed is 2 or more");
  CHECK_THROWS_WITH(price_front(problem, {5, -1}),
                    "accuracy: found -1.000000, allowed is 0 or more");
  problem.coverage = {2, 2, 0, 0};
  CHECK_THROWS_AS(price_front(problem), InputError);
  problem.budgets = {1, 9};
  CHECK_THROWS_AS(price_front(problem), InputError);
}
