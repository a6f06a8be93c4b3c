#include "strata/core/planning_problem.h"

#include <algorithm>
#include <cmath>

#include "core/budget.h"
#include "core/csv.h"
#include "strata/core/error.h"

namespace strata {

namespace {

std::string client_text(const PlanningProblem& problem, int client) {
  return "client \"" + problem.clients[client] + "\"";
}

void check_sizes(const PlanningProblem& problem) {
  const auto clients = problem.clients.size(), units = problem.units.size();
  const auto check = [&](const char* name, std::size_t found, std::size_t expected, bool optional) {
    if (found == expected || (optional && found == 0)) return;
    throw InputError("the planning problem has " + std::to_string(clients) + " clients and " +
                     std::to_string(units) + " units, but " + std::to_string(found) + " " + name +
                     "; allowed is " + std::to_string(expected));
  };
  const auto size = [](const Eigen::MatrixXd& matrix) {
    return static_cast<std::size_t>(matrix.size());
  };
  if (problem.importance.rows() != problem.client_count() ||
      problem.importance.cols() != problem.unit_count())
    throw InputError("the planning problem has " + std::to_string(clients) + " clients and " +
                     std::to_string(units) + " units, but " +
                     std::to_string(problem.importance.rows()) + " × " +
                     std::to_string(problem.importance.cols()) + " scores");
  check("budgets", problem.budgets.size(), problem.counts_units() ? clients : 0, false);
  check("capacities", problem.capacities.size(), problem.counts_units() ? 0 : clients, false);
  check("unit costs", problem.unit_costs.size(), problem.counts_units() ? 0 : units, false);
  check("costs of ranks", problem.rank_costs.size(),
        problem.has_ranks() && !problem.counts_units() ? units : 0, false);
  check("rules", problem.rules.size(), clients * units, true);
  check("least usages", problem.coverage.size(), units, true);
  check("uplink sizes", problem.uplink_bytes.size(), units, true);
  check("training times", size(problem.seconds), clients * units, true);
}

void check_client(const PlanningProblem& problem, int i) {
  const int units = problem.unit_count();
  int pinned = 0, allowed = 0;
  std::int64_t pinned_cost = 0;
  for (int l = 0; l < units; ++l) {
    if (!std::isfinite(problem.importance(i, l)) || problem.importance(i, l) < 0)
      throw InputError(client_text(problem, i) + ", unit \"" + problem.units[l] +
                       "\": a score is " + format_double(problem.importance(i, l)) +
                       "; scores must be finite and at least 0");
    allowed += problem.rule(i, l) != Rule::kForbidden;
    if (problem.rule(i, l) != Rule::kPinned) continue;
    ++pinned;
    if (!problem.counts_units()) pinned_cost += problem.unit_costs[l];
  }
  if (problem.counts_units()) {
    const int budget = problem.budgets[i], all = units * problem.ranks;
    const auto fail = [&](const std::string& what) {
      throw InputError(client_text(problem, i) + ": a budget of " + std::to_string(budget) +
                       (problem.has_ranks() ? " ranks, but " : " units, but ") + what);
    };
    if (budget < 0 || budget > all)
      fail("there are " + std::to_string(all) + "; allowed is 0 to " + std::to_string(all));
    if (pinned > budget)
      fail(std::to_string(pinned) + (problem.has_ranks() ? " units are pinned" : " are pinned"));
    if (allowed * problem.ranks < budget)
      fail("only " + std::to_string(allowed * problem.ranks) + " are not forbidden");
  } else {
    const std::int64_t capacity = problem.capacities[i];
    if (capacity < 0 || pinned_cost > capacity)
      throw InputError(client_text(problem, i) + ": a budget of " + std::to_string(capacity) + " " +
                       problem.resource +
                       (capacity < 0
                            ? "; allowed is 0 or more"
                            : ", but the pinned units need " + std::to_string(pinned_cost)));
  }
}

void check_unit(const PlanningProblem& problem, int l) {
  const auto fail = [&](const std::string& what) {
    throw InputError("unit \"" + problem.units[l] + "\": " + what);
  };
  if (!problem.counts_units() && problem.unit_costs[l] < 0)
    fail("a cost of " + std::to_string(problem.unit_costs[l]) + " " + problem.resource +
         "; allowed is 0 or more");
  if (!problem.rank_costs.empty() && problem.rank_costs[l] < 0)
    fail("a rank costs " + std::to_string(problem.rank_costs[l]) + " " + problem.resource +
         "; allowed is 0 or more");
  if (!problem.uplink_bytes.empty() && problem.uplink_bytes[l] < 0)
    fail("an uplink of " + std::to_string(problem.uplink_bytes[l]) +
         " bytes; allowed is 0 or more");
  for (int i = 0; problem.seconds.size() > 0 && i < problem.client_count(); ++i)
    if (!std::isfinite(problem.seconds(i, l)) || problem.seconds(i, l) < 0)
      fail("a training time of " + format_double(problem.seconds(i, l)) + " seconds for " +
           client_text(problem, i) + "; allowed is 0 or more");
  int able = 0;
  bool pinned = false;
  for (int i = 0; i < problem.client_count(); ++i) {
    if (problem.rule(i, l) != Rule::kForbidden)
      able += problem.affordable(
          l, problem.counts_units() ? problem.budgets[i] : problem.capacities[i]);
    pinned |= problem.rule(i, l) == Rule::kPinned;
  }
  if (problem.least_usage(l) < 0 || problem.least_usage(l) > able)
    fail("a coverage of " + std::to_string(problem.least_usage(l)) +
         (problem.has_ranks()
              ? " ranks, but the clients that may train it can afford only " + std::to_string(able)
              : " clients, but only " + std::to_string(able) + " may train it and can afford it") +
         "; allowed is 0 to " + std::to_string(able));
  if ((pinned || problem.least_usage(l) > 0) && able < problem.least_cohort)
    fail("it is pinned or covered, so at least least_cohort = " +
         std::to_string(problem.least_cohort) + " clients must train it, but only " +
         std::to_string(able) + " may and can afford it");
}

void check_cohorts(const PlanningProblem& problem) {
  const int m = problem.least_cohort, clients = problem.client_count();
  if (m < 1 || m > std::max(1, clients))
    throw InputError("least_cohort: found " + std::to_string(m) + ", allowed is 1 to " +
                     std::to_string(clients) + ", the clients");
  if (m > 1 && problem.has_ranks())
    throw InputError(
        "least_cohort counts clients, and plans of ranks do not keep it: found "
        "least_cohort " +
        std::to_string(m) + " and ranks " + std::to_string(problem.ranks));
}

}  // namespace

void PlanningProblem::validate() const {
  check_sizes(*this);
  if (ranks < 1 || ranks > kLargestRank)
    throw InputError("ranks: found " + std::to_string(ranks) + ", allowed is 1 to " +
                     std::to_string(kLargestRank));
  if (has_ranks() && has_further_objectives())
    throw InputError("ranks are planned for importance and usage_variance, not for " +
                     objective_names(*this)[kCommonObjectives]);
  check_cohorts(*this);
  for (int i = 0; i < client_count(); ++i) check_client(*this, i);
  if (!std::isfinite(importance.sum()))
    throw InputError("the sum of all scores is beyond the greatest number there is, 1.8e308");
  for (int l = 0; l < unit_count(); ++l) check_unit(*this, l);
}

int PlanningProblem::affordable(int unit, std::int64_t budget) const {
  if (counts_units()) return static_cast<int>(std::min<std::int64_t>(ranks, budget));
  if (unit_costs[unit] > budget) return 0;
  if (!has_ranks()) return 1;
  const std::int64_t further = rank_costs[unit];
  return further == 0 ? ranks
                      : static_cast<int>(std::min<std::int64_t>(
                            ranks, 1 + (budget - unit_costs[unit]) / further));
}

std::vector<std::string> objective_names(const PlanningProblem& problem) {
  std::vector<std::string> names = {"importance", "usage_variance"};
  if (!problem.uplink_bytes.empty()) names.emplace_back("uplink_bytes");
  if (problem.seconds.size() > 0) names.emplace_back("slowest_client");
  return names;
}

bool dominates(const Objectives& a, const Objectives& b) {
  return a.importance >= b.importance && a.usage_variance <= b.usage_variance &&
         a.uplink_bytes <= b.uplink_bytes && a.slowest_seconds <= b.slowest_seconds &&
         (a.importance > b.importance || a.usage_variance < b.usage_variance ||
          a.uplink_bytes < b.uplink_bytes || a.slowest_seconds < b.slowest_seconds);
}

std::vector<int> usage(const Assignment& assignment) {
  std::vector<int> counts(assignment.cols(), 0);
  for (Eigen::Index i = 0; i < assignment.rows(); ++i)
    for (Eigen::Index l = 0; l < assignment.cols(); ++l) counts[l] += assignment(i, l);
  return counts;
}

double usage_variance(const std::vector<int>& usage) {
  if (usage.empty()) return 0;
  // Integers up to the last division, so that equal histograms have equal variances to the bit.
  std::int64_t sum = 0, squares = 0;
  for (const int n : usage) {
    sum += n;
    squares += std::int64_t{n} * n;
  }
  const auto units = static_cast<std::int64_t>(usage.size());
  return static_cast<double>(units * squares - sum * sum) / static_cast<double>(units * units);
}

Objectives evaluate(const PlanningProblem& problem, const Assignment& assignment) {
  Objectives objectives;
  for (int i = 0; i < problem.client_count(); ++i) {
    double seconds = 0;
    for (int l = 0; l < problem.unit_count(); ++l) {
      if (!assignment(i, l)) continue;
      for (int rank = 1; rank <= assignment(i, l); ++rank)
        objectives.importance += problem.gain(i, l, rank);
      if (!problem.uplink_bytes.empty())
        objectives.uplink_bytes += static_cast<double>(problem.uplink_bytes[l]);
      if (problem.seconds.size() > 0) seconds += problem.seconds(i, l);
    }
    objectives.slowest_seconds = std::max(objectives.slowest_seconds, seconds);
  }
  objectives.usage_variance = usage_variance(usage(assignment));
  return objectives;
}

bool keeps_cohorts(const PlanningProblem& problem, const Assignment& assignment) {
  if (problem.least_cohort <= 1) return true;
  const auto counts = usage(assignment);
  return std::none_of(counts.begin(), counts.end(),
                      [&](int n) { return n > 0 && n < problem.least_cohort; });
}

bool is_feasible(const PlanningProblem& problem, const Assignment& assignment) {
  if (assignment.rows() != problem.client_count() || assignment.cols() != problem.unit_count())
    return false;
  for (int i = 0; i < problem.client_count(); ++i) {
    int chosen = 0;
    std::int64_t cost = 0;
    for (int l = 0; l < problem.unit_count(); ++l) {
      if (assignment(i, l) > problem.ranks) return false;
      if (problem.rule(i, l) == (assignment(i, l) ? Rule::kForbidden : Rule::kPinned)) return false;
      if (!assignment(i, l)) continue;
      chosen += assignment(i, l);
      if (!problem.counts_units()) cost += problem.cost(l, assignment(i, l));
    }
    if (problem.counts_units() ? chosen != problem.budgets[i] : cost > problem.capacities[i])
      return false;
  }
  const auto counts = usage(assignment);
  for (int l = 0; l < problem.unit_count(); ++l)
    if (counts[l] < problem.least_usage(l)) return false;
  return keeps_cohorts(problem, assignment);
}

PlanningProblem make_problem(const ScoreTable& scores, const std::string& budget) {
  PlanningProblem problem{scores.clients, scores.units, scores.scores, {}};
  const Budget units = parse_budget(budget, kOfUnits, "--budget");
  set_budgets(problem, units.of, units.values(scores.clients, scores.unit_count()));
  return problem;
}

std::vector<std::int64_t> spent(const PlanningProblem& problem, const Assignment& assignment) {
  std::vector<std::int64_t> spent(problem.clients.size(), 0);
  for (int i = 0; i < problem.client_count(); ++i)
    for (int l = 0; l < problem.unit_count(); ++l)
      if (assignment(i, l))
        spent[i] += problem.counts_units() ? assignment(i, l) : problem.cost(l, assignment(i, l));
  return spent;
}

}  // namespace strata
