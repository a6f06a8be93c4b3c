// Fronts under budgets of bytes: against all assignments of tiny problems, the exact fronts that a
// MILP solver found of small ones, and the certified bound of larger ones.

#include "optimizers/resource_front.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "catch.h"
#include "general_instances.h"
#include "optimizers/front_archive.h"
#include "optimizers/local_search.h"
#include "optimizers/redistribute.h"
#include "optimizers/resource_dual.h"
#include "optimizers/usage_enumeration.h"
#include "strata/core/error.h"
#include "strata/optimizers/baselines.h"
#include "strata/optimizers/choose.h"
#include "strata/optimizers/feasible.h"
#include "strata/optimizers/make_plan.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

namespace {

struct Recorded {
  std::string name;
  bool with_rules = false;  // pinned and forbidden units, and coverage
  PlanningProblem problem;
  std::vector<Objectives> front;
};

/// tests/reference/resource_fronts.py says how the instances were made and solved.
std::vector<Recorded> recorded_fronts() {
  std::ifstream file(STRATA_SOURCE_DIR "/tests/reference/resource_fronts.json");
  REQUIRE(file);
  std::vector<Recorded> result;
  for (const auto& data : nlohmann::json::parse(file)) {
    const int clients = data["clients"], units = data["units"];
    Recorded recorded;
    recorded.name = std::to_string(clients) + "x" + std::to_string(units) + "-" +
                    std::to_string(data["seed"].get<int>());
    Eigen::MatrixXd importance(clients, units);
    for (int c = 0; c < clients; ++c) {
      for (int x = 0; x < units; ++x) importance(c, x) = data["scores"][c][x].get<double>();
    }
    PlanningProblem& problem = recorded.problem;
    problem = make_instance(importance, {});
    problem.resource = "bytes";
    problem.unit_costs = data["costs"].get<std::vector<std::int64_t>>();
    problem.capacities = data["budgets"].get<std::vector<std::int64_t>>();
    problem.coverage = data["coverage"].get<std::vector<int>>();
    for (const auto& row : data["rules"]) {
      for (const int rule : row) {
        problem.rules.push_back(rule == 1   ? Rule::kPinned
                                : rule == 2 ? Rule::kForbidden
                                            : Rule::kFree);
      }
    }
    recorded.with_rules = data["seed"].get<int>() % 4 == 3;
    for (const auto& point : data["front"]) {
      Objectives objectives;
      objectives.usage_variance = point[0].get<double>() / (double(units) * units);
      objectives.importance = point[1];
      recorded.front.push_back(objectives);
    }
    result.push_back(std::move(recorded));
  }
  return result;
}

/// The most importance at no more than this usage variance; −1 if the front has none.
double reached(const std::vector<FrontPoint>& front, double variance) {
  double most = -1;
  for (const FrontPoint& point : front) {
    if (point.objectives.usage_variance <= variance + 1e-9)
      most = std::max(most, point.objectives.importance);
  }
  return most;
}

/// Costs of 20 to 200 kB and budgets of 2 to 4 mean costs.
PlanningProblem bytes_instance(int clients, int units, std::uint64_t seed) {
  PlanningProblem problem = layered_instance(clients, units, 0, seed);
  Random random(derive_seed(seed, {7}));
  problem.resource = "bytes";
  problem.budgets.clear();
  double sum = 0;
  for (int x = 0; x < units; ++x) {
    problem.unit_costs.push_back(random.between(20000, 200000));
    sum += static_cast<double>(problem.unit_costs.back());
  }
  for (int c = 0; c < clients; ++c) {
    problem.capacities.push_back(
        static_cast<std::int64_t>((2 + 2 * random.uniform()) * sum / units));
  }
  return problem;
}

std::int64_t total_of(const Assignment& assignment) {
  std::int64_t total = 0;
  for (const int n : usage(assignment)) total += n;
  return total;
}

}  // namespace

