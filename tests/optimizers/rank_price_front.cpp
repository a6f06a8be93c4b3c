// Ranks in budgets of a resource: points, bounds, refusals.
#include "optimizers/rank_price_front.h"

#include <cmath>
#include <functional>

#include "catch.h"
#include "optimizers/rank_relaxation.h"
#include "optimizers/rank_search.h"
#include "ranks.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "strata/optimizers/baselines.h"
#include "strata/optimizers/exact_front.h"
#include "strata/optimizers/instances.h"
#include "strata/optimizers/make_plan.h"
#include "strata/optimizers/price_front.h"
#include "support/error_text.h"

using namespace strata;
using namespace strata::optimizers;
using Catch::Matchers::Contains;

namespace {

PlanningProblem costly_problem(Random& random, int clients, int units, int ranks) {
  PlanningProblem problem;
  problem.ranks = ranks;
  problem.resource = "memory";
  problem.importance.resize(clients, units);
  for (int l = 0; l < units; ++l) {
    problem.units.push_back("u" + std::to_string(l));
    problem.unit_costs.push_back(random.between(2, 12));
    problem.rank_costs.push_back(random.between(0, 5));
  }
  for (int i = 0; i < clients; ++i) {
    problem.clients.push_back("c" + std::to_string(i));
    problem.capacities.push_back(random.between(12, 40));
    for (int l = 0; l < units; ++l)
      problem.importance(i, l) = static_cast<double>(random.below(20));
  }
  return problem;
}

void add_rules(Random& random, PlanningProblem& problem) {
  problem.rules.assign(problem.clients.size() * problem.units.size(), Rule::kFree);
  for (std::size_t i = 0; i < problem.clients.size(); ++i) {
    Rule* row = &problem.rules[i * problem.units.size()];
    if (random.below(2)) row[0] = Rule::kPinned;
    if (random.below(2)) row[2] = Rule::kForbidden;
  }
  problem.coverage.assign(problem.units.size(), 0);
  problem.coverage[1] = static_cast<int>(random.below(3));
}

/// Nine clients, 24 units that all cost the same, and budgets of a number of ranks.
PlanningProblem even_problem() {
  PlanningProblem problem = generate_instance(9, 24, 1);
  problem.ranks = 8;
  problem.resource = "bytes";
  problem.unit_costs.assign(24, 100);
  problem.rank_costs.assign(24, 100);
  for (const int budget : problem.budgets) problem.capacities.push_back(400 * budget);
  problem.budgets.clear();
  return problem;
}

}  // namespace

TEST_CASE("no assignment lies beyond the bound, and points are assignments of what they say") {
  int rules = 0, impossible = 0;
  double widest = 0, importance = 0;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Random random(seed);
    PlanningProblem problem = costly_problem(random, 2, 3, 2 + static_cast<int>(random.below(2)));
    if (seed % 2 == 0) add_rules(random, problem);
    CAPTURE(seed);
    problem.validate();
    rules += !problem.rules.empty();
    PriceFront front;
    try {
      front = price_front(problem);
    } catch (const InputError&) {  // pinned units and coverage that do not fit together
      test::for_each_ranks(problem, [&](const Assignment&) { FAIL("there is an assignment"); });
      ++impossible;
      continue;
    }
    REQUIRE_FALSE(front.points.empty());
    for (const FrontPoint& point : front.points) {
      CHECK(is_feasible(problem, point.assignment));
      const Objectives again = evaluate(problem, point.assignment);
      CHECK(again.importance == point.objectives.importance);
      CHECK(again.usage_variance == point.objectives.usage_variance);
    }
    double best = 0, worst = 0;
    test::for_each_ranks(problem, [&](const Assignment& assignment) {
      const Objectives found = evaluate(problem, assignment);
      best = std::max(best, found.importance);
      worst = std::max(worst, found.importance - front.importance_bound(found.usage_variance));
    });
    CHECK(worst < 1e-9);
    CHECK(front.points.back().objectives.importance <= best);
    importance += best;
    widest += best - front.points.back().objectives.importance;
  }
  CHECK(rules == 15);
  CHECK(impossible < 5);
  // All found or nearly all; what is missing is what the bound leaves open.
  CHECK(widest < 0.01 * importance);
}

