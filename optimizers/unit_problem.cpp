#include "optimizers/unit_problem.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <numeric>

#include "strata/core/error.h"
#include "strata/optimizers/feasible.h"

namespace strata::optimizers {

struct UnitProblem::Watch {
  std::mutex mutex;
  std::function<void(const Assignment&)> call;
};

UnitProblem::UnitProblem()
    : UnitProblem(PlanningProblem{{"client"}, {"unit"}, Eigen::MatrixXd::Ones(1, 1), {1}}) {}

UnitProblem::UnitProblem(PlanningProblem problem, bool relaxed)
    : problem_(std::move(problem)), fallback_(feasible_assignment(problem_)), relaxed_(relaxed) {
  slots_ = problem_.counts_units()
               ? std::accumulate(problem_.budgets.begin(), problem_.budgets.end(), std::size_t{0})
               : problem_.clients.size() * problem_.units.size();
  if (slots_ == 0)
    throw InputError("layer problem: every budget is 0, at least one must be positive");
  if (!problem_.uplink_bytes.empty()) ++objectives_;
  if (problem_.seconds.size() > 0) ++objectives_;
}

Assignment UnitProblem::decode(const double* x) const {
  const int units = problem_.unit_count();
  Assignment assignment = Assignment::Zero(problem_.client_count(), units);
  for (int c = 0; c < problem_.client_count(); ++c) {
    if (!problem_.counts_units()) {
      for (int unit = 0; unit < units; ++unit) assignment(c, unit) = *x++ >= 0.5;
      continue;
    }
    for (int k = 0; k < problem_.budgets[c]; ++k) {
      // NaN compares false and becomes unit 0.
      const double entry = std::round(*x++);
      const int unit = entry > 0 ? static_cast<int>(std::min(entry, units - 1.0)) : 0;
      assignment(c, unit) = 1;
    }
  }
  repair(problem_, fallback_, assignment);
  return assignment;
}

pagmo::vector_double UnitProblem::encode(const Assignment& assignment) const {
  pagmo::vector_double x;
  x.reserve(slots_);
  for (Eigen::Index c = 0; c < assignment.rows(); ++c) {
    for (Eigen::Index unit = 0; unit < assignment.cols(); ++unit) {
      if (!problem_.counts_units()) {
        x.push_back(assignment(c, unit));
      } else if (assignment(c, unit)) {
        x.push_back(static_cast<double>(unit));
      }
    }
  }
  return x;
}

pagmo::vector_double UnitProblem::fitness_of(const Objectives& objectives) const {
  pagmo::vector_double fitness = {-objectives.importance, objectives.usage_variance};
  if (!problem_.uplink_bytes.empty()) fitness.push_back(objectives.uplink_bytes);
  if (problem_.seconds.size() > 0) fitness.push_back(objectives.slowest_seconds);
  return fitness;
}

void UnitProblem::watch(std::function<void(const Assignment&)> watch) {
  watch_ = std::make_shared<Watch>();
  watch_->call = std::move(watch);
}

pagmo::vector_double UnitProblem::fitness(const pagmo::vector_double& x) const {
  const Assignment assignment = decode(x.data());
  if (watch_) {
    const std::lock_guard lock(watch_->mutex);
    watch_->call(assignment);
  }
  return fitness_of(evaluate(problem_, assignment));
}

pagmo::vector_double UnitProblem::batch_fitness(const pagmo::vector_double& xs) const {
  const std::size_t count = xs.size() / slots_;
  pagmo::vector_double values(count * objectives_);
  std::vector<Assignment> assignments(count);
  tbb::parallel_for(tbb::blocked_range<std::size_t>(0, count, 8), [&](const auto& range) {
    for (std::size_t i = range.begin(); i < range.end(); ++i) {
      assignments[i] = decode(xs.data() + i * slots_);
      const auto fitness = fitness_of(evaluate(problem_, assignments[i]));
      std::copy(fitness.begin(), fitness.end(), &values[i * objectives_]);
    }
  });
  // In order and outside the threads, so that what is watched does not depend on them.
  if (watch_) {
    const std::lock_guard lock(watch_->mutex);
    for (const Assignment& assignment : assignments) watch_->call(assignment);
  }
  return values;
}

std::pair<pagmo::vector_double, pagmo::vector_double> UnitProblem::get_bounds() const {
  return {
      pagmo::vector_double(slots_, 0.0),
      pagmo::vector_double(slots_, problem_.counts_units() ? problem_.unit_count() - 1.0 : 1.0)};
}

}  // namespace strata::optimizers
