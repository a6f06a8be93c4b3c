// Fronts under budgets of bytes: against all assignments of tiny problems, the exact fronts that a
// MILP solver found of small ones, and the certified bound of larger ones.

#include "optimizers/resource_front.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "catch.h"
#include "general_instances.h"
#include "strata/core/error.h"
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
