#include "optimizers/layer_problem.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "strata/core/error.h"

namespace strata {

LayerProblem::LayerProblem()
    : LayerProblem(PlanningProblem{{"client"}, {"unit"}, Eigen::MatrixXd::Ones(1, 1), {1}}) {}

LayerProblem::LayerProblem(PlanningProblem problem) : problem_(std::move(problem)) {
  problem_.validate();
  slots_ = std::accumulate(problem_.budgets.begin(), problem_.budgets.end(), std::size_t{0});
  if (slots_ == 0)
    throw InputError("layer problem: every budget is 0, at least one must be positive");
}

Assignment LayerProblem::decode(const double* x) const {
  const int units = problem_.unit_count();
  Assignment assignment = Assignment::Zero(problem_.client_count(), units);
  for (int c = 0; c < problem_.client_count(); ++c) {
    int missing = 0;
    for (int k = 0; k < problem_.budgets[c]; ++k) {
      // NaN compares false and becomes unit 0.
      const double entry = std::round(*x++);
      const int unit = entry > 0 ? static_cast<int>(std::min(entry, units - 1.0)) : 0;
      missing += assignment(c, unit);
      assignment(c, unit) = 1;
    }
    for (; missing > 0; --missing) {
      int best = -1;
      for (int unit = 0; unit < units; ++unit) {
        if (assignment(c, unit)) continue;
        if (best < 0 || problem_.importance(c, unit) > problem_.importance(c, best)) best = unit;
      }
      assignment(c, best) = 1;
    }
  }
  return assignment;
}

pagmo::vector_double LayerProblem::encode(const Assignment& assignment) const {
  pagmo::vector_double x;
  x.reserve(slots_);
  for (Eigen::Index c = 0; c < assignment.rows(); ++c) {
    for (Eigen::Index unit = 0; unit < assignment.cols(); ++unit) {
      if (assignment(c, unit)) x.push_back(static_cast<double>(unit));
    }
  }
  return x;
}

pagmo::vector_double LayerProblem::fitness(const pagmo::vector_double& x) const {
  const Objectives objectives = evaluate(problem_, decode(x.data()));
  return {-objectives.importance, objectives.usage_variance};
}

pagmo::vector_double LayerProblem::batch_fitness(const pagmo::vector_double& xs) const {
  pagmo::vector_double values;
  values.reserve(xs.size() / slots_ * 2);
  for (std::size_t begin = 0; begin < xs.size(); begin += slots_) {
    const Objectives objectives = evaluate(problem_, decode(xs.data() + begin));
    values.push_back(-objectives.importance);
    values.push_back(objectives.usage_variance);
  }
  return values;
}

std::pair<pagmo::vector_double, pagmo::vector_double> LayerProblem::get_bounds() const {
  return {pagmo::vector_double(slots_, 0.0),
          pagmo::vector_double(slots_, problem_.unit_count() - 1.0)};
}

}  // namespace strata
