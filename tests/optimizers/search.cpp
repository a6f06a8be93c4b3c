#include "strata/optimizers/search.h"

#include <tbb/global_control.h>

#include <algorithm>
#include <cmath>

#include "catch.h"
#include "fronts.h"
#include "instances.h"
#include "strata/core/error.h"
#include "strata/optimizers/exact_front.h"
#include "strata/optimizers/feasible.h"
#include "strata/optimizers/hypervolume.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

namespace {

/// From random assignments, which leave a search most to do.
SearchOptions with(std::int64_t evaluations, std::uint64_t seed = 1) {
  return {.start = "random", .evaluations = evaluations, .population = 20, .seed = seed};
}

/// Every score times exp(noise · normal), in whole numbers.
PlanningProblem drifted(PlanningProblem problem, double noise) {
  Random random(7);
  for (Eigen::Index e = 0; e < problem.importance.size(); ++e) {
    double& score = problem.importance.data()[e];
    score = std::floor(score * std::exp(noise * random.normal()));
  }
  return problem;
}

std::vector<Assignment> assignments_of(const FrontPoints& points) {
  std::vector<Assignment> assignments;
  for (const FrontPoint& point : points) assignments.push_back(point.assignment);
  return assignments;
}

/// Nothing of the warm start, made feasible, is better than the front in both objectives.
void check_not_below(const PlanningProblem& problem, const std::vector<FrontPoint>& front,
                     const std::vector<Assignment>& warm_start) {
  const Assignment feasible = feasible_assignment(problem);
  for (Assignment assignment : warm_start) {
    repair(problem, feasible, assignment);
    const Objectives warm = evaluate(problem, assignment);
    REQUIRE(std::any_of(front.begin(), front.end(), [&](const FrontPoint& point) {
      return point.objectives.importance >= warm.importance &&
             point.objectives.usage_variance <= warm.usage_variance;
    }));
  }
}

std::vector<Assignment> random_matrices(const PlanningProblem& problem, int count) {
  Random random(3);
  std::vector<Assignment> matrices(count,
                                   Assignment::Zero(problem.client_count(), problem.unit_count()));
  for (Assignment& matrix : matrices) {
    for (Eigen::Index e = 0; e < matrix.size(); ++e)
      matrix.data()[e] = static_cast<std::uint8_t>(random.below(2));
  }
  return matrices;
}

}  // namespace

TEST_CASE("fronts of every algorithm and start are feasible, nondominated and within budget") {
  const PlanningProblem problem = layered_instance(9, 24, 4, 1);
  for (const std::string& algorithm : search_algorithms()) {
    for (const std::string& start : search_starts()) {
      CAPTURE(algorithm, start);
      SearchOptions options = with(1200);
      options.start = start;
      const SearchResult result = search(problem, algorithm, options);
      CHECK(result.evaluations == 1200);
      check_front(problem, result.front);
      CHECK(result.log.empty());
    }
  }
}

TEST_CASE("rules, coverage, budgets of a resource and further objectives: every plan is feasible") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    for (const std::string& algorithm : search_algorithms()) {
      CAPTURE(seed, algorithm);
      const PlanningProblem ruled = tiny_ruled_instance(seed);
      check_front(ruled, search(ruled, algorithm, with(300, seed)).front);
      const PlanningProblem resource = tiny_resource_instance(seed);
      check_front(resource, search(resource, algorithm, with(300, seed)).front);
    }
  }
}

TEST_CASE("each of Strata's metaheuristics finds the exact hull of small instances") {
  for (const std::string& algorithm : metaheuristics()) {
    for (std::uint64_t seed = 1; seed <= 15; ++seed) {
      CAPTURE(algorithm, seed);
      const PlanningProblem problem = tiny_instance(seed);
      const SearchResult result = search(problem, algorithm, with(3000, seed));
      const auto exact = exact_front(problem).points.objectives();
      CHECK(hypervolume_ratio(objectives_of(result.front), exact) >= 1 - 1e-12);
    }
  }
}

TEST_CASE("from random starts each of the five beats pagmo's NSGA-II, from greedy ones more so") {
  const PlanningProblem problem = layered_instance(20, 48, 6, 3);
  const auto exact = exact_front(problem).points.objectives();
  const auto ratio = [&](const std::string& algorithm, const std::string& start) {
    SearchOptions options = with(5000);
    options.population = 100;
    options.start = start;
    return hypervolume_ratio(objectives_of(search(problem, algorithm, options).front), exact);
  };
  const double stock = ratio("pagmo:nsga2", "random");
  for (const std::string& algorithm : metaheuristics()) {
    CAPTURE(algorithm);
    const double random = ratio(algorithm, "random");
    CHECK(random > stock);
    CHECK(ratio(algorithm, "greedy") > random);
    CHECK(ratio(algorithm, "exact") > 0.99);
  }
}

