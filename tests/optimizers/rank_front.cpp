// LoRA ranks as what is assigned: the exact front over integer assignments, and its baselines.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include "catch.h"
#include "flow_oracle.h"
#include "instances.h"
#include "optimizers/exchange_graph.h"
#include "ranks.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "strata/optimizers/baselines.h"
#include "strata/optimizers/certificate.h"
#include "strata/optimizers/exact_front.h"
#include "strata/optimizers/feasible.h"
#include "strata/optimizers/full_front.h"
#include "strata/optimizers/instances.h"
#include "strata/optimizers/make_plan.h"
#include "strata/optimizers/price_front.h"
#include "strata/optimizers/search.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

namespace {

/// Scores are multiples of 6, so that halves and thirds are whole, and often alike or 0.
PlanningProblem small_problem(Random& random) {
  PlanningProblem problem;
  const int clients = 2 + static_cast<int>(random.below(2)), units = 3;
  problem.ranks = 2 + static_cast<int>(random.below(2));
  problem.importance.resize(clients, units);
  for (int l = 0; l < units; ++l) problem.units.push_back("u" + std::to_string(l));
  for (int i = 0; i < clients; ++i) {
    problem.clients.push_back("c" + std::to_string(i));
    problem.budgets.push_back(static_cast<int>(random.below(units * problem.ranks + 1)));
    for (int l = 0; l < units; ++l)
      problem.importance(i, l) = 6.0 * static_cast<double>(random.below(random.below(2) ? 3 : 20));
  }
  return problem;
}

void add_rules(Random& random, PlanningProblem& problem) {
  problem.rules.assign(problem.clients.size() * problem.units.size(), Rule::kFree);
  for (std::size_t i = 0; i < problem.clients.size(); ++i) {
    Rule* row = &problem.rules[i * problem.units.size()];
    if (random.below(2) && problem.budgets[i] > 0) row[random.below(2)] = Rule::kPinned;
    if (random.below(2) && problem.budgets[i] <= 2 * problem.ranks) row[2] = Rule::kForbidden;
  }
  problem.coverage.assign(problem.units.size(), 0);
  problem.coverage[random.below(2)] = static_cast<int>(random.below(3));
}

/// The vertices of the upper hull of all assignments: (Σ n², importance), by ascending Σ n².
std::vector<Point> enumerated_hull(const PlanningProblem& problem) {
  std::map<std::int64_t, std::int64_t> best;
  for_each_ranks(problem, [&](const Assignment& assignment) {
    const auto importance = std::llround(evaluate(problem, assignment).importance);
    const auto [at, fresh] = best.emplace(sum_of_squares(assignment), importance);
    if (!fresh) at->second = std::max<std::int64_t>(at->second, importance);
  });
  std::vector<Point> nondominated;
  for (const auto& [squares, importance] : best)
    if (nondominated.empty() || importance > nondominated.back().second)
      nondominated.emplace_back(squares, importance);
  return upper_hull(nondominated);
}

std::vector<Point> vertices(const ExactFront& front) {
  std::vector<Point> points;
  for (const FrontPoint& point : front.points)
    points.emplace_back(sum_of_squares(point.assignment),
                        std::llround(point.objectives.importance));
  return points;
}

PlanningProblem large_problem(int ranks) {
  PlanningProblem problem = generate_instance(9, 24, 1);
  problem.ranks = ranks;
  for (int& budget : problem.budgets) budget *= 4;
  return problem;
}

}  // namespace

TEST_CASE("the k-th rank of a unit adds its score over k, and usage counts ranks") {
  PlanningProblem problem;
  problem.clients = {"a", "b"};
  problem.units = {"x", "y"};
  problem.importance = Eigen::MatrixXd{{12, 6}, {1, 6}};
  problem.budgets = {4, 1};
  problem.ranks = 3;
  Assignment assignment(2, 2);
  assignment << 3, 1, 0, 1;
  CHECK(is_feasible(problem, assignment));
  const Objectives objectives = evaluate(problem, assignment);
  CHECK(objectives.importance == 12 + 6 + 4 + 6 + 6);
  CHECK(objectives.usage_variance == 0.25);  // 3 and 2
  CHECK(spent(problem, assignment) == std::vector<std::int64_t>{4, 1});
  assignment(0, 0) = 4;
  assignment(0, 1) = 0;
  CHECK_FALSE(is_feasible(problem, assignment));  // above the largest rank
}