TEST_CASE("every level of the fronts that a MILP solver found is reached") {
  const std::vector<Recorded> all = recorded_fronts();
  int below = 0;
  REQUIRE(all.size() == 15);
  int complete = 0;
  for (const Recorded& recorded : all) {
    CAPTURE(recorded.name);
    const PriceFront front = price_front(recorded.problem);
    complete += front.complete;
    for (const Objectives& exact : recorded.front) {
      CAPTURE(exact.usage_variance, exact.importance);
      const double most = reached(front.points, exact.usage_variance);
      REQUIRE(most >= 0);
      REQUIRE(most <= exact.importance + 0.5);
      REQUIRE(front.importance_bound(exact.usage_variance) >= exact.importance - 0.5);
      // With rules and coverage bounds are looser, and a front that is not proved may lie lower.
      REQUIRE(most >= exact.importance * (recorded.with_rules ? 1 - 0.004 : 1 - 0.002));
      if (front.complete) REQUIRE(most >= exact.importance - 0.5);
      below += most < exact.importance - 0.5;
    }
    if (front.complete) REQUIRE(front.points.size() == recorded.front.size());
  }
  CHECK(complete >= 9);
  // Of 661, all but two of 8 × 14 with rules.
  CHECK(below <= 2);
}

TEST_CASE("a limit on usage variance that some plan keeps to is never called impossible") {
  for (const Recorded& recorded : recorded_fronts()) {
    CAPTURE(recorded.name);
    // The even end, where a level is missed most easily, and some others.
    for (std::size_t i = 0; i < recorded.front.size(); i = 2 * i + 1) {
      PlanOptions options;
      options.choose = "variance:" + std::to_string(recorded.front[i].usage_variance + 1e-6);
      const Plan plan = make_plan(recorded.problem, options);
      CHECK(plan.algorithm == "prices");
      CHECK(plan.objectives.importance >=
            recorded.front[i].importance * (recorded.with_rules ? 1 - 0.004 : 1 - 0.002));
    }
  }
}

TEST_CASE("gap and hypervolume ratio tell fronts apart, and are 0 and 1 for one that is proved") {
  for (const Recorded& recorded : recorded_fronts()) {
    const PriceFront front = price_front(recorded.problem);
    if (!front.complete || front.points.size() < 8) continue;
    CAPTURE(recorded.name);
    const Certificate certificate = certify(recorded.problem);
    CHECK(certificate.kind == CertificateKind::kExact);
    Plan plan = make_plan(recorded.problem, {});
    CHECK(plan.gap.certificate == CertificateKind::kExact);
    CHECK(plan.gap.relative == 0);
    CHECK(plan.gap.hypervolume_ratio == Approx(1).epsilon(1e-12));
    // Fronts that lack something have less area, each its own. (The ends span it and have none.)
    const std::size_t middle = plan.front.size() / 2;
    plan.front.erase(plan.front.begin() + static_cast<std::ptrdiff_t>(middle));
    const double without_one = measure_gap(plan, certificate).hypervolume_ratio;
    CHECK(without_one < 1);
    plan.front.erase(plan.front.begin() + 1, plan.front.begin() + 1 + middle / 2);
    CHECK(measure_gap(plan, certificate).hypervolume_ratio < without_one);
    plan.front.erase(plan.front.begin(), plan.front.end() - 1);
    CHECK(measure_gap(plan, certificate).hypervolume_ratio == 0);
  }
}

TEST_CASE("hypervolumes are measured from the front's own ends, however loose the bound is there") {
  const PlanningProblem problem = bytes_instance(20, 48, 1);
  const Certificate certificate = certify(problem);
  REQUIRE(certificate.kind == CertificateKind::kPrices);
  const std::vector<Objectives>& front = certificate.points.objectives();
  double least = front.back().importance, most = 0;
  bool loose = true;
  for (const Objectives& bound : certificate.bounds) {
    if (bound.usage_variance <= front.front().usage_variance)
      loose = loose && bound.importance > 1.01 * front.front().importance;
    least = std::min(least, bound.importance);
    most = std::max(most, bound.usage_variance);
  }
  REQUIRE(loose);
  CHECK(least == front.front().importance);
  CHECK(most == Approx(front.back().usage_variance));
}

