#include "strata/optimizers/make_plan.h"

#include <algorithm>
#include <limits>

#include "catch.h"
#include "instances.h"
#include "strata/core/error.h"
#include "strata/core/target_usage.h"
#include "strata/optimizers/search.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

namespace {

PlanOptions with(const std::string& algorithm, std::uint64_t seed = 1) {
  return {.algorithm = algorithm, .search = {.evaluations = 600, .population = 20, .seed = seed}};
}

}  // namespace

TEST_CASE("plans of every algorithm are feasible, on their front and nondominated") {
  const PlanningProblem problem = layered_instance(9, 24, 4, 1);
  for (const std::string& algorithm : algorithm_names()) {
    CAPTURE(algorithm);
    const Plan plan = make_plan(problem, with(algorithm));
    CHECK(plan.algorithm == (algorithm == kAuto ? "exact" : algorithm));
    CHECK(plan.kind == find_algorithm(plan.algorithm)->kind);
    CHECK(plan.clients == problem.clients);
    CHECK(plan.units == problem.units);
    REQUIRE(is_feasible(problem, plan.assignment));
    const Objectives again = evaluate(problem, plan.assignment);
    CHECK(plan.objectives.importance == again.importance);
    CHECK(plan.objectives.usage_variance == again.usage_variance);
    bool on_front = false;
    for (const Objectives& a : plan.front) {
      on_front = on_front ||
                 (a.importance == again.importance && a.usage_variance == again.usage_variance);
      for (const Objectives& b : plan.front) CHECK_FALSE(dominates(a, b));
    }
    CHECK(on_front);
    REQUIRE(plan.archive.size() == plan.front.size());
    for (std::size_t k = 0; k < plan.front.size(); ++k) {
      REQUIRE(is_feasible(problem, plan.archive[k]));
      CHECK(evaluate(problem, plan.archive[k]).importance == plan.front[k].importance);
      CHECK(evaluate(problem, plan.archive[k]).usage_variance == plan.front[k].usage_variance);
    }
    CHECK(std::find(plan.archive.begin(), plan.archive.end(), plan.assignment) !=
          plan.archive.end());
    CHECK(plan.evaluations == (plan.kind == AlgorithmKind::kSearch ? 600 : 0));
    CHECK(plan.provenance[0].first == "strata");
    CHECK(plan.provenance[1].first == "commit");
  }
}

TEST_CASE("the gap is a certificate: no assignment on small instances exceeds it") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const PlanningProblem problem = tiny_instance(seed);
    for (const std::string& algorithm : algorithm_names()) {
      CAPTURE(seed, algorithm);
      const Plan plan = make_plan(problem, with(algorithm, seed));
      REQUIRE(plan.gap.known);
      CHECK(plan.gap.importance >= 0);
      CHECK(plan.gap.relative <= 1);
      double best = 0;
      for_each_assignment(problem, [&](const Assignment& assignment) {
        const Objectives objectives = evaluate(problem, assignment);
        if (objectives.usage_variance <= plan.objectives.usage_variance) {
          best = std::max(best, objectives.importance);
        }
      });
      CHECK(best <= plan.objectives.importance + plan.gap.importance + 1e-9);
    }
  }
}

TEST_CASE("the exact plan has no gap, the baselines have one") {
  const PlanningProblem problem = layered_instance(9, 24, 4, 2);
  const Plan exact = make_plan(problem, with("exact"));
  CHECK(exact.gap.importance == 0);
  CHECK(exact.gap.relative == 0);
  CHECK(exact.gap.hypervolume_ratio == 1);
  CHECK(exact.front.size() > 10);
  const Plan random = make_plan(problem, with("random"));
  CHECK(random.gap.relative > 0.01);
  CHECK(random.gap.hypervolume_ratio < 0.9);
  const Plan topk = make_plan(problem, with("topk"));
  CHECK(topk.objectives.importance == exact.front.back().importance);
  CHECK(topk.gap.importance == 0);  // it is the front's right end, unless that has ties
}

