#include "optimizers/certificate.h"

#include <algorithm>
#include <memory>

#include "optimizers/algorithms.h"
#include "optimizers/cohorts.h"
#include "strata/optimizers/exact_front.h"
#include "strata/optimizers/hypervolume.h"
#include "strata/optimizers/price_front.h"

namespace strata::optimizers {
namespace {

void add_bound(double variance, double importance, std::vector<Objectives>& bounds) {
  Objectives bound;
  bound.usage_variance = variance;
  bound.importance = importance;
  bounds.push_back(bound);
}

/// Points that no assignment lies beyond: with the bound of the step at its even end.
std::vector<Objectives> bounds_of(const PriceFront& front) {
  const Objectives& even = front.points.front().objectives;
  const double most = front.points.back().objectives.usage_variance;
  if (front.steps.empty()) {
    return staircase(even.usage_variance, most, even.importance,
                     [&](double variance) { return front.importance_bound(variance); });
  }
  std::vector<Objectives> bounds;
  for (const BoundStep& step : front.steps) add_bound(step.from, step.importance, bounds);
  if (most > even.usage_variance) add_bound(most, even.importance, bounds);
  return bounds;
}

}  // namespace

std::vector<Objectives> staircase(double least, double most, double corner,
                                  const std::function<double(double)>& importance_bound) {
  std::vector<Objectives> bounds;
  constexpr int kSteps = 1000;
  for (int k = 0; k <= kSteps; ++k) {
    const auto at = [&](int step) { return least + (most - least) * step / kSteps; };
    // Every step has the bound of its right end.
    add_bound(at(k), importance_bound(at(std::min(k + 1, kSteps))), bounds);
  }
  if (most > least) add_bound(most, corner, bounds);
  return bounds;
}

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

Certificate certify_by(const AlgorithmRow& row, const PlanningProblem& problem,
                       const PlanOptions& options) {
  return problem.least_cohort > 1 ? certify_cohorts(problem, options, row)
                                  : row.certify(problem, options);
}

Certificate certify(const PlanningProblem& problem) {
  problem.validate();
  const AlgorithmRow& row = certifying_row(problem);
  Certificate certificate = certify_by(row, problem, {});
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