TEST_CASE("a front that is called complete is that of all assignments") {
  int checked = 0, complete = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const PlanningProblem problem = general_instance(seed, true);
    std::vector<FrontPoint> all;
    for_each_feasible(problem, [&](const Assignment& assignment) {
      all.push_back({{}, evaluate(problem, assignment)});
    });
    if (all.empty()) continue;
    CAPTURE(seed);
    ++checked;
    PriceFront front;
    try {
      front = price_front(problem);
    } catch (const InputError&) {
      continue;  // coverage that the heuristic of feasible_assignment did not meet
    }
    for (const FrontPoint& point : all) {
      const double variance = point.objectives.usage_variance;
      REQUIRE(point.objectives.importance <= front.importance_bound(variance) + 1e-9);
      if (front.complete) {
        REQUIRE(reached(front.points, variance) >= point.objectives.importance - 1e-9);
      }
    }
    complete += front.complete;
  }
  CHECK(checked > 150);
  CHECK(complete >= checked * 9 / 10);
}

TEST_CASE("no assignment of a total is above the dual's bound for it") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const PlanningProblem problem = general_instance(seed, true);
    CAPTURE(seed);
    ResourceDual dual(problem);
    Random random(seed);
    for (const double price : {0.0, 0.7, 20.0}) {
      BoundsByTotal bounds;
      std::vector<double> prices(problem.unit_count());
      for (int trial = 0; trial < 3; ++trial) {
        for (double& each : prices) each = trial == 0 ? 0 : 4 * random.uniform() - 2;
        dual.evaluate(price, prices, bounds);
      }
      for_each_feasible(problem, [&](const Assignment& assignment) {
        const std::int64_t k = total_of(assignment) - dual.least_total();
        REQUIRE(k >= 0);
        REQUIRE(k < dual.totals());
        const Objectives objectives = evaluate(problem, assignment);
        REQUIRE(objectives.importance - price * objectives.usage_variance <= bounds[k] + 1e-9);
      });
    }
  }
}

TEST_CASE("the enumeration visits just the assignments of its total that lie in its room") {
  int visited_in_all = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const PlanningProblem problem = general_instance(seed, true);
    CAPTURE(seed);
    ResourceDual dual(problem);
    Random random(seed);
    EnumerationTask task;
    task.price = 2 * random.uniform();
    for (int x = 0; x < problem.unit_count(); ++x)
      task.usage_prices.push_back(2 * random.uniform() - 1);
    task.total = dual.least_total() + static_cast<int>(random.below(dual.totals()));
    task.room = 10 * random.uniform();
    BoundsByTotal bounds;
    dual.evaluate(task.price, task.usage_prices, bounds);
    const double least = dual.bound(task.total) - task.room;
    std::set<std::vector<std::uint64_t>> wanted, optional, visited;
    for_each_feasible(problem, [&](const Assignment& assignment) {
      if (total_of(assignment) != task.total) return;
      const Objectives objectives = evaluate(problem, assignment);
      const double value = objectives.importance - task.price * objectives.usage_variance;
      std::vector<std::uint64_t> rows(problem.client_count());
      for (int c = 0; c < problem.client_count(); ++c) {
        for (int x = 0; x < problem.unit_count(); ++x)
          rows[c] |= std::uint64_t{assignment(c, x)} << x;
      }
      if (value > least + 1e-6) wanted.insert(rows);
      if (value > least - 1e-6) optional.insert(rows);
    });
    std::int64_t steps = 1000000;
    REQUIRE(enumerate_assignments(problem, dual, task, steps, [&](const auto& rows) {
      visited.insert(rows);
      return task.room;
    }));
    for (const auto& rows : wanted) REQUIRE(visited.count(rows) == 1);
    for (const auto& rows : visited) REQUIRE(optional.count(rows) == 1);
    visited_in_all += static_cast<int>(visited.size());
    // Too few steps are said to be too few.
    std::int64_t none = 1;
    CHECK_FALSE(
        enumerate_assignments(problem, dual, task, none, [&](const auto&) { return task.room; }));
  }
  CHECK(visited_in_all > 100);
}