TEST_CASE("budgets of a resource are planned and certified by prices") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    PlanningProblem problem = tiny_resource_instance(seed);
    for (const std::string algorithm : {"auto", "greedy", "annealing", "topk", "random"}) {
      CAPTURE(seed, algorithm);
      const Plan plan = make_plan(problem, with(algorithm, seed));
      REQUIRE(is_feasible(problem, plan.assignment));
      REQUIRE(plan.gap.known);
      for_each_assignment(problem, [&](const Assignment& assignment) {
        if (!is_feasible(problem, assignment)) return;
        const Objectives objectives = evaluate(problem, assignment);
        if (objectives.usage_variance <= plan.objectives.usage_variance)
          CHECK(objectives.importance <= plan.objectives.importance + plan.gap.importance + 1e-9);
      });
    }
    CHECK_THROWS_WITH(make_plan(problem, with("exact")), Catch::Contains("prices"));
  }
}

TEST_CASE("the sweep adds nearly all unsupported points") {
  const PlanningProblem problem = layered_instance(9, 24, 4, 1);
  PlanOptions options = with("exact");
  const Plan supported = make_plan(problem, options);
  options.sweep = true;
  const Plan sweep = make_plan(problem, options);
  CHECK(sweep.front.size() > supported.front.size());
  CHECK(sweep.gap.hypervolume_ratio > 1);
  CHECK(sweep.gap.hypervolume_ratio < 1.05);
}

TEST_CASE("the full front adds unsupported points and says whether it is complete") {
  const PlanningProblem problem = layered_instance(6, 12, 3, 1);
  PlanOptions options = with("exact");
  const Plan supported = make_plan(problem, options);
  options.full_front_seconds = 60;
  const Plan full = make_plan(problem, options);
  CHECK(full.front.size() > supported.front.size());
  CHECK(full.gap.hypervolume_ratio > 1);
  CHECK(full.provenance.back() ==
        std::pair<std::string, Fact>{"full_front", std::string("complete")});
}

TEST_CASE("without the gap the exact front is not computed") {
  PlanOptions options = with("topk");
  options.gap = false;
  CHECK_FALSE(make_plan(layered_instance(3, 6, 2, 1), options).gap.known);
}

TEST_CASE("the same arguments give the same plan.json") {
  const PlanningProblem problem = layered_instance(6, 12, 3, 1);
  const TempDir folder;
  for (const std::string& algorithm : algorithm_names()) {
    write_plan(make_plan(problem, with(algorithm, 3)), folder / "a.json");
    write_plan(make_plan(problem, with(algorithm, 3)), folder / "b.json");
    CHECK(slurp(folder / "a.json") == slurp(folder / "b.json"));
  }
}

TEST_CASE("plans towards a target usage are near its shape, and nobody is added to them") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const PlanningProblem problem = tiny_instance(seed);
    std::vector<int> target;
    for (int x = 0; x < problem.unit_count(); ++x)
      target.push_back(x % (problem.client_count() + 1));
    const auto off = [&](const Assignment& assignment) {
      const std::vector<int> used = usage(assignment);
      const auto units = static_cast<double>(used.size());
      double sum = 0, squares = 0;
      for (std::size_t x = 0; x < used.size(); ++x) {
        sum += used[x] - target[x];
        squares += (used[x] - target[x]) * (used[x] - target[x]);
      }
      return squares / units - sum / units * (sum / units);
    };
    for (const std::string algorithm : {"exact", "prices", "nsga2", "topk"}) {
      CAPTURE(seed, algorithm);
      PlanOptions options = with(algorithm, seed);
      const Plan plan = make_plan_towards(problem, target, options);
      CHECK(plan.clients == problem.clients);
      REQUIRE(plan.archive.size() == plan.front.size());
      for (std::size_t k = 0; k < plan.front.size(); ++k) {
        const Assignment assignment = plan.archive[k];
        REQUIRE(is_feasible(problem, assignment));
        CHECK(plan.front[k].importance == evaluate(problem, assignment).importance);
        CHECK(plan.front[k].usage_variance == Approx(off(assignment)).margin(1e-9));
      }
      double best = 0;
      for_each_assignment(problem, [&](const Assignment& assignment) {
        if (off(assignment) <= plan.objectives.usage_variance + 1e-9)
          best = std::max(best, evaluate(problem, assignment).importance);
      });
      CHECK(best <= plan.objectives.importance + plan.gap.importance + 1e-9);
      CHECK(plan.provenance.back() ==
            std::pair<std::string, Fact>{"target_usage", target_usage_text(target)});
      options.search.warm_start = {plan.assignment};
      CHECK(make_plan_towards(problem, target, options).clients == problem.clients);
      CHECK(plan_json(make_plan_towards(problem, {}, with(algorithm, seed))) ==
            plan_json(make_plan(problem, with(algorithm, seed))));
    }
  }
  const PlanningProblem problem = layered_instance(3, 4, 1, 1);
  CHECK_THROWS_WITH(make_plan_towards(problem, {1}, {}), Catch::Contains("found 1 numbers"));
  CHECK_THROWS_AS(make_plan_towards(problem, {0, 0, 0, 1}, {.choose = "knees"}), InputError);
}

