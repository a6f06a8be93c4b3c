#include "strata/core/target_usage.h"

#include <algorithm>

#include "strata/core/error.h"

namespace strata {
namespace {

void check_target(const PlanningProblem& problem, const std::vector<int>& target) {
  if (problem.has_further_objectives())
    throw InputError("target usage: it is for importance and usage_variance, not for " +
                     objective_names(problem)[kCommonObjectives]);
  if (problem.least_cohort > 1)
    throw InputError("target usage: the clients that it adds are no cohort; found least_cohort " +
                     std::to_string(problem.least_cohort) + ", allowed is 1 beside it");
  if (target.size() != problem.units.size())
    throw InputError("target usage: found " + std::to_string(target.size()) +
                     " numbers, and there are " + std::to_string(problem.units.size()) + " units");
  const int most = problem.client_count() * problem.ranks;
  for (std::size_t l = 0; l < target.size(); ++l)
    if (target[l] < 0 || target[l] > most)
      throw InputError("target usage: unit \"" + problem.units[l] + "\": found " +
                       std::to_string(target[l]) + ", allowed is 0 to " + std::to_string(most));
}

/// Of the client that is pinned to what falls short of the greatest target by more than `k`.
void add_client(PlanningProblem& problem, const std::vector<int>& missing, int k) {
  problem.clients.push_back("target usage " + std::to_string(k + 1));
  int units = 0;
  std::int64_t cost = 0;
  for (std::size_t l = 0; l < missing.size(); ++l) {
    const bool pinned = missing[l] > k;
    problem.rules.push_back(pinned ? Rule::kPinned : Rule::kForbidden);
    units += pinned;
    if (pinned && !problem.counts_units()) cost += problem.unit_costs[l];
  }
  if (problem.counts_units())
    problem.budgets.push_back(units);
  else
    problem.capacities.push_back(cost);
}

}  // namespace

PlanningProblem with_target_usage(PlanningProblem problem, const std::vector<int>& target) {
  check_target(problem, target);
  if (target.empty()) return problem;
  const int most = *std::max_element(target.begin(), target.end());
  std::vector<int> missing;
  for (const int uses : target) missing.push_back(most - uses);
  const int added = *std::max_element(missing.begin(), missing.end());
  if (problem.rules.empty())
    problem.rules.assign(problem.clients.size() * problem.units.size(), Rule::kFree);
  for (int k = 0; k < added; ++k) add_client(problem, missing, k);
  problem.importance.conservativeResize(problem.client_count(), Eigen::NoChange);
  problem.importance.bottomRows(added).setZero();
  for (std::size_t l = 0; l < problem.coverage.size(); ++l) problem.coverage[l] += missing[l];
  return problem;
}

Assignment with_added_clients(const PlanningProblem& planned, const Assignment& assignment) {
  Assignment all = Assignment::Zero(planned.client_count(), planned.unit_count());
  all.topRows(assignment.rows()) = assignment;
  for (int added = static_cast<int>(assignment.rows()); added < planned.client_count(); ++added)
    for (int unit = 0; unit < planned.unit_count(); ++unit)
      all(added, unit) = planned.rule(added, unit) == Rule::kPinned;
  return all;
}

std::string target_usage_text(const std::vector<int>& target) {
  std::string text;
  for (const int uses : target) text += (text.empty() ? "" : " ") + std::to_string(uses);
  return text;
}

Plan without_added_clients(Plan plan, int clients) {
  const auto count = static_cast<std::size_t>(clients);
  plan.clients.resize(count);
  if (!plan.used.empty()) plan.used.resize(count);
  if (!plan.budgets.empty()) plan.budgets.resize(count);
  if (plan.assignment.rows() > clients)
    plan.assignment.conservativeResize(clients, Eigen::NoChange);
  AssignmentList archive;
  for (const Assignment& assignment : plan.archive) archive.push_back(assignment.topRows(clients));
  plan.archive = std::move(archive);
  return plan;
}

}  // namespace strata
