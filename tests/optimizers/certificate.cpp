#include "strata/optimizers/certificate.h"

#include <algorithm>

#include "catch.h"
#include "instances.h"
#include "optimizers/certificate.h"
#include "strata/core/error.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

TEST_CASE("the certificate by prices is above every assignment, also at its even end") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    PlanningProblem problem = tiny_resource_instance(seed);
    problem.importance.row(0) *= 1e6;  // nearly all importance lies in the first steps
    const Certificate certificate = certify(problem);
    REQUIRE(certificate.algorithm == "prices");
    for_each_assignment(problem, [&](const Assignment& assignment) {
      if (!is_feasible(problem, assignment)) return;
      const Objectives found = evaluate(problem, assignment);
      if (found.usage_variance < certificate.bounds.front().usage_variance) return;
      CHECK(
          std::any_of(certificate.bounds.begin(), certificate.bounds.end(), [&](const auto& bound) {
            return bound.usage_variance <= found.usage_variance &&
                   bound.importance >= found.importance * (1 - 1e-12);
          }));
    });
  }
}

TEST_CASE("the exact front certifies itself, with or without its sweep") {
  const PlanningProblem problem = layered_instance(6, 12, 3, 1);
  const Certificate certificate = certify(problem);
  CHECK(certificate.algorithm == "exact");
  CHECK(certificate.kind == CertificateKind::kExact);
  REQUIRE(certificate.points.size() == certificate.bounds.size());
  for (const Objectives& point : certificate.points.objectives())
    CHECK(certificate.importance_bound(point.usage_variance) == point.importance);
  const Certificate sweep = certify_exactly(problem, {.sweep = true});
  CHECK(sweep.points.size() > certificate.points.size());
  CHECK(sweep.bounds.size() == certificate.bounds.size());
}

TEST_CASE("a gap is what the bound has above the plan, and its share of the bound") {
  Certificate certificate{.kind = CertificateKind::kPrices, .bounds = {{2, 0}, {10, 4}}};
  certificate.importance_bound = [](double variance) { return 8 + variance / 2; };
  Plan plan;
  plan.objectives = {.importance = 6, .usage_variance = 4};
  plan.front = {{2, 0}, {10, 4}};
  const Gap gap = measure_gap(plan, certificate);
  CHECK(gap.known);
  CHECK(gap.certificate == CertificateKind::kPrices);
  CHECK(gap.importance == 4);
  CHECK(gap.relative == 0.4);
  CHECK(gap.hypervolume_ratio == 1);
  // Above the bound by rounding alone.
  plan.objectives.importance = 10 + 1e-12;
  CHECK(measure_gap(plan, certificate).importance == 0);
  certificate.importance_bound = [](double) { return 0.0; };
  CHECK(measure_gap(plan, certificate).relative == 0);
}
