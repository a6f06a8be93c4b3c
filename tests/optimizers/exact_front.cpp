#include "strata/optimizers/exact_front.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "catch.h"
#include "flow_oracle.h"
#include "instances.h"
#include "optimizers/exchange_graph.h"
#include "strata/core/error.h"
#include "strata/optimizers/full_front.h"
#include "strata/optimizers/make_plan.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

namespace {

std::vector<Point> points_of(const ExactFront& front) {
  std::vector<Point> points;
  for (const FrontPoint& point : front.points) {
    points.emplace_back(sum_of_squares(point.assignment),
                        std::llround(point.objectives.importance));
  }
  return points;
}

std::vector<Point> enumerated_hull(const PlanningProblem& problem) {
  std::map<std::int64_t, std::int64_t> best;
  for_each_assignment(problem, [&](const Assignment& assignment) {
    if (!is_feasible(problem, assignment)) return;
    const auto importance = std::llround(evaluate(problem, assignment).importance);
    const auto [at, fresh] = best.emplace(sum_of_squares(assignment), importance);
    if (!fresh) at->second = std::max<std::int64_t>(at->second, importance);
  });
  std::vector<Point> nondominated;
  for (const auto& [squares, importance] : best) {
    if (nondominated.empty() || importance > nondominated.back().second) {
      nondominated.emplace_back(squares, importance);
    }
  }
  return upper_hull(nondominated);
}

// Feasible, with objectives as evaluated from scratch, sorted, none dominated.
void check_points(const PlanningProblem& problem, const FrontPoints& points) {
  REQUIRE_FALSE(points.empty());
  std::size_t i = 0;
  for (const FrontPoint& point : points) {
    REQUIRE(is_feasible(problem, point.assignment));
    const Objectives again = evaluate(problem, point.assignment);
    REQUIRE(point.objectives.importance == again.importance);
    REQUIRE(point.objectives.usage_variance == again.usage_variance);
    REQUIRE(point.objectives.uplink_bytes == again.uplink_bytes);
    REQUIRE(point.objectives.slowest_seconds == again.slowest_seconds);
    if (i++ == 0) continue;
    REQUIRE(point.objectives.importance > points.objectives()[i - 2].importance);
    REQUIRE(point.objectives.usage_variance > points.objectives()[i - 2].usage_variance);
  }
}

bool contains(const FrontPoints& points, const FrontPoint& point) {
  const std::vector<Objectives>& all = points.objectives();
  return std::any_of(all.begin(), all.end(), [&](const Objectives& other) {
    return other.importance == point.objectives.importance &&
           other.usage_variance == point.objectives.usage_variance;
  });
}

void check_invariants(const PlanningProblem& problem, const ExactFront& front) {
  check_points(problem, front.points);
  check_points(problem, front.sweep);
  for (const FrontPoint& point : front.points) {
    REQUIRE(front.importance_bound(point.objectives.usage_variance) == point.objectives.importance);
    REQUIRE(contains(front.sweep, point));
  }
  for (const FrontPoint& point : front.sweep) {
    const double bound = front.importance_bound(point.objectives.usage_variance);
    REQUIRE(point.objectives.importance <= bound * (1 + 1e-14));
  }
}

// At the breakpoint between two vertices both must be optimal: no vertex is missing between them.
// Inside an interval of weights (at the mediant of its breakpoints) the vertex they share must be.
void check_by_flow(const PlanningProblem& problem, const ExactFront& front, bool inside) {
  FlowOracle oracle(problem);
  const std::vector<Point> points = points_of(front);
  REQUIRE(points.size() > 2);
  const auto check = [&](const Point& point, std::int64_t q, std::int64_t p) {
    const Point best = oracle.solve(q, p);
    REQUIRE(q * point.second - p * point.first == q * best.second - p * best.first);
  };
  for (std::size_t i = 1; i < points.size(); ++i) {
    const std::int64_t q = points[i].first - points[i - 1].first;
    const std::int64_t p = points[i].second - points[i - 1].second;
    check(points[i - 1], q, p);
    if (!inside || i + 1 == points.size()) continue;
    check(points[i], q + points[i + 1].first - points[i].first,
          p + points[i + 1].second - points[i].second);
  }
}

/// By descending Σ n²; the scores must be whole numbers.
std::vector<Point> sweep_of(const ExactFront& front) {
  std::vector<Point> points;
  for (const FrontPoint& point : front.sweep) {
    points.emplace_back(sum_of_squares(point.assignment),
                        std::llround(point.objectives.importance));
  }
  std::reverse(points.begin(), points.end());
  return points;
}

/// The way along the hull from the greatest importance: after the exchanges that cost nothing, one
/// point before each exchange and the last one. `visit(graph, next)` sees each such exchange.
template <typename Visit>
std::vector<Point> walk(const PlanningProblem& problem, Visit visit) {
  const QuantisedScores scores = quantise_scores(problem.importance);
  const auto here = [&](const ExchangeGraph& graph) {
    return Point(graph.sum_of_squares(), graph.importance() >> scores.shift);
  };
  ExchangeGraph graph = greatest_importance(problem, scores);
  ShortestPaths paths;
  std::vector<Point> points;
  for (Slope slope;;) {
    const Exchange next = graph.best_exchange(slope, paths);
    if (next.from < 0 || next.cost > 0) points.push_back(here(graph));
    if (next.from < 0) return points;
    if (next.cost > 0) visit(graph, next, scores.shift);
    slope = {next.cost, next.gain};
    graph.apply(graph.swaps(paths, next.to));
  }
}

}  // namespace