TEST_CASE("after the local search no single move leads to anything nondominated") {
  const PlanningProblem problem = bytes_instance(5, 12, 3);
  const LayerModel model(problem);
  FrontArchive archive;
  archive.insert(LayerState(model, feasible_assignment(problem)));
  archive.insert(LayerState(model, round_robin(problem)));
  const std::size_t before = archive.size();
  local_search(model, archive, 0, 10'000'000, 100'000);
  CHECK(archive.size() > 4 * before);
  for (const auto* entry : archive.entries()) {
    LayerState state(model, entry->bits);
    REQUIRE(is_feasible(problem, state.assignment()));
    for (int c = 0; c < 5; ++c) {
      for (int drop = -1; drop < 12; ++drop) {
        for (int add = -1; add < 12; ++add) {
          if (drop == add || (drop < 0 && add < 0)) continue;
          const Move move{c, drop, add};
          if (state.allowed(move)) REQUIRE_FALSE(archive.accepts(state.value_after(move), model));
        }
      }
    }
  }
  // Passing units on between two clients finds more.
  FrontArchive further = archive;
  local_search(model, further, 1e18, 10'000'000, 100'000);
  int better = 0;
  for (const auto* entry : further.entries())
    better += archive.importance_within(entry->value.spread) < entry->value.importance;
  CHECK(better > 0);
  // It ends where it may not go on.
  FrontArchive small;
  small.insert(LayerState(model, feasible_assignment(problem)));
  local_search(model, small, 0, 10'000'000, 6);
  CHECK(small.size() <= 6 + 5 * 13 * 13);
  CHECK(small.size() < archive.size());
}

TEST_CASE("from the knee on, larger fronts are within half a percent of the certified bound") {
  for (const auto& [clients, units] : {std::pair{9, 24}, {20, 48}, {100, 48}}) {
    const PlanningProblem problem = bytes_instance(clients, units, 1);
    CAPTURE(clients, units);
    const PriceFront front = price_front(problem);
    std::vector<Objectives> objectives;
    for (const FrontPoint& point : front.points) {
      REQUIRE(is_feasible(problem, point.assignment));
      objectives.push_back(point.objectives);
    }
    REQUIRE(objectives.size() > 50);
    const std::size_t knee = choose(objectives, "knee");
    for (std::size_t i = knee; i < objectives.size(); ++i) {
      const double bound = front.importance_bound(objectives[i].usage_variance);
      REQUIRE(objectives[i].importance <= bound * (1 + 1e-12));
      REQUIRE(objectives[i].importance >= bound * (1 - 0.005));
    }
  }
}

TEST_CASE("units dealt out anew: the best for their usages, where every client is in one group") {
  int better = 0;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    PlanningProblem problem = bytes_instance(3, 6, seed);
    problem.rules.assign(18, Rule::kFree);
    problem.rules[seed % 6] = Rule::kForbidden;
    problem.rules[6] = problem.unit_costs[0] <= problem.capacities[1] ? Rule::kPinned : Rule::kFree;
    const Assignment start = random_assignment(problem, seed);
    double best = -1;
    for_each_feasible(problem, [&](const Assignment& assignment) {
      if (usage(assignment) == usage(start))
        best = std::max(best, evaluate(problem, assignment).importance);
    });
    const LayerModel model(problem);
    LayerState state(model, start);
    std::int64_t steps = 1'000'000;
    const bool improved = redistribute(state, 3, steps);
    const Assignment found = state.assignment();
    REQUIRE(is_feasible(problem, found));
    CHECK(usage(found) == usage(start));
    CHECK(evaluate(problem, found).importance == Approx(best));
    CHECK(improved == (best > evaluate(problem, start).importance + 1e-9));
    CHECK(state.value().importance == LayerState(model, found).value().importance);
    better += improved;
    // It ends where the steps do.
    LayerState same(model, start);
    std::int64_t none = -1;
    CHECK_FALSE(redistribute(same, 3, none));
    CHECK(same.assignment() == start);
  }
  CHECK(better >= 10);
}
