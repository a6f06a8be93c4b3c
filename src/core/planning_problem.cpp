#include "strata/core/planning_problem.h"

#include <cmath>
#include <map>

#include "core/csv.h"
#include "strata/core/error.h"

namespace strata {

void PlanningProblem::validate() const {
  if (importance.rows() != client_count() || importance.cols() != unit_count() ||
      budgets.size() != clients.size())
    throw InputError("the planning problem has " + std::to_string(client_count()) +
                     " clients and " + std::to_string(unit_count()) + " units, but " +
                     std::to_string(importance.rows()) + " × " + std::to_string(importance.cols()) +
                     " scores and " + std::to_string(budgets.size()) + " budgets");
  for (int i = 0; i < client_count(); ++i) {
    if (budgets[i] < 0 || budgets[i] > unit_count())
      throw InputError("client \"" + clients[i] + "\": a budget of " + std::to_string(budgets[i]) +
                       " units, but there are " + std::to_string(unit_count()) +
                       "; allowed is 0 to " + std::to_string(unit_count()));
    for (int l = 0; l < unit_count(); ++l)
      if (!std::isfinite(importance(i, l)) || importance(i, l) < 0)
        throw InputError("client \"" + clients[i] + "\", unit \"" + units[l] + "\": a score is " +
                         format_double(importance(i, l)) +
                         "; scores must be finite and at least 0");
  }
}

bool dominates(const Objectives& a, const Objectives& b) {
  return a.importance >= b.importance && a.usage_variance <= b.usage_variance &&
         (a.importance > b.importance || a.usage_variance < b.usage_variance);
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
  double importance = 0;
  for (int i = 0; i < problem.client_count(); ++i)
    for (int l = 0; l < problem.unit_count(); ++l)
      if (assignment(i, l)) importance += problem.importance(i, l);
  return {importance, usage_variance(usage(assignment))};
}

bool is_feasible(const PlanningProblem& problem, const Assignment& assignment) {
  if (assignment.rows() != problem.client_count() || assignment.cols() != problem.unit_count())
    return false;
  for (int i = 0; i < problem.client_count(); ++i) {
    int chosen = 0;
    for (int l = 0; l < problem.unit_count(); ++l) {
      if (assignment(i, l) > 1) return false;
      chosen += assignment(i, l);
    }
    if (chosen != problem.budgets[i]) return false;
  }
  return true;
}

PlanningProblem make_problem(const ScoreTable& scores, const std::string& budget) {
  PlanningProblem problem{scores.clients, scores.units, scores.scores, {}};
  const auto check = [&](std::int64_t value, const std::string& source, const std::string& client) {
    if (value < 0 || value > scores.unit_count())
      throw InputError(source + ": client \"" + client + "\": a budget of " +
                       std::to_string(value) + " units, but there are " +
                       std::to_string(scores.unit_count()) + "; allowed is 0 to " +
                       std::to_string(scores.unit_count()));
    return static_cast<int>(value);
  };
  std::int64_t value = 0;
  if (parse_integer(budget, value)) {
    for (const auto& client : scores.clients)
      problem.budgets.push_back(check(value, "--budget " + budget, client));
    return problem;
  }
  const auto rows = read_csv(budget);
  const auto at = [&](const CsvRow& row) { return budget + ":" + std::to_string(row.line); };
  if (rows[0].fields != std::vector<std::string>{"client", "budget"})
    throw InputError(at(rows[0]) + ": the header must be client,budget");
  std::map<std::string, int> budgets;
  for (std::size_t r = 1; r < rows.size(); ++r) {
    const std::string& client = rows[r].fields[0];
    if (std::find(scores.clients.begin(), scores.clients.end(), client) == scores.clients.end())
      throw InputError(at(rows[r]) + ": the scores have no client \"" + client + "\"" +
                       did_you_mean(client, scores.clients));
    if (budgets.count(client))
      throw InputError(at(rows[r]) + ": the client \"" + client + "\" stands twice");
    if (!parse_integer(rows[r].fields[1], value))
      throw InputError(at(rows[r]) + ": client \"" + client +
                       "\": a whole number of units was expected, found \"" + rows[r].fields[1] +
                       "\"");
    budgets[client] = check(value, at(rows[r]), client);
  }
  for (const auto& client : scores.clients) {
    const auto found = budgets.find(client);
    if (found == budgets.end())
      throw InputError(budget + ": no budget for the client \"" + client + "\"");
    problem.budgets.push_back(found->second);
  }
  return problem;
}

}  // namespace strata
