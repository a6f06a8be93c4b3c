#include "fedrunner/planning.h"

#include <algorithm>
#include <set>

#include "core/console.h"
#include "fedrunner/streams.h"
#include "strata/core/error.h"
#include "strata/core/random.h"

namespace strata::fedrunner {
namespace {

/// What a client may spend, and what its units cost of it: 1 each where budgets count units.
struct Purse {
  std::int64_t left;
  const std::vector<std::int64_t>& costs;

  bool pay(int unit) {
    const std::int64_t cost = costs.empty() ? 1 : costs[static_cast<std::size_t>(unit)];
    if (cost > left) return false;
    left -= cost;
    return true;
  }
};

Purse purse_of(const PlanningProblem& problem, int client) {
  const auto i = static_cast<std::size_t>(client);
  return {problem.counts_units() ? problem.budgets[i] : problem.capacities[i], problem.unit_costs};
}

/// Whoever has no scores gets nothing to train by them.
void take_scores(const ScoreTable& scores, PlanningProblem& problem,
                 std::vector<std::int64_t>& budgets) {
  for (std::size_t i = 0; i < problem.clients.size(); ++i) {
    const auto found = std::find(scores.clients.begin(), scores.clients.end(), problem.clients[i]);
    if (found == scores.clients.end())
      budgets[i] = 0;
    else
      problem.importance.row(static_cast<Eigen::Index>(i)) =
          scores.scores.row(static_cast<Eigen::Index>(found - scores.clients.begin()));
  }
}

PlanningProblem without_budgets(PlanningProblem problem) {
  std::fill(problem.budgets.begin(), problem.budgets.end(), 0);
  std::fill(problem.capacities.begin(), problem.capacities.end(), 0);
  return problem;
}

/// run.json says once who made the run and when; in a plan it would make resumed ones differ.
void forget_the_process(Plan& plan) {
  const std::set<std::string> of_the_run = {"command", "machine", "date"};
  plan.provenance.erase(
      std::remove_if(plan.provenance.begin(), plan.provenance.end(),
                     [&](const auto& entry) { return of_the_run.count(entry.first) > 0; }),
      plan.provenance.end());
}

}  // namespace

bool is_due(int round, std::int64_t every) {
  return (round - 1) % every == 0;
}

int last_due(int round, std::int64_t every) {
  return round - static_cast<int>((round - 1) % every);
}

Assignment Rotation::deal(const PlanningProblem& problem, std::int64_t number) {
  const int clients = problem.client_count(), units = problem.unit_count();
  if (number < dealt_) dealt_ = 0, next_ = 0;
  Assignment assignment;
  for (; dealt_ <= number; ++dealt_) {
    assignment = Assignment::Zero(clients, units);
    for (std::int64_t turn = 0; turn < clients; ++turn) {
      const int client = static_cast<int>((dealt_ + turn) % clients);
      Purse purse = purse_of(problem, client);
      const int first = next_;
      for (int k = 0; k < units; ++k) {
        const int unit = (first + k) % units;
        if (!purse.pay(unit)) continue;
        assignment(client, unit) = 1;
        next_ = (unit + 1) % units;
      }
    }
  }
  return assignment;
}

bool Planning::drops() const {
  return run_.strategy.own == OwnAlgorithm::kDropout ||
         run_.strategy.own == OwnAlgorithm::kSharedDropout;
}

std::int64_t Planning::every() const {
  return drops() ? 1 : task_.run.plan.every;
}

std::vector<std::int64_t> Planning::budgets() const {
  const auto& own = run_.strategy.own;
  if (own == OwnAlgorithm::kNone) return std::vector<std::int64_t>(task_.budgets.size(), 0);
  if (own != OwnAlgorithm::kFull) return task_.budgets;
  std::int64_t all = 0;
  for (const Unit& unit : task_.units.selectable)
    all += task_.run.budget.counts_units() ? 1 : cost_of(unit, task_.run.budget.of);
  return std::vector<std::int64_t>(task_.budgets.size(), all);
}

PlanningProblem Planning::problem(const std::optional<ScoreTable>& scores) const {
  PlanningProblem problem;
  problem.clients = task_.clients;
  problem.units = units_.selectable;
  problem.importance = Eigen::MatrixXd::Constant(problem.client_count(), problem.unit_count(),
                                                 1.0 / problem.unit_count());
  auto budgets = this->budgets();
  if (scores) take_scores(*scores, problem, budgets);
  const std::string& of = task_.run.budget.of;
  if (!run_.strategy.own) {
    problem.ranks = static_cast<int>(task_.planned_ranks);
    problem.least_cohort = static_cast<int>(task_.run.plan.least_cohort);
  }
  if (!problem.has_ranks() || task_.run.budget.counts_units()) {
    set_budgets(problem, of, budgets, costs_of(task_.units.selectable, of));
    return problem;
  }
  std::vector<RankCosts> costs;
  for (const Unit& unit : task_.units.selectable)
    costs.push_back(rank_costs_of(unit, of, problem.ranks));
  set_rank_budgets(problem, of, budgets, costs);
  return problem;
}

Plan Planning::plan(int round, const std::optional<ScoreTable>& scores,
                    const std::vector<Assignment>& warm_start) {
  PlanningProblem problem = this->problem(scores);
  // JSON readers elsewhere keep 53 bits of an integer.
  const std::uint64_t seed = stream(run_.seed, Purpose::kPlan, round) >> 11;
  const PlanOptions options{
      .algorithm = run_.strategy.algorithm,
      .choose = run_.strategy.choose,
      .search = {.evaluations = task_.run.plan.evaluations, .seed = seed, .warm_start = warm_start},
      .gap = scores.has_value()};
  Plan plan;
  try {
    plan = run_.strategy.own ? own_plan(problem, round, seed) : planner_(problem, options);
  } catch (const InputError& error) {
    // With some clients away the others' budgets may leave no whole cohorts in this round.
    const bool all_here = !scores || scores->clients.size() == task_.clients.size();
    if (problem.least_cohort <= 1 || all_here) throw;
    log_warning("round " + std::to_string(round) + ": " + error.what() +
                "; nobody trains a planned unit in this round");
    problem = without_budgets(std::move(problem));
    plan = planner_(problem, options);
  }
  plan.always = units_.always;
  plan.count_budgets(problem);
  plan.scores_digest = scores ? digest(*scores) : "";
  forget_the_process(plan);
  return plan;
}

Plan Planning::own_plan(const PlanningProblem& problem, int round, std::uint64_t seed) {
  Plan plan;
  plan.algorithm = run_.strategy.algorithm;
  plan.kind = AlgorithmKind::kBaseline;
  plan.seed = seed;
  plan.clients = problem.clients;
  plan.units = problem.units;
  plan.assignment =
      drops() ? dropout(problem, round) : rotation_.deal(problem, (round - 1) / every());
  plan.objectives = evaluate(problem, plan.assignment);
  plan.front = {plan.objectives};
  return plan;
}

Assignment Planning::dropout(const PlanningProblem& problem, int round) const {
  Assignment assignment = Assignment::Zero(problem.client_count(), problem.unit_count());
  for (int i = 0; i < problem.client_count(); ++i) {
    // One draw for everybody: whoever has the smaller budget trains the first of it.
    const bool shared = run_.strategy.own == OwnAlgorithm::kSharedDropout;
    const std::string name = shared ? "" : problem.clients[static_cast<std::size_t>(i)];
    Random random(stream(run_.seed, Purpose::kDropout, round, name));
    Purse purse = purse_of(problem, i);
    for (const int unit : random.sample(problem.unit_count(), problem.unit_count()))
      assignment(i, unit) = purse.pay(unit);
  }
  return assignment;
}

}  // namespace strata::fedrunner
