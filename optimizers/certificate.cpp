#include "optimizers/certificate.h"

#include <algorithm>
#include <memory>

#include "optimizers/algorithms.h"
#include "strata/optimizers/exact_front.h"
#include "strata/optimizers/hypervolume.h"
#include "strata/optimizers/price_front.h"

namespace strata::optimizers {
namespace {

/// Points that no assignment lies beyond: with the bound of the step at its even end.
std::vector<Objectives> bounds_of(const PriceFront& front) {
  std::vector<Objectives> bounds;
  const auto add = [&](double variance, double importance) {
    Objectives bound;
    bound.usage_variance = variance;
    bound.importance = importance;
    bounds.push_back(bound);
  };
  const Objectives& even = front.points.front().objectives;
  const double most = front.points.back().objectives.usage_variance;
  if (!front.steps.empty()) {
    for (const BoundStep& step : front.steps) add(step.from, step.importance);
  } else {
    // A staircase above the cuts: every step has the bound of its right end.
    constexpr int kSteps = 1000;
    for (int k = 0; k <= kSteps; ++k) {
      const auto at = [&](int step) {
        return even.usage_variance + (most - even.usage_variance) * step / kSteps;
      };
      add(at(k), front.importance_bound(at(std::min(k + 1, kSteps))));
    }
  }
  // The corner that hypervolumes are measured from: the least importance of the front itself.
  if (most > even.usage_variance) add(most, even.importance);
  return bounds;
}

}  // namespace

Certificate certify_exactly(const PlanningProblem& problem, const PlanOptions& options) {
  ExactFront exact = exact_front(problem, {.sweep = options.sweep});
  // The bound needs no assignments.
  auto hull = std::make_shared<ExactFront>();
  for (const Objectives& point : exact.points.objectives()) hull->points.push_back({{}, point});
  Certificate certificate{.bounds = exact.points.objectives()};
  certificate.points = std::move(options.sweep ? exact.sweep : exact.points);
  certificate.importance_bound = [hull](double variance) {
    return hull->importance_bound(variance);
  };
  return certificate;
}

Certificate certify_by_prices(const PlanningProblem& problem, const PlanOptions&) {
  auto front = std::make_shared<PriceFront>(price_front(problem));
  Certificate certificate{front->complete ? CertificateKind::kExact : CertificateKind::kPrices,
                          front->points};
  // The bound needs no assignments.
  for (FrontPoint& point : front->points) point.assignment = {};
  certificate.bounds = bounds_of(*front);
  certificate.importance_bound = [front](double variance) {
    return front->importance_bound(variance);
  };
  return certificate;
}

Certificate certify(const PlanningProblem& problem) {
  problem.validate();
  const AlgorithmRow& row = certifying_row(problem);
  Certificate certificate = row.certify(problem, {});
  certificate.algorithm = row.algorithm.name;
  return certificate;
}

Gap measure_gap(const Plan& plan, const Certificate& certificate) {
  Gap gap;
  gap.known = true;
  gap.certificate = certificate.kind;
  const double bound = certificate.importance_bound(plan.objectives.usage_variance);
  // Below zero only by the rounding of the scores to integers and of sums.
  gap.importance = std::max(0.0, bound - plan.objectives.importance);
  gap.relative = bound > 0 ? gap.importance / bound : 0.0;
  gap.hypervolume_ratio = hypervolume_ratio(plan.front, certificate.bounds);
  return gap;
}

}  // namespace strata::optimizers