TEST_CASE("exact front equals the hull of all assignments on 400 small instances") {
  int with_many_points = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    CAPTURE(seed);
    const PlanningProblem problem = tiny_instance(seed);
    const ExactFront front = exact_front(problem);
    check_invariants(problem, front);
    REQUIRE(points_of(front) == enumerated_hull(problem));
    with_many_points += front.points.size() > 2;
  }
  CHECK(with_many_points > 40);  // the instances are not trivial
}

TEST_CASE("exact front equals the hull of all feasible assignments under rules and coverage") {
  int with_many_points = 0, coverage_matters = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    CAPTURE(seed);
    PlanningProblem problem = tiny_ruled_instance(seed);
    const ExactFront front = exact_front(problem);
    check_invariants(problem, front);
    const std::vector<Point> points = points_of(front);
    REQUIRE(points == enumerated_hull(problem));
    with_many_points += points.size() > 1;
    problem.coverage.clear();
    coverage_matters += points_of(exact_front(problem)) != points;
  }
  CHECK(with_many_points > 40);
  CHECK(coverage_matters > 40);
}

TEST_CASE("no assignment is above the importance bound") {
  for (std::uint64_t seed = 1; seed <= 120; ++seed) {
    const PlanningProblem problem = seed % 2 == 0 ? tiny_instance(seed) : tiny_ruled_instance(seed);
    const ExactFront front = exact_front(problem);
    double worst = std::numeric_limits<double>::infinity();
    for_each_assignment(problem, [&](const Assignment& assignment) {
      if (!is_feasible(problem, assignment)) return;
      const Objectives objectives = evaluate(problem, assignment);
      worst = std::min(worst,
                       front.importance_bound(objectives.usage_variance) - objectives.importance);
    });
    REQUIRE(worst > -1e-9);
  }
}

TEST_CASE("exact front equals min-cost flow at 9 x 24") {
  const PlanningProblem problem = layered_instance(9, 24, 4, 1);
  const ExactFront front = exact_front(problem);
  check_invariants(problem, front);
  check_by_flow(problem, front, true);
  FlowOracle oracle(problem);
  CHECK(points_of(front) == hull_by_dichotomy(problem, oracle));
}

TEST_CASE("exact front equals min-cost flow at 20 x 48") {
  PlanningProblem problem = layered_instance(20, 48, 6, 2);
  for (int c = 0; c < 20; ++c) problem.budgets[c] = 1 + c % 9;
  const ExactFront front = exact_front(problem);
  check_invariants(problem, front);
  check_by_flow(problem, front, true);
  FlowOracle oracle(problem);
  CHECK(points_of(front) == hull_by_dichotomy(problem, oracle));
}

TEST_CASE("exact front equals min-cost flow at 100 x 48") {
  const PlanningProblem problem = layered_instance(100, 48, 4, 3);
  const ExactFront front = exact_front(problem);
  check_invariants(problem, front);
  check_by_flow(problem, front, false);
}

TEST_CASE("importance bound: exact at the points, linear between, constant beyond the last") {
  // Both clients want unit 0. Sharing it: importance 5 + 4, usages (2, 0). Giving it to client 0
  // alone: 5 + 1, usages (1, 1).
  Eigen::MatrixXd importance(2, 2);
  importance << 5, 0, 4, 1;
  const ExactFront front = exact_front(make_instance(importance, {1, 1}));
  REQUIRE(front.points.size() == 2);
  CHECK(front.points[0].objectives.importance == 6);
  CHECK(front.points[0].objectives.usage_variance == 0);
  CHECK(front.points[1].objectives.importance == 9);
  CHECK(front.points[1].objectives.usage_variance == 1);
  CHECK(front.importance_bound(0.5) == Approx(7.5));
  CHECK(front.importance_bound(1) == 9);
  CHECK(front.importance_bound(7) == 9);
  CHECK(front.importance_bound(-0.1) == -std::numeric_limits<double>::infinity());
}

