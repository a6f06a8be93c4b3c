#include "strata/optimizers/make_plan.h"

#include "core/build_info.h"
#include "core/text.h"
#include "optimizers/algorithms.h"
#include "optimizers/cohorts.h"
#include "strata/core/error.h"
#include "strata/core/target_usage.h"
#include "strata/optimizers/choose.h"
#include "strata/optimizers/full_front.h"
#include "strata/optimizers/search.h"

namespace strata::optimizers {
namespace {

/// What plans, and why, where `auto` left it to us for a reason that is not seen at once.
struct Taken {
  const AlgorithmRow& row;
  std::string why = {};
};

Taken taken_algorithm(const PlanningProblem& problem, const std::string& asked) {
  if (asked != kAuto) return {row_of(asked)};
  if (!problem.has_further_objectives()) return {certifying_row(problem)};
  std::vector<std::string> two, further = objective_names(problem);
  further.erase(further.begin(), further.begin() + kCommonObjectives);
  for (const AlgorithmRow& row : algorithm_rows())
    if (row.certify) two.push_back(row.algorithm.name);
  const AlgorithmRow& row = row_of(metaheuristics().front());
  return {row, row.algorithm.name + ", as " + joined(two, " and ") + " would not optimise " +
                   joined(further, " and ")};
}

struct Found {
  FrontPoints front;
  std::int64_t evaluations = 0;
  Certificate certificate = {};  ///< where the options ask for the gap
};

Found find_front(const PlanningProblem& problem, const PlanOptions& options,
                 const AlgorithmRow& row) {
  Found found;
  if (row.algorithm.kind == AlgorithmKind::kExact || &row == &certifying_row(problem)) {
    found.certificate = certify_by(row, problem, options);
    found.front = std::move(found.certificate.points);
    return found;
  }
  if (options.gap) found.certificate = certify(problem);
  if (row.certify) {
    found.front = certify_by(row, problem, options).points;
    return found;
  }
  const PlanningProblem relaxed = without_cohorts(problem);
  if (row.plan) {
    found.front = row.plan(relaxed, options);
  } else {
    const SearchResult result = search(relaxed, row.algorithm.name, options.search);
    found.front = result.front;
    found.evaluations = result.evaluations;
  }
  if (problem.least_cohort > 1) found.front = keep_cohorts(problem, found.front);
  return found;
}

/// What of the options a search depended on.
void describe_search(const SearchOptions& search, Plan& plan) {
  plan.provenance.emplace_back("start", search.start);
  plan.provenance.emplace_back("population", std::int64_t{search.population});
  plan.provenance.emplace_back("evaluations", search.evaluations);
  plan.provenance.emplace_back("islands", std::int64_t{search.islands});
  if (!search.warm_start.empty())
    plan.provenance.emplace_back("warm_start", static_cast<std::int64_t>(search.warm_start.size()));
}

}  // namespace

PlannedFront plan_front(const PlanningProblem& problem, const PlanOptions& options) {
  require_algorithm("algorithm", options.algorithm, algorithm_names());
  // What a search would refuse is refused whatever the algorithm.
  check_search(options.algorithm, options.search);
  problem.validate();
  check_warm_start(problem, options.search.warm_start);
  const Taken taken = taken_algorithm(problem, options.algorithm);
  const Algorithm& algorithm = taken.row.algorithm;
  require_suited(problem, algorithm);
  if (options.full_front_seconds > 0) {
    require_units(problem, "the search for the full front");
    if (problem.least_cohort > 1)
      throw InputError("the search for the full front keeps no least_cohort; found " +
                       std::to_string(problem.least_cohort) + ", allowed is 1 beside it");
  }
  PlannedFront planned;
  Plan& plan = planned.plan;
  plan.algorithm = algorithm.name;
  plan.kind = algorithm.kind;
  plan.seed = options.search.seed;
  plan.clients = problem.clients;
  plan.units = problem.units;
  plan.ranks = problem.ranks;
  plan.provenance = {{"strata", build_version()}, {"commit", build_commit()}};
  if (!taken.why.empty()) plan.provenance.emplace_back(kAuto, taken.why);
  if (algorithm.uses.search) describe_search(options.search, plan);

  Found found = find_front(problem, options, taken.row);
  if (algorithm.uses.unsupported && options.full_front_seconds > 0) {
    FullFront full = full_front(problem, options.full_front_seconds);
    found.front = full.points;
    plan.provenance.emplace_back("full_front",
                                 std::string(full.complete ? "complete" : "time ran out"));
  }
  plan.evaluations = found.evaluations;
  plan.front = found.front.objectives();
  plan.archive = found.front.assignments();
  if (options.gap) planned.certificate = std::move(found.certificate);
  return planned;
}

PlannedFront plan_front_towards(const PlanningProblem& problem, const std::vector<int>& target,
                                const PlanOptions& options) {
  if (target.empty()) return plan_front(problem, options);
  const PlanningProblem whole = with_target_usage(problem, target);
  PlanOptions of_whole = options;
  for (Assignment& assignment : of_whole.search.warm_start)
    assignment = with_added_clients(whole, assignment);
  PlannedFront planned = plan_front(whole, of_whole);
  planned.plan = without_added_clients(std::move(planned.plan), problem.client_count());
  planned.plan.provenance.emplace_back("target_usage", target_usage_text(target));
  return planned;
}

Plan choose_plan(const PlanningProblem& problem, const PlannedFront& planned,
                 const std::string& rule) {
  Plan plan = planned.plan;
  plan.choose = rule;
  const std::size_t row = choose(plan.front, rule, objective_names(problem));
  plan.row = row + 1;
  plan.assignment = plan.archive[row];
  plan.objectives = plan.front[row];
  plan.count_budgets(problem);
  if (planned.certificate) plan.gap = measure_gap(plan, *planned.certificate);
  return plan;
}

Plan make_plan(const PlanningProblem& problem, const PlanOptions& options) {
  return make_plan_towards(problem, {}, options);
}

Plan make_plan_towards(const PlanningProblem& problem, const std::vector<int>& target,
                       const PlanOptions& options) {
  require_algorithm("algorithm", options.algorithm, algorithm_names());
  check_choice(options.choose);
  return choose_plan(problem, plan_front_towards(problem, target, options), options.choose);
}

}  // namespace strata::optimizers