TEST_CASE("a search depends on its seed, and neither on threads nor on logging") {
  const PlanningProblem problem = layered_instance(6, 12, 3, 1);
  for (const std::string& algorithm : search_algorithms()) {
    CAPTURE(algorithm);
    const SearchOptions options = with(1000, 5);
    const auto a = search(problem, algorithm, options).front;
    {
      const tbb::global_control one(tbb::global_control::max_allowed_parallelism, 1);
      CHECK(same(a, search(problem, algorithm, options).front));
    }
    CHECK(same(a, search(problem, algorithm, options, Objectives{0, 100}).front));
    CHECK_FALSE(same(a, search(problem, algorithm, with(1000, 6)).front));
  }
}

TEST_CASE("the log's hypervolume grows to that of the front") {
  const PlanningProblem problem = layered_instance(9, 24, 4, 1);
  for (const std::string& algorithm : search_algorithms()) {
    CAPTURE(algorithm);
    const auto exact = exact_front(problem).points;
    const Objectives reference{exact.front().objectives.importance,
                               exact.back().objectives.usage_variance};
    const SearchResult result = search(problem, algorithm, with(2000), reference);
    REQUIRE_FALSE(result.log.empty());
    for (std::size_t i = 1; i < result.log.size(); ++i) {
      CHECK(result.log[i].evaluations > result.log[i - 1].evaluations);
      CHECK(result.log[i].hypervolume >= result.log[i - 1].hypervolume * (1 - 1e-12));
      CHECK(result.log[i].seconds >= result.log[i - 1].seconds);
    }
    CHECK(result.log.back().evaluations == result.evaluations);
    CHECK(result.log.back().hypervolume ==
          Approx(hypervolume(objectives_of(result.front), reference)));
  }
}

TEST_CASE("islands: several populations whose result is the same every time") {
  const PlanningProblem problem = layered_instance(9, 24, 4, 1);
  for (const std::string& algorithm : metaheuristics()) {
    CAPTURE(algorithm);
    SearchOptions options = with(4000);
    options.islands = 3;
    const SearchResult a = search(problem, algorithm, options);
    check_front(problem, a.front);
    CHECK(a.evaluations <= 4000);
    CHECK(a.evaluations > 3900);
    CHECK(same(a.front, search(problem, algorithm, options).front));
  }
}

TEST_CASE("fewer evaluations than the population, and nothing to choose") {
  const PlanningProblem problem = layered_instance(4, 6, 2, 1);
  CHECK(search(problem, "nsga2", with(1)).evaluations == 1);
  CHECK(search(problem, "aco", with(20)).evaluations == 20);
  const PlanningProblem none = make_instance(Eigen::MatrixXd::Ones(2, 2), {0, 2});
  for (const std::string& algorithm : search_algorithms())
    CHECK(search(none, algorithm, with(100)).front.size() == 1);
}

