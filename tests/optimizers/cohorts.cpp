#include "optimizers/cohorts.h"

#include <algorithm>
#include <limits>
#include <map>

#include "catch.h"
#include "general_instances.h"
#include "optimizers/algorithms.h"
#include "strata/core/error.h"
#include "strata/optimizers/make_plan.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

namespace {

PlanOptions with(const std::string& algorithm, std::uint64_t seed = 1) {
  return {.algorithm = algorithm, .search = {.evaluations = 400, .population = 20, .seed = seed}};
}

/// Of all feasible assignments the greatest importance at each usage variance.
std::map<double, double> best_by_variance(const PlanningProblem& problem) {
  std::map<double, double> best;
  for_each_assignment(problem, [&](const Assignment& assignment) {
    if (!is_feasible(problem, assignment)) return;
    const Objectives objectives = evaluate(problem, assignment);
    auto& importance = best.try_emplace(objectives.usage_variance, -1).first->second;
    importance = std::max(importance, objectives.importance);
  });
  return best;
}

/// Importance that a line between any two of the points reaches at this variance.
double hull_at(const std::map<double, double>& best, double variance) {
  double highest = -1;
  for (const auto& [v, i] : best) {
    if (v > variance) break;
    highest = std::max(highest, i);
    for (const auto& [w, j] : best)
      if (w > variance) highest = std::max(highest, i + (j - i) * (variance - v) / (w - v));
  }
  return highest;
}

/// Whether some unit may still be trained or not: neither covered by a cohort nor forbidden.
bool leaves_open(const PlanningProblem& node, int cohort) {
  for (int l = 0; l < node.unit_count(); ++l)
    if (node.least_usage(l) < cohort && node.rule(0, l) != Rule::kForbidden) return true;
  return false;
}

constexpr int kCohort = 5;
int divided = 0, settled = 0;  // nodes with units left open, and with none

Certificate count_nodes(const PlanningProblem& node, const PlanOptions& options) {
  ++(leaves_open(node, kCohort) ? divided : settled);
  return row_of("prices").certify(node, options);
}

PlanningProblem with_cohorts(PlanningProblem problem, std::uint64_t seed) {
  const int clients = problem.client_count();
  problem.least_cohort = clients < 2 ? 1 : 2 + static_cast<int>(seed % (clients - 1));
  return problem;
}

}  // namespace

TEST_CASE("a cohort of one client breaks a least cohort of two, none and two keep it") {
  PlanningProblem problem = make_instance(Eigen::MatrixXd::Ones(2, 3), {1, 1});
  Assignment apart(2, 3), together(2, 3);
  apart << 1, 0, 0, 0, 1, 0;
  together << 0, 1, 0, 0, 1, 0;
  CHECK(is_feasible(problem, apart));
  problem.least_cohort = 2;
  CHECK_FALSE(keeps_cohorts(problem, apart));
  CHECK_FALSE(is_feasible(problem, apart));
  CHECK(is_feasible(problem, together));
}

TEST_CASE("cohorts: the certified front of small problems is that of all assignments") {
  int complete = 0, impossible = 0, dropped = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    PlanningProblem problem;
    try {
      problem = with_cohorts(seed % 2 ? tiny_instance(seed) : general_instance(seed, false), seed);
      problem.validate();
    } catch (const InputError&) {
      continue;
    }
    if (problem.least_cohort < 2) continue;
    CAPTURE(seed, problem.least_cohort);
    const auto best = best_by_variance(problem);
    if (best.empty()) {
      CHECK_THROWS_AS(make_plan(problem, with("exact")), InputError);
      ++impossible;
      continue;
    }
    const Certificate certificate = certify(problem);
    CHECK(certificate.kind == CertificateKind::kExact);
    complete += certificate.kind == CertificateKind::kExact;
    REQUIRE_FALSE(certificate.points.empty());
    for (const FrontPoint& point : certificate.points) {
      REQUIRE(is_feasible(problem, point.assignment));
      CHECK(best.at(point.objectives.usage_variance) >= point.objectives.importance - 1e-9);
    }
    double most = 0;
    for (const auto& [variance, importance] : best) {
      CHECK(certificate.importance_bound(variance) >= importance - 1e-9);
      CHECK(certificate.importance_bound(variance) == Approx(hull_at(best, variance)));
      most = std::max(most, importance);
    }
    CHECK(certificate.points.front().objectives.usage_variance == best.begin()->first);
    CHECK(certificate.points.back().objectives.importance == Approx(most));
    const Plan free = make_plan(without_cohorts(problem), with("exact"));
    dropped += !keeps_cohorts(problem, free.assignment);
  }
  // The check above would be of little worth if cohorts were whole by themselves.
  CHECK(complete > 100);
  CHECK(impossible > 5);
  CHECK(dropped > 50);
}