TEST_CASE("where ranks cost all the same, plans are nearly those of budgets of ranks") {
  const PlanningProblem problem = even_problem();
  const PriceFront front = price_front(problem);
  PlanningProblem counted = generate_instance(9, 24, 1);
  counted.ranks = 8;
  for (int& budget : counted.budgets) budget *= 4;
  const Objectives exact = exact_front(counted).points.objectives().back();
  const Objectives& found = front.points.back().objectives;
  // Every rank is worth something, so that nobody saves.
  CHECK(found.importance == Approx(exact.importance).epsilon(1e-9));
  CHECK(front.importance_bound(found.usage_variance) <= 1.0001 * found.importance);
  for (const FrontPoint& point : front.points) {
    const Objectives& at = point.objectives;
    CHECK(at.importance <= front.importance_bound(at.usage_variance) + 1e-9);
    CHECK(at.importance >= 0.9 * front.importance_bound(at.usage_variance));
  }
}

TEST_CASE("the same plans whatever came before, and one that is certified") {
  const PlanningProblem problem = even_problem();
  const Plan plan = make_plan(problem, {});
  CHECK(plan.algorithm == "prices");
  CHECK(plan.ranks == 8);
  CHECK(plan.counted == "bytes");
  CHECK(plan.budgets == problem.capacities);
  for (std::size_t i = 0; i < plan.used.size(); ++i) CHECK(plan.used[i] <= plan.budgets[i]);
  CHECK(plan.gap.known);
  CHECK(plan.gap.certificate == CertificateKind::kPrices);
  CHECK(plan.gap.relative >= 0);
  CHECK(plan.gap.relative < 0.05);
  CHECK(make_plan(problem, {}).assignment == plan.assignment);
}

TEST_CASE("the relaxation mixes the corners of each unit's hull") {
  // One client, one unit: a first rank of 10, further ones of 2; scores of 12.
  PlanningProblem problem;
  problem.clients = {"a"};
  problem.units = {"u", "v"};
  problem.ranks = 4;
  problem.resource = "memory";
  problem.importance = Eigen::MatrixXd{{12, 2}};
  problem.unit_costs = {10, 8};
  problem.rank_costs = {2, 1};
  const auto solve = [&](std::int64_t capacity, const std::vector<double>& prices,
                         Assignment& assignment) {
    problem.capacities = {capacity};
    problem.validate();
    RankChoices sum;
    sum.demand.assign(2, 0);
    assignment = Assignment::Zero(1, 2);
    RankRelaxation(problem).solve(0, prices, sum, assignment);
    return sum;
  };
  Assignment found;
  // 12 / 10 a byte for the first rank; 18 / 12 for two, 22 / 14 for three, 25 / 16 for four: the
  // hull's corners are three (1.571 a byte) and four (then 3 / 2).
  CHECK(solve(16, {0, 0}, found).worth == Approx(25));
  CHECK(found(0, 0) == 4);
  // Four cannot be paid, and of the other unit, whose one corner is four for 11, a part can.
  const double all_of_other = 2 + 1 + 2.0 / 3 + 0.5;
  RankChoices part = solve(15, {0, 0}, found);
  CHECK(part.worth == Approx(22 + all_of_other / 11));
  CHECK(part.demand[0] == 3);
  CHECK(part.demand[1] == Approx(4.0 / 11));
  CHECK(found(0, 0) == 3);
  CHECK(found(0, 1) == 0);
  // Three cannot be paid, and two are then the corner.
  part = solve(13, {0, 0}, found);
  CHECK(part.worth == Approx(18 + all_of_other / 11));
  CHECK(found(0, 0) == 2);
  // What is left goes to the other unit: single ranks of 8, 1, 1.
  part = solve(26, {0, 0}, found);
  CHECK(found(0, 0) == 4);
  CHECK(found(0, 1) == 3);
  CHECK(part.worth == Approx(25 + all_of_other * 10 / 11));
  // Prices take the last ranks away: 12 − 5, 6 − 5, and then less than nothing.
  part = solve(26, {5, 9}, found);
  CHECK(found(0, 0) == 2);
  CHECK(found(0, 1) == 0);
  CHECK(part.worth == Approx(8));
  // What is pinned is paid first, what is forbidden never.
  problem.rules = {Rule::kForbidden, Rule::kPinned};
  part = solve(9, {0, 9}, found);
  CHECK(found(0, 0) == 0);
  CHECK(found(0, 1) == 1);
  CHECK(part.worth == Approx(2 - 9));
}