TEST_CASE("a time limit ends a search early") {
  SearchOptions options = with(2'000'000'000);
  options.seconds = 0.05;
  const PlanningProblem problem = layered_instance(9, 24, 4, 1);
  const SearchResult result = search(problem, "annealing", options);
  CHECK(result.evaluations < 2'000'000'000);
  check_front(problem, result.front);
  options.islands = 3;
  const SearchResult islands = search(problem, "annealing", options);
  CHECK(islands.evaluations < 2'000'000'000);
  check_front(problem, islands.front);
}

TEST_CASE("a warm search ends with nothing worse than the earlier front") {
  const PlanningProblem before = layered_instance(9, 24, 4, 1);
  const PlanningProblem problem = drifted(before, 0.05);
  const auto warm_start = assignments_of(exact_front(before).sweep);
  REQUIRE(warm_start.size() > 40);
  REQUIRE(warm_start.size() <= 200);
  for (const std::string& algorithm : search_algorithms()) {
    CAPTURE(algorithm);
    SearchOptions options = with(400);
    options.warm_start = warm_start;
    const SearchResult result = search(problem, algorithm, options);
    CHECK(result.evaluations == 400);
    check_front(problem, result.front);
    check_not_below(problem, result.front, warm_start);
  }
  for (const std::string& algorithm : metaheuristics()) {
    CAPTURE(algorithm);
    SearchOptions options = with(1200);
    options.islands = 3;
    options.warm_start = warm_start;
    const SearchResult result = search(problem, algorithm, options);
    CHECK(result.evaluations <= 1200);
    check_front(problem, result.front);
    check_not_below(problem, result.front, warm_start);
    CHECK(same(result.front, search(problem, algorithm, options).front));
  }
}

TEST_CASE("from either start a warm search beats a cold one where scores moved a little") {
  const PlanningProblem before = layered_instance(20, 48, 6, 3);
  const PlanningProblem problem = drifted(before, 0.03);
  const auto exact = exact_front(problem).points.objectives();
  for (const std::string& algorithm : metaheuristics()) {
    for (const std::string start : {"random", "greedy"}) {
      CAPTURE(algorithm, start);
      SearchOptions options = with(2000);
      options.population = 100;
      options.start = start;
      const double cold =
          hypervolume_ratio(objectives_of(search(problem, algorithm, options).front), exact);
      options.warm_start = assignments_of(search(before, algorithm, options).front);
      CHECK(hypervolume_ratio(objectives_of(search(problem, algorithm, options).front), exact) >
            cold);
    }
  }
}

TEST_CASE("a warm start may break budgets, rules and coverage: it is repaired") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    for (const std::string& algorithm : search_algorithms()) {
      CAPTURE(seed, algorithm);
      SearchOptions options = with(300, seed);
      const PlanningProblem ruled = tiny_ruled_instance(seed);
      options.warm_start = random_matrices(ruled, 30);
      const auto front = search(ruled, algorithm, options).front;
      check_front(ruled, front);
      check_not_below(ruled, front, options.warm_start);
      const PlanningProblem resource = tiny_resource_instance(seed);
      options.warm_start = random_matrices(resource, 30);
      check_front(resource, search(resource, algorithm, options).front);
    }
  }
}

TEST_CASE("budgets of a resource: who is new in a warm start gets its best units") {
  PlanningProblem problem = make_instance(Eigen::MatrixXd::Ones(3, 4), {});
  problem.importance.row(1) << 1, 4, 3, 2;
  problem.resource = "bytes";
  problem.unit_costs = {1, 1, 1, 1};
  problem.capacities = {2, 2, 2};
  SearchOptions options = with(1);
  Assignment first = Assignment::Zero(3, 4), second = first;
  first(0, 0) = 1;
  second(2, 3) = 1;
  options.warm_start = {first, second};
  // One evaluation is all there is, so the front is the repaired first assignment.
  const auto front = search(problem, "annealing", options).front;
  REQUIRE(front.size() == 1);
  first.row(1) << 0, 1, 1, 0;
  CHECK(front[0].assignment == first);
}

TEST_CASE("at most half of the evaluations go to a warm start, each assignment once") {
  const PlanningProblem problem = layered_instance(9, 24, 4, 1);
  SearchOptions options = with(10);
  options.warm_start = assignments_of(exact_front(problem).sweep);
  CHECK(search(problem, "nsga2", options).evaluations == 10);
  // The front's ends are always among them.
  options.evaluations = 3;
  const auto front = search(problem, "nsga2", options).front;
  const auto exact = exact_front(problem).points;
  CHECK(front.front().objectives.usage_variance == exact.front().objectives.usage_variance);
  CHECK(front.back().objectives.importance == exact.back().objectives.importance);

  options = with(600);
  options.warm_start = assignments_of(exact);
  const auto once = search(problem, "nsga2", options).front;
  for (const Assignment& assignment : assignments_of(exact))
    options.warm_start.push_back(assignment);
  CHECK(same(once, search(problem, "nsga2", options).front));
}

TEST_CASE("a warm search depends on its arguments, not on threads") {
  const PlanningProblem problem = layered_instance(6, 12, 3, 1);
  for (const std::string& algorithm : search_algorithms()) {
    CAPTURE(algorithm);
    SearchOptions options = with(600, 5);
    const auto cold = search(problem, algorithm, options).front;
    options.warm_start = random_matrices(problem, 40);
    const auto warm = search(problem, algorithm, options).front;
    CHECK_FALSE(same(cold, warm));
    const tbb::global_control one(tbb::global_control::max_allowed_parallelism, 1);
    CHECK(same(warm, search(problem, algorithm, options).front));
  }
}

TEST_CASE("search names the option that is out of range") {
  const PlanningProblem problem = layered_instance(4, 6, 2, 1);
  const auto error = [&](auto change, const std::string& algorithm = "nsga2") {
    SearchOptions options;
    change(options);
    try {
      search(problem, algorithm, options);
    } catch (const InputError& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  CHECK(error([](auto& o) { o.population = 10; }) ==
        "population: found 10, allowed is a multiple of 4 that is at least 8");
  CHECK(error([](auto& o) { o.evaluations = 0; }) == "evaluations: found 0, allowed is 1 or more");
  CHECK(error([](auto& o) { o.islands = 0; }) == "islands: found 0, allowed is 1 or more");
  CHECK(error([](auto& o) { o.islands = 2; }, "pagmo:maco") ==
        "islands: found 2 with pagmo:maco, allowed is 1; islands are for Strata's own "
        "algorithms");
  CHECK(error([](auto& o) { o.start = "gredy"; }) ==
        "start: unknown name \"gredy\" (did you mean \"greedy\"?); allowed: \"random\", "
        "\"greedy\", \"exact\"");
  CHECK(error([](auto& o) {
          o.warm_start = {Assignment::Zero(4, 6), Assignment::Zero(4, 5)};
        }) == "warm_start: assignment 1: found 4 clients and 5 units, the problem has 4 and 6");
  CHECK(error([](auto& o) { o.warm_start = {Assignment::Constant(4, 6, 2)}; }) ==
        "warm_start: assignment 0: found an entry of 2, allowed are 0 and 1");
}