TEST_CASE(
    "the front of ranks is that of all assignments, with rules and coverage, where scores tie") {
  int compared = 0, with_rules = 0;
  for (std::uint64_t seed = 1; seed <= 250; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    PlanningProblem problem = small_problem(random);
    if (seed % 2) add_rules(random, problem);
    const std::vector<Point> expected = enumerated_hull(problem);
    if (expected.empty()) {
      CHECK_THROWS_AS(exact_front(problem), InputError);
      continue;
    }
    const ExactFront front = exact_front(problem);
    CHECK(vertices(front) == expected);
    for (const FrontPoints* points : {&front.points, &front.sweep}) {
      for (const FrontPoint& point : *points) {
        REQUIRE(is_feasible(problem, point.assignment));
        REQUIRE(point.objectives.importance == evaluate(problem, point.assignment).importance);
        REQUIRE(point.objectives.importance <=
                front.importance_bound(point.objectives.usage_variance) + 1e-9);
      }
    }
    ++compared;
    with_rules += seed % 2;
  }
  CHECK(compared > 200);
  CHECK(with_rules > 80);
}

TEST_CASE("exchanges leave the graph that would be made anew, of ranks and of units") {
  for (const int ranks : {1, 4}) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      CAPTURE(ranks, seed);
      PlanningProblem problem = generate_instance(6, 8, seed);
      problem.ranks = ranks;
      for (int& budget : problem.budgets) budget *= ranks;
      const QuantisedScores scores = quantise_scores(problem.importance, ranks);
      ExchangeGraph graph = greatest_importance(problem, scores);
      ShortestPaths paths;
      Slope slope;
      for (Exchange next = graph.best_exchange(slope, paths); next.from >= 0;
           next = graph.best_exchange(slope, paths)) {
        slope = {next.cost, next.gain};
        graph.apply(graph.swaps(paths, next.to));
        const ExchangeGraph anew(problem, scores, graph.assignment());
        REQUIRE(graph.importance() == anew.importance());
        REQUIRE(graph.usage() == anew.usage());
        for (int x = 0; x < graph.units(); ++x)
          for (int y = 0; y < graph.units(); ++y) REQUIRE(graph.weight(x, y) == anew.weight(x, y));
      }
    }
  }
}

TEST_CASE("one client's best ranks are Jefferson's apportionment of its budget") {
  PlanningProblem problem;
  problem.clients = {"parliament"};
  problem.units = {"a", "b", "c", "d"};
  problem.importance = Eigen::MatrixXd{{100000, 80000, 30000, 20000}};
  problem.budgets = {8};
  problem.ranks = 8;
  Assignment seats(1, 4);
  seats << 4, 3, 1, 0;  // the textbook's
  CHECK(top_k(problem) == seats);
  CHECK(exact_front(problem).points.objectives().back().importance ==
        Approx(evaluate(problem, seats).importance));
}

TEST_CASE("with the largest rank 1 ranks are units") {
  PlanningProblem problem = generate_instance(9, 24, 3);
  const ExactFront units = exact_front(problem);
  problem.ranks = 1;
  CHECK(exact_front(problem).points.objectives().size() == units.points.objectives().size());
  CHECK(quantise_scores(problem.importance, 8).shift <= quantise_scores(problem.importance).shift);
}