TEST_CASE("exact front of problems with one outcome") {
  const auto single = [](const Eigen::MatrixXd& importance, std::vector<int> budgets) {
    return exact_front(make_instance(importance, std::move(budgets)));
  };
  CHECK(single(Eigen::MatrixXd::Ones(3, 4), {0, 0, 0}).points.size() == 1);
  CHECK(single(Eigen::MatrixXd::Ones(3, 4), {4, 4, 4}).points.size() == 1);
  CHECK(single(Eigen::MatrixXd::Constant(1, 1, 0.3), {1}).points.size() == 1);
  CHECK(single(Eigen::MatrixXd::Random(1, 9).cwiseAbs(), {3}).points.size() == 1);
  // Equal scores: the exchanges that cost nothing come first, so the only point is perfectly even.
  const ExactFront even = single(Eigen::MatrixXd::Constant(4, 4, 0.25), {2, 2, 2, 2});
  REQUIRE(even.points.size() == 1);
  CHECK(even.points[0].objectives.usage_variance == 0);
  const ExactFront zeros = single(Eigen::MatrixXd::Zero(4, 2), {1, 1, 1, 1});
  REQUIRE(zeros.points.size() == 1);
  CHECK(zeros.points[0].objectives.usage_variance == 0);
}

TEST_CASE("exact front does not depend on the scale of the scores") {
  PlanningProblem problem = layered_instance(9, 24, 4, 5);
  const std::vector<Point> points = points_of(exact_front(problem));
  problem.importance = problem.importance * 0x1p-300;
  const ExactFront scaled = exact_front(problem);
  REQUIRE(scaled.points.size() == points.size());
  for (std::size_t i = 0; i < points.size(); ++i) {
    CHECK(sum_of_squares(scaled.points[i].assignment) == points[i].first);
  }
}

TEST_CASE("quantised scores keep whole numbers and cannot overflow") {
  Eigen::MatrixXd scores(2, 2);
  scores << 3, 0, 1, 0.1;
  const QuantisedScores quantised = quantise_scores(scores);
  CHECK(quantised.values(0, 0) == 3 * quantised.values(1, 0));
  CHECK(quantised.values(0, 1) == 0);
  CHECK(std::abs(std::ldexp(static_cast<double>(quantised.values(1, 1)), -quantised.shift) - 0.1) <
        3 * 0x1p-50);
  const QuantisedScores large = quantise_scores(Eigen::MatrixXd::Constant(100, 48, 1e300));
  CHECK(large.values(0, 0) <= (std::int64_t{1} << 60) / 4800);
  CHECK(quantise_scores(Eigen::MatrixXd::Zero(2, 3)).values.isZero());
}

TEST_CASE("a front takes the memory of what its points differ in, not of every assignment") {
  const PlanningProblem problem = layered_instance(100, 96, 6, 4);
  const ExactFront front = exact_front(problem, {.sweep = false});
  const std::size_t whole = front.points.size() * 100 * 96;
  CHECK(front.points.size() > 100);
  CHECK(front.points.assignments().bytes() < whole / 20);
  CHECK(make_plan(problem, {}).archive.bytes() < whole / 20);
}

TEST_CASE("the sweep can be left out, and is thinned where it would need too much memory") {
  const PlanningProblem problem = layered_instance(20, 48, 6, 4);
  const ExactFront whole = exact_front(problem);
  CHECK(whole.sweep.size() > 2 * whole.points.size());
  const ExactFront without = exact_front(problem, {.sweep = false});
  CHECK(without.sweep.empty());
  CHECK(points_of(without) == points_of(whole));
  for (const std::size_t most : {200u, 30u}) {
    const ExactFront thin = exact_front(problem, {.sweep = true, .sweep_bytes = most * 20 * 48});
    check_points(problem, thin.sweep);
    CHECK(thin.sweep.size() > most / 4);
    CHECK(thin.sweep.size() <= most + 1);
    CHECK(contains(thin.sweep, whole.sweep.front()));
    CHECK(contains(thin.sweep, whole.sweep.back()));
    CHECK(points_of(thin) == points_of(whole));
    std::size_t unsupported = 0;
    for (const FrontPoint& point : thin.sweep) {
      CHECK(contains(whole.sweep, point));
      unsupported += !contains(whole.points, point);
    }
    CHECK((unsupported > 0) == (most > whole.points.size()));
  }
}