TEST_CASE("cohorts: plans of every algorithm keep them, and no assignment exceeds the gap") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    PlanningProblem problem =
        with_cohorts(seed % 3 == 0 ? tiny_resource_instance(seed) : tiny_instance(seed), seed);
    problem.uplink_bytes.clear();
    problem.seconds.resize(0, 0);
    const auto best = best_by_variance(problem);
    if (problem.least_cohort < 2 || best.empty()) continue;
    for (const std::string& algorithm : algorithm_names()) {
      if (!problem.counts_units() && algorithm == "exact") continue;
      CAPTURE(seed, algorithm, problem.least_cohort);
      const Plan plan = make_plan(problem, with(algorithm, seed));
      REQUIRE(is_feasible(problem, plan.assignment));
      for (const Assignment& assignment : plan.archive) REQUIRE(is_feasible(problem, assignment));
      for (const auto& [variance, importance] : best) {
        if (variance > plan.objectives.usage_variance) break;
        CHECK(importance <= plan.objectives.importance + plan.gap.importance + 1e-9);
      }
      // Of the exact front unsupported points do not count (hypervolume_ratio).
      if (!problem.counts_units()) CHECK(plan.gap.hypervolume_ratio <= 1 + 1e-9);
    }
  }
}

TEST_CASE("cohorts of larger problems: what is left open is said, and bounds all that is found") {
  PlanningProblem problem = layered_instance(9, 24, 4, 1);
  problem.least_cohort = 3;
  const Certificate certificate = certify(problem);
  const Certificate free = certify(without_cohorts(problem));
  // 36 uses on cohorts of three or more: Σ n² is at least 3 · 36.
  CHECK(certificate.points.front().objectives.usage_variance >= 36.0 * 3 / 24 - 1.5 * 1.5 - 1e-9);
  for (const std::string& algorithm : algorithm_names()) {
    CAPTURE(algorithm);
    const Plan plan = make_plan(problem, with(algorithm));
    REQUIRE(is_feasible(problem, plan.assignment));
    for (const Objectives& point : plan.front) {
      CHECK(point.importance <= certificate.importance_bound(point.usage_variance) + 1e-6);
      CHECK(point.importance <= free.importance_bound(point.usage_variance) + 1e-6);
    }
    CHECK(plan.gap.certificate == certificate.kind);
  }
  CHECK(certificate.kind == CertificateKind::kBranches);
  // Three groups of three clients with four units each are as even as cohorts of three can be.
  Assignment grouped = Assignment::Zero(9, 24);
  for (int client = 0; client < 9; ++client)
    grouped.row(client).segment(client / 3 * 4, 4).setOnes();
  REQUIRE(is_feasible(problem, grouped));
  const Objectives even = evaluate(problem, grouped);
  CHECK(even.usage_variance == Approx(36.0 * 3 / 24 - 1.5 * 1.5));
  CHECK(certificate.importance_bound(even.usage_variance) >= even.importance);
  // The bound is never above that of the problem without the rule.
  for (const Objectives& point : free.points.objectives()) {
    if (certificate.importance_bound(point.usage_variance) > 0)
      CHECK(certificate.importance_bound(point.usage_variance) <=
            free.importance_bound(point.usage_variance) + 1e-6);
  }
  WARN("9 x 24, budgets of 4, cohorts of 3: " << certificate_name(certificate.kind) << ", "
                                              << certificate.points.size() << " points, gap "
                                              << make_plan(problem, with("exact")).gap.relative);
}

TEST_CASE(
    "cohorts as large as a budget: the front reaches the most even assignment that there is") {
  PlanningProblem problem = layered_instance(20, 32, 4, 1);
  problem.least_cohort = 5;
  const Plan plan = make_plan(problem, with("exact"));
  double least = std::numeric_limits<double>::infinity();
  for (const Objectives& point : plan.front) least = std::min(least, point.usage_variance);
  // 80 uses in 16 whole cohorts of five.
  CHECK(least == Approx(80.0 * 5 / 32 - 2.5 * 2.5));
}

TEST_CASE("cohorts: the sets that a search begins with leave nodes to branch and bound") {
  PlanningProblem problem = layered_instance(20, 32, 4, 1);
  problem.least_cohort = kCohort;
  // Bounds by prices get few nodes, and there may be whole cohorts of up to 16 units.
  AlgorithmRow row = row_of("prices");
  row.certify = count_nodes;
  divided = settled = 0;
  certify_cohorts(problem, with("prices"), row);
  CHECK(settled >= 5);
  // Beyond the problem as a whole.
  CHECK(divided >= 3);
}

TEST_CASE("cohorts: what cannot be is one line") {
  PlanningProblem problem = make_instance(Eigen::MatrixXd::Ones(3, 2), {1, 1, 0});
  problem.least_cohort = 3;
  CHECK_THROWS_WITH(
      make_plan(problem, {}),
      Catch::Matchers::Contains("there is no assignment within budgets and rules that "
                                "trains each unit by nobody or by at least 3 clients"));
  problem.least_cohort = 4;
  CHECK_THROWS_WITH(make_plan(problem, {}),
                    "least_cohort: found 4, allowed is 1 to 3, the clients");
  problem.least_cohort = 2;
  problem.ranks = 2;
  CHECK_THROWS_WITH(make_plan(problem, {}),
                    Catch::Matchers::Contains("plans of ranks do not keep"));
  problem.ranks = 1;
  problem.rules = {Rule::kPinned, Rule::kFree, Rule::kForbidden,
                   Rule::kFree,   Rule::kFree, Rule::kFree};
  CHECK_THROWS_WITH(make_plan(problem, {}),
                    Catch::Matchers::Contains("unit \"unit0\": it is pinned or covered"));
  problem.rules.clear();
  CHECK_THROWS_WITH(make_plan(problem, {.full_front_seconds = 1}),
                    Catch::Matchers::Contains("keeps no least_cohort"));
}