TEST_CASE("random ranks keep to budgets, rules and coverage, and follow from the seed") {
  PlanningProblem problem = large_problem(6);
  problem.rules.assign(problem.clients.size() * problem.units.size(), Rule::kFree);
  problem.rules[0] = Rule::kPinned;
  problem.rules[1] = Rule::kForbidden;
  const Assignment first = random_assignment(problem, 1);
  CHECK(is_feasible(problem, first));
  CHECK(first == random_assignment(problem, 1));
  CHECK_FALSE(first == random_assignment(problem, 2));
  CHECK(first.maxCoeff() > 1);
  // Nearly all ranks there are, so that a rank too many of the pinned unit would be drawn, too.
  for (int& budget : problem.budgets) budget = 23 * 6 - 2;
  for (std::uint64_t seed = 1; seed <= 5; ++seed)
    CHECK_FALSE(random_assignment(problem, seed) == top_k(problem));
  // So much that no draw has it: the best that has it takes its place.
  problem.coverage.assign(problem.units.size(), 0);
  problem.coverage[5] = 9 * 6;
  const Assignment covered = random_assignment(problem, 1);
  CHECK(is_feasible(problem, covered));
  CHECK(covered == top_k(problem));
}

TEST_CASE("plans of ranks: exact by itself, certified, and baselines beside it") {
  const PlanningProblem problem = large_problem(8);
  PlanOptions options;
  const Plan plan = make_plan(problem, options);
  CHECK(plan.algorithm == "exact");
  CHECK(plan.ranks == 8);
  CHECK(plan.counted == "ranks");
  CHECK(plan.used == plan.budgets);
  CHECK(plan.assignment.maxCoeff() > 1);
  CHECK(plan.gap.importance == 0);
  for (const std::string name : {"topk", "random"}) {
    options.algorithm = name;
    const Plan other = make_plan(problem, options);
    CHECK(is_feasible(problem, other.assignment));
    CHECK(other.gap.known);
    CHECK(other.gap.importance >= 0);
  }
}

TEST_CASE("what plans units alone refuses ranks and names what plans them") {
  const PlanningProblem problem = large_problem(8);
  const auto refuses = [&](const std::string& who, const std::function<void()>& plan) {
    CAPTURE(who);
    CHECK_THROWS_WITH(plan(), Catch::Contains(who) &&
                                  Catch::Contains("ranks are \"exact\", \"topk\", \"random\""));
  };
  for (const std::string name : {"prices", "nsga2", "pagmo:nsga2", "greedy", "roundrobin"}) {
    refuses("the algorithm " + name, [&] {
      PlanOptions options;
      options.algorithm = name;
      make_plan(problem, options);
    });
  }
  refuses("greedy", [&] { greedy_by_price(problem, 1); });
  refuses("greedy", [&] { greedy_front(problem, 3); });
  refuses("roundrobin", [&] { round_robin(problem); });
  refuses("prices", [&] { price_front(problem); });
  refuses("nsga2", [&] { search(problem, "nsga2", {}); });
  refuses("feasible", [&] { feasible_assignment(problem); });
  refuses("full front", [&] { full_front(problem, 1); });
  refuses("full front", [&] {
    PlanOptions options;
    options.full_front_seconds = 1;
    make_plan(problem, options);
  });
}

TEST_CASE("ranks go with budgets of ranks and two objectives, within 1 and 255") {
  const auto message = [](const std::function<void(PlanningProblem&)>& change) {
    PlanningProblem problem = large_problem(8);
    change(problem);
    try {
      problem.validate();
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(message([](PlanningProblem&) {}).empty());
  CHECK(message([](PlanningProblem& p) { p.ranks = 256; }) ==
        "ranks: found 256, allowed is 1 to 255");
  CHECK(message([](PlanningProblem& p) { p.ranks = 0; }) == "ranks: found 0, allowed is 1 to 255");
  CHECK_THAT(message([](PlanningProblem& p) { p.budgets[0] = 24 * 8 + 1; }),
             Catch::Contains("a budget of 193 ranks, but there are 192; allowed is 0 to 192"));
  CHECK_THAT(message([](PlanningProblem& p) { p.uplink_bytes.assign(24, 1); }),
             Catch::Contains("not for uplink_bytes"));
  CHECK_THAT(message([](PlanningProblem& p) { p.coverage.assign(24, 9 * 8 + 1); }),
             Catch::Contains("a coverage of 73 ranks") && Catch::Contains("allowed is 0 to 72"));
}