TEST_CASE("under the hull the sweep has the nondominated single exchanges, none left out") {
  std::size_t unsupported = 0;
  for (const PlanningProblem& problem :
       {layered_instance(9, 24, 4, 1), layered_instance(20, 48, 6, 4),
        layered_instance(30, 24, 5, 2), layered_instance(50, 16, 4, 3)}) {
    std::vector<Point> expected;
    const auto add = [&](const ExchangeGraph& graph, const Exchange& next, int shift) {
      // Over all pairs of units, by distances that nothing is left out of.
      const Distances distances(graph);
      std::map<std::int64_t, std::int64_t, std::greater<>> cost_of_gain;
      for (int x = 0; x < graph.units(); ++x) {
        for (int y = 0; graph.may_lose(x) && y < graph.units(); ++y) {
          const std::int64_t gain = graph.usage()[x] - graph.usage()[y] - 1;
          if (gain < 1 || gain >= next.gain || !distances.reaches(x, y)) continue;
          const auto [at, fresh] = cost_of_gain.emplace(gain, distances(x, y));
          if (!fresh) at->second = std::min(at->second, distances(x, y));
        }
      }
      std::int64_t least = next.cost;
      for (const auto& [gain, cost] : cost_of_gain) {
        if (cost >= least) continue;
        least = cost;
        expected.emplace_back(graph.sum_of_squares() - 2 * gain,
                              (graph.importance() - cost) >> shift);
      }
    };
    const std::vector<Point> supported = walk(problem, add);
    unsupported += expected.size();
    expected.insert(expected.end(), supported.begin(), supported.end());
    std::sort(expected.begin(), expected.end(), std::greater<>());
    CHECK(sweep_of(exact_front(problem)) == expected);
  }
  CHECK(unsupported > 200);
}

TEST_CASE("a thinned sweep has every 2nd, 4th, ... exchange from the first that costs something") {
  int with_free_ones = 0;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    PlanningProblem problem = layered_instance(12, 24, 5, seed);
    // Coarse scores tie, and the first exchanges cost nothing.
    for (double& score : problem.importance.reshaped()) score = 1 + std::floor(score / 100000);
    const auto none = [](const ExchangeGraph&, const Exchange&, int) {};
    const std::vector<Point> supported = walk(problem, none);
    const auto first = greatest_importance(problem, quantise_scores(problem.importance));
    with_free_ones += supported[0].first < first.sum_of_squares();
    for (const std::size_t most : {24u, 12u, 6u}) {
      CAPTURE(seed, most);
      const std::vector<Point> sweep =
          sweep_of(exact_front(problem, {.sweep = true, .sweep_bytes = most * 12 * 24}));
      REQUIRE(sweep.size() > 2);
      std::vector<Point> expected;
      for (std::size_t every = 2; every < supported.size() && expected != sweep; every *= 2) {
        expected.clear();
        for (std::size_t i = 0; i + 1 < supported.size(); i += every)
          expected.push_back(supported[i]);
        expected.push_back(supported.back());
      }
      CHECK(sweep == expected);
    }
  }
  CHECK(with_free_ones > 2);
}

TEST_CASE("exact front reports further objectives without optimising them") {
  PlanningProblem problem = layered_instance(6, 8, 3, 6);
  const std::vector<Point> points = points_of(exact_front(problem));
  for (int x = 0; x < 8; ++x) problem.uplink_bytes.push_back(1000 + x);
  problem.seconds = Eigen::MatrixXd::Constant(6, 8, 0.1);
  const ExactFront front = exact_front(problem);
  check_invariants(problem, front);
  CHECK(points_of(front) == points);
  CHECK(front.points[0].objectives.uplink_bytes > 18000);
  CHECK(front.points[0].objectives.slowest_seconds == Approx(0.3));
}

TEST_CASE("exact front names the units whose coverage cannot be met together") {
  PlanningProblem problem = make_instance(Eigen::MatrixXd::Ones(2, 3), {1, 1});
  problem.coverage = {1, 1, 1};
  CHECK_THROWS_WITH(exact_front(problem),
                    "the coverage cannot be met with these budgets and rules; at best, unit "
                    "\"unit2\" by 0 of 1 clients");
}

TEST_CASE("exact front refuses budgets of a resource and says what to use") {
  PlanningProblem problem = make_instance(Eigen::MatrixXd::Ones(2, 2), {});
  problem.resource = "bytes";
  problem.unit_costs = {1, 2};
  problem.capacities = {3, 3};
  CHECK_THROWS_WITH(exact_front(problem),
                    "the exact front needs budgets that count units, but these are of bytes; use "
                    "--algorithm prices");
  CHECK_THROWS_AS(full_front(problem, 1), InputError);
}

TEST_CASE("exact front refuses an invalid problem") {
  CHECK_THROWS_AS(exact_front(make_instance(Eigen::MatrixXd::Ones(1, 2), {3})), InputError);
  Eigen::MatrixXd importance = Eigen::MatrixXd::Ones(1, 2);
  importance(0, 1) = -1;
  CHECK_THROWS_AS(exact_front(make_instance(importance, {1})), InputError);
}