TEST_CASE("single ranks are added, dropped, exchanged and passed on as long as that gains") {
  PlanningProblem problem;
  problem.clients = {"a", "b"};
  problem.units = {"u", "v"};
  problem.ranks = 2;
  problem.resource = "bytes";
  problem.importance = Eigen::MatrixXd{{4, 3}, {8, 1}};
  problem.unit_costs = problem.rank_costs = {1, 1};
  problem.capacities = {2, 1};
  Assignment start(2, 2);
  start << 0, 0, 0, 1;
  RankSearch search(problem, start);
  search.improve(0);
  Assignment best(2, 2);
  best << 1, 1, 1, 0;
  CHECK(search.assignment() == best);
  // At a price at which evenness counts most, both units are used alike.
  search.improve(1000);
  CHECK(usage_variance(usage(search.assignment())) == 0);
  CHECK(is_feasible(problem, search.assignment()));
  // A rank for the client to whom it is worth more.
  problem.capacities = {2, 2};
  start << 1, 0, 0, 1;
  RankSearch other(problem, start);
  other.improve(1000);
  best << 0, 1, 1, 0;
  CHECK(other.assignment() == best);
  // Coverage makes room where there is none: for the third rank a rank of the other unit goes.
  problem.capacities = {1, 2};
  problem.coverage = {0, 3};
  RankSearch covering(problem, other.assignment());
  covering.cover();
  CHECK(usage(covering.assignment())[1] == 3);
  CHECK(is_feasible(problem, covering.assignment()));
  problem.coverage = {2, 3};
  CHECK_THAT(test::input_error([&] {
               RankSearch none(problem, covering.assignment());
               none.cover();
             }),
             Contains("unit \"u\": a coverage of 2 ranks, but 0 were found"));
}

TEST_CASE("what plans no ranks in budgets of a resource is refused") {
  const PlanningProblem problem = even_problem();
  for (const std::string name : {"exact", "topk", "random", "nsga2", "greedy", "roundrobin"}) {
    PlanOptions options;
    options.algorithm = name;
    CHECK_THAT(test::input_error([&] { make_plan(problem, options); }),
               Contains("the algorithm " + name +
                        " plans no ranks in budgets of bytes; those that "
                        "do are \"prices\""));
  }
  CHECK_THAT(test::input_error([&] { top_k(problem); }), Contains("budgets of bytes"));
  CHECK_THAT(test::input_error([&] { random_assignment(problem, 1); }),
             Contains("budgets of bytes"));
  const auto refused = [&](const std::function<void(PlanningProblem&)>& change) {
    PlanningProblem changed = problem;
    change(changed);
    return test::input_error([&] { changed.validate(); });
  };
  CHECK_NOTHROW(problem.validate());
  CHECK_THAT(refused([](PlanningProblem& p) { p.rank_costs.clear(); }),
             Contains("0 costs of ranks; allowed is 24"));
  CHECK_THAT(refused([](PlanningProblem& p) { p.rank_costs[3] = -1; }),
             Contains("a rank costs -1 bytes"));
  CHECK_THAT(refused([](PlanningProblem& p) { p.ranks = 1; }),
             Contains("24 costs of ranks; allowed is 0"));
  // A client of 4 · 4 ranks and less is able to have them all of one unit, up to eight.
  CHECK_THAT(refused([](PlanningProblem& p) { p.coverage.assign(24, 9 * 8 + 1); }),
             Contains("a coverage of 73 ranks"));
}

TEST_CASE("what a unit costs at a rank, and how many ranks a budget has") {
  PlanningProblem problem = even_problem();
  problem.unit_costs[0] = 250;
  CHECK(problem.cost(0, 0) == 0);
  CHECK(problem.cost(0, 1) == 250);
  CHECK(problem.cost(0, 4) == 550);
  CHECK(problem.affordable(0, 249) == 0);
  CHECK(problem.affordable(0, 250) == 1);
  CHECK(problem.affordable(0, 549) == 3);
  CHECK(problem.affordable(0, 1'000'000) == 8);
  problem.rank_costs[0] = 0;
  CHECK(problem.affordable(0, 250) == 8);
  Assignment assignment = Assignment::Zero(9, 24);
  assignment(2, 0) = 3;
  assignment(2, 1) = 2;
  CHECK(spent(problem, assignment)[2] == 250 + 200);
  problem.capacities[2] = 450;
  CHECK(is_feasible(problem, assignment));
  problem.capacities[2] = 449;
  CHECK_FALSE(is_feasible(problem, assignment));
}
