#include "strata/optimizers/make_plan.h"

#include <algorithm>

#include "core/build_info.h"
#include "strata/core/error.h"
#include "strata/optimizers/baselines.h"
#include "strata/optimizers/choose.h"
#include "strata/optimizers/exact_front.h"
#include "strata/optimizers/hypervolume.h"
#include "strata/optimizers/nsga2.h"

namespace strata {
namespace {

void validate(const PlanOptions& options) {
  const auto require_name = [](const std::string& option, const std::string& found,
                               const std::vector<std::string>& allowed) {
    if (std::find(allowed.begin(), allowed.end(), found) != allowed.end()) return;
    throw InputError(option + ": unknown name \"" + found + "\"" + did_you_mean(found, allowed) +
                     "; allowed: " + quoted_list(allowed));
  };
  require_name("algorithm", options.algorithm, algorithm_names());
  require_name("choose", options.choose, choice_rules());
  if (options.evaluations < 1) {
    throw InputError("evaluations: found " + std::to_string(options.evaluations) +
                     ", allowed is 1 or more");
  }
  if (options.population < 8 || options.population % 4 != 0) {
    throw InputError("population: found " + std::to_string(options.population) +
                     ", allowed is a multiple of 4 that is at least 8");
  }
}

std::vector<Objectives> objectives_of(const std::vector<FrontPoint>& points) {
  std::vector<Objectives> objectives;
  for (const FrontPoint& point : points) objectives.push_back(point.objectives);
  return objectives;
}

Gap measure_gap(const Plan& plan, const ExactFront& exact) {
  Gap gap;
  gap.known = true;
  const double bound = exact.importance_bound(plan.objectives.usage_variance);
  // Below zero only by the rounding of the scores to integers and of sums.
  gap.importance = std::max(0.0, bound - plan.objectives.importance);
  gap.relative = bound > 0 ? gap.importance / bound : 0.0;
  gap.hypervolume_ratio = hypervolume_ratio(plan.front, objectives_of(exact.points));
  return gap;
}

}  // namespace

const std::vector<std::string>& algorithm_names() {
  static const std::vector<std::string> names = {"exact", "nsga2", "topk", "random"};
  return names;
}

Plan make_plan(const PlanningProblem& problem, const PlanOptions& options) {
  validate(options);
  problem.validate();
  Plan plan;
  plan.algorithm = options.algorithm;
  plan.choose = options.choose;
  plan.seed = options.seed;
  plan.clients = problem.clients;
  plan.units = problem.units;
  plan.provenance = {{"strata", build_version()}, {"commit", build_commit()}};

  // The exact algorithm yields the exact front anyway, so its gap is always known.
  ExactFront exact;
  if (options.gap || options.algorithm == "exact") exact = exact_front(problem);

  std::vector<FrontPoint> front;
  if (options.algorithm == "exact") {
    front = exact.points;
    plan.provenance.emplace_back("method", "parametric exchange");
  } else if (options.algorithm == "nsga2") {
    Nsga2Result result =
        run_nsga2(problem, {options.population, options.evaluations, options.seed});
    front = std::move(result.front);
    plan.evaluations = result.evaluations;
    plan.provenance.emplace_back("population", std::to_string(options.population));
    plan.provenance.emplace_back("evaluations", std::to_string(options.evaluations));
  } else {
    const Assignment assignment =
        options.algorithm == "topk" ? top_k(problem) : random_assignment(problem, options.seed);
    front.push_back({assignment, evaluate(problem, assignment)});
  }

  plan.front = objectives_of(front);
  const FrontPoint& chosen = front[choose(plan.front, options.choose)];
  plan.assignment = chosen.assignment;
  plan.objectives = chosen.objectives;
  if (!exact.points.empty()) plan.gap = measure_gap(plan, exact);
  return plan;
}

}  // namespace strata
