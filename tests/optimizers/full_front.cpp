#include "strata/optimizers/full_front.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "catch.h"
#include "instances.h"
#include "strata/core/error.h"
#include "strata/optimizers/exact_front.h"
#include "strata/optimizers/hypervolume.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

namespace {

/// (Σ n², importance), both whole: the instances have whole scores.
using Point = std::pair<std::int64_t, std::int64_t>;

std::vector<Point> points_of(const FrontPoints& front) {
  std::vector<Point> points;
  for (const FrontPoint& point : front) {
    points.emplace_back(sum_of_squares(point.assignment),
                        std::llround(point.objectives.importance));
  }
  return points;
}

/// Of all assignments.
std::vector<Point> enumerated_front(const PlanningProblem& problem) {
  std::map<std::int64_t, std::int64_t> best;
  for_each_assignment(problem, [&](const Assignment& assignment) {
    if (!is_feasible(problem, assignment)) return;
    const auto importance = std::llround(evaluate(problem, assignment).importance);
    const auto [at, fresh] = best.emplace(sum_of_squares(assignment), importance);
    if (!fresh) at->second = std::max<std::int64_t>(at->second, importance);
  });
  std::vector<Point> nondominated;
  for (const auto& point : best) {
    if (nondominated.empty() || point.second > nondominated.back().second) {
      nondominated.push_back(point);
    }
  }
  return nondominated;
}

void check_points(const PlanningProblem& problem, const std::vector<FrontPoint>& points) {
  for (std::size_t i = 0; i < points.size(); ++i) {
    REQUIRE(is_feasible(problem, points[i].assignment));
    const Objectives again = evaluate(problem, points[i].assignment);
    REQUIRE(points[i].objectives.importance == again.importance);
    REQUIRE(points[i].objectives.usage_variance == again.usage_variance);
    if (i == 0) continue;
    REQUIRE(points[i].objectives.importance > points[i - 1].objectives.importance);
    REQUIRE(points[i].objectives.usage_variance > points[i - 1].objectives.usage_variance);
  }
}

}  // namespace

TEST_CASE("full front equals all nondominated points of 600 small instances") {
  int unsupported = 0;
  for (std::uint64_t seed = 1; seed <= 600; ++seed) {
    CAPTURE(seed);
    const PlanningProblem problem = seed <= 300 ? tiny_instance(seed) : tiny_ruled_instance(seed);
    const FullFront front = full_front(problem, 60);
    REQUIRE(front.complete);
    check_points(problem, front.points);
    REQUIRE(points_of(front.points) == enumerated_front(problem));
    unsupported += front.points.size() > exact_front(problem).points.size();
  }
  CHECK(unsupported > 15);
}

TEST_CASE("full front equals all nondominated points where most are unsupported") {
  std::size_t unsupported = 0, swept = 0;
  for (std::uint64_t seed = 1; seed <= 24; ++seed) {
    CAPTURE(seed);
    const PlanningProblem problem = layered_instance(6, 5, 1 + static_cast<int>(seed % 4), seed);
    const FullFront front = full_front(problem, 60);
    REQUIRE(front.complete);
    check_points(problem, front.points);
    REQUIRE(points_of(front.points) == enumerated_front(problem));
    const ExactFront exact = exact_front(problem);
    unsupported += front.points.size() - exact.points.size();
    swept += exact.sweep.size() - exact.points.size();
  }
  CHECK(unsupported > 30);
  CHECK(swept > unsupported * 3 / 4);
}

TEST_CASE("full front at 9 x 24 holds the sweep, which has nearly its hypervolume") {
  const PlanningProblem problem = layered_instance(9, 24, 4, 1);
  const FullFront front = full_front(problem, 60);
  REQUIRE(front.complete);
  check_points(problem, front.points);
  const ExactFront exact = exact_front(problem);
  for (const FrontPoint& point : exact.sweep) {
    const bool is_matched =
        std::any_of(front.points.begin(), front.points.end(), [&](const FrontPoint& other) {
          return other.objectives.importance >= point.objectives.importance &&
                 other.objectives.usage_variance <= point.objectives.usage_variance;
        });
    CHECK(is_matched);
  }
  for (const FrontPoint& point : front.points) {
    CHECK(point.objectives.importance <=
          exact.importance_bound(point.objectives.usage_variance) * (1 + 1e-14));
  }
  const auto points = exact.points.objectives();
  const double whole = hypervolume_ratio(objectives_of(front.points), points);
  CHECK(hypervolume_ratio(exact.sweep.objectives(), points) > 0.999 * whole);
  CHECK(1 < whole);
}

TEST_CASE("full front without time is the sweep and says that it is not complete") {
  const PlanningProblem problem = layered_instance(20, 48, 6, 2);
  const FullFront front = full_front(problem, 0);
  CHECK_FALSE(front.complete);
  check_points(problem, front.points);
  CHECK(points_of(front.points) == points_of(exact_front(problem).sweep));
}

TEST_CASE("full front of a single point is complete without a search") {
  const FullFront front = full_front(make_instance(Eigen::MatrixXd::Ones(3, 4), {4, 4, 4}), 0);
  CHECK(front.complete);
  CHECK(front.points.size() == 1);
}