TEST_CASE("searches begin with an earlier plan, all other algorithms ignore it") {
  const PlanningProblem problem = layered_instance(9, 24, 4, 1);
  const AssignmentList archive = make_plan(problem, with("exact")).archive;
  const std::vector<Assignment> earlier(archive.begin(), archive.end());
  for (const std::string& algorithm : algorithm_names()) {
    CAPTURE(algorithm);
    PlanOptions options = with(algorithm);
    const std::string cold = plan_json(make_plan(problem, options));
    options.search.warm_start = earlier;
    const Plan warm = make_plan(problem, options);
    if (warm.kind != AlgorithmKind::kSearch) {
      CHECK(plan_json(warm) == cold);
    } else {
      // The exact supported front, found by a search.
      CHECK(warm.gap.hypervolume_ratio >= 1);
      CHECK(warm.provenance.back() ==
            std::pair<std::string, Fact>{"warm_start", static_cast<std::int64_t>(earlier.size())});
    }
    options.search.warm_start.emplace_back(Assignment::Zero(2, 24));
    CHECK_THROWS_WITH(make_plan(problem, options), Catch::Contains("found 2 clients"));
  }
}

TEST_CASE("make_plan names what is wrong with an option") {
  const PlanningProblem problem = layered_instance(3, 6, 2, 1);
  CHECK_THROWS_WITH(make_plan(problem, with("nsga")),
                    Catch::Contains("algorithm: unknown name \"nsga\" (did you mean \"nsga2\"?)") &&
                        Catch::Contains("\"prices\""));
  PlanOptions options;
  options.choose = "nee";
  CHECK_THROWS_WITH(make_plan(problem, options), Catch::Contains("did you mean \"knee\"?"));
  options = {};
  options.search.evaluations = 0;
  CHECK_THROWS_WITH(make_plan(problem, options), "evaluations: found 0, allowed is 1 or more");
  options = {};
  options.search.population = 6;
  CHECK_THROWS_WITH(make_plan(problem, options),
                    "population: found 6, allowed is a multiple of 4 that is at least 8");
  CHECK_THROWS_AS(make_plan(make_instance(Eigen::MatrixXd::Ones(1, 2), {3}), {}), InputError);
  Eigen::MatrixXd importance = Eigen::MatrixXd::Ones(1, 2);
  importance(0, 0) = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS(make_plan(make_instance(importance, {1}), {}), InputError);
}

TEST_CASE("a front is planned once, and plans chosen from it are those of whole calls") {
  const PlanningProblem problem = layered_instance(9, 24, 4, 1);
  for (const std::string algorithm : {"exact", "prices", "annealing", "topk"}) {
    for (const bool gap : {true, false}) {
      PlanOptions options = with(algorithm);
      options.gap = gap;
      const PlannedFront planned = plan_front(problem, options);
      CHECK(planned.certificate.has_value() == gap);
      for (const std::string rule : {"knee", "row:1", "importance:80"}) {
        CAPTURE(algorithm, gap, rule);
        options.choose = rule;
        const Plan whole = make_plan(problem, options);
        CHECK(plan_json(choose_plan(problem, planned, rule)) == plan_json(whole));
        CHECK(whole.gap.known == gap);
      }
    }
  }
  CHECK_THROWS_AS(choose_plan(problem, plan_front(problem, with("topk")), "row:2"), InputError);
}
