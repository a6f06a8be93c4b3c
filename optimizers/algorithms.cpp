#include "optimizers/algorithms.h"

#include <algorithm>
#include <stdexcept>

#include "optimizers/abc.h"
#include "optimizers/aco.h"
#include "optimizers/annealing.h"
#include "optimizers/certificate.h"
#include "optimizers/mopso.h"
#include "optimizers/nsga2.h"
#include "strata/core/error.h"
#include "strata/optimizers/baselines.h"

namespace strata::optimizers {
namespace {

constexpr std::int64_t kLargestExact = 200000;  // clients · units
constexpr int kGreedyPrices = 40;

constexpr AlgorithmUses kOwnSearch{.search = true, .islands = true};
constexpr AlgorithmUses kPagmoSearch{.search = true};

bool suits_exact(const PlanningProblem& problem) {
  return problem.counts_units() &&
         (problem.has_ranks() ||
          std::int64_t{problem.client_count()} * problem.unit_count() <= kLargestExact);
}

bool plans_ranks(const Algorithm& algorithm, const PlanningProblem& problem) {
  return problem.counts_units() ? algorithm.ranks : algorithm.rank_costs;
}

bool suits_all(const PlanningProblem&) {
  return true;
}

FrontPoints plan_greedily(const PlanningProblem& problem, const PlanOptions&) {
  return greedy_front(problem, kGreedyPrices);
}

FrontPoints one(const PlanningProblem& problem, const Assignment& assignment) {
  return {FrontPoint{assignment, evaluate(problem, assignment)}};
}

FrontPoints plan_round_robin(const PlanningProblem& problem, const PlanOptions&) {
  return one(problem, round_robin(problem));
}

FrontPoints plan_top_k(const PlanningProblem& problem, const PlanOptions&) {
  return one(problem, top_k(problem));
}

FrontPoints plan_at_random(const PlanningProblem& problem, const PlanOptions& options) {
  return one(problem, random_assignment(problem, options.search.seed));
}

/// Of the metaheuristics the first is the one that auto takes.
std::vector<AlgorithmRow> own_rows() {
  using enum AlgorithmKind;
  return {
      {.algorithm = {"exact", kExact, {.unsupported = true}, true},
       .certify = certify_exactly,
       .suits = suits_exact},
      {.algorithm = {"prices", kPrice, {}, false, true},
       .certify = certify_by_prices,
       .suits = suits_all},
      {.algorithm = {"nsga2", kSearch, kOwnSearch}, .search = search_nsga2},
      {.algorithm = {"mopso", kSearch, kOwnSearch}, .search = search_mopso},
      {.algorithm = {"aco", kSearch, kOwnSearch}, .search = search_aco},
      {.algorithm = {"abc", kSearch, kOwnSearch}, .search = search_abc},
      {.algorithm = {"annealing", kSearch, kOwnSearch}, .search = search_annealing},
      {.algorithm = {"greedy", kPrice}, .plan = plan_greedily},
      {.algorithm = {"roundrobin", kBaseline}, .plan = plan_round_robin},
      {.algorithm = {"topk", kBaseline, {}, true}, .plan = plan_top_k},
      {.algorithm = {"random", kBaseline, {}, true}, .plan = plan_at_random},
  };
}

std::vector<AlgorithmRow> all_rows() {
  std::vector<AlgorithmRow> rows = own_rows();
  auto place = std::find_if(rows.begin(), rows.end(),
                            [](const AlgorithmRow& row) { return row.plan != nullptr; });
  for (const PagmoAlgorithm& pagmo : pagmo_algorithms()) {
    const Algorithm algorithm{pagmo.name, AlgorithmKind::kSearch, kPagmoSearch};
    place = std::next(rows.insert(place, {.algorithm = algorithm, .pagmo = pagmo.search}));
  }
  return rows;
}

bool is_pagmo(const std::string& name) {
  return name.rfind(kPagmo, 0) == 0;
}

}  // namespace

/// In the order of help and messages.
const std::vector<AlgorithmRow>& algorithm_rows() {
  static const std::vector<AlgorithmRow> rows = all_rows();
  return rows;
}

void require_algorithm(const std::string& option, const std::string& name,
                       const std::vector<std::string>& allowed) {
  if (is_pagmo(name) && pagmo_algorithms().empty())
    throw InputError(
        option + ": \"" + name +
        "\" is pagmo's, and this Strata was built without pagmo; allowed: " + quoted_list(allowed));
  require_name(option, name, allowed);
}

const Algorithm* find_algorithm(const std::string& name) {
  for (const AlgorithmRow& row : algorithm_rows())
    if (row.algorithm.name == name) return &row.algorithm;
  return nullptr;
}

const AlgorithmRow& row_of(const std::string& name) {
  for (const AlgorithmRow& row : algorithm_rows())
    if (row.algorithm.name == name) return row;
  throw std::invalid_argument("no algorithm " + name);
}

void require_units(const PlanningProblem& problem, const std::string& asked) {
  if (!problem.has_ranks()) return;
  std::vector<std::string> able;
  for (const AlgorithmRow& row : algorithm_rows())
    if (plans_ranks(row.algorithm, problem)) able.push_back(row.algorithm.name);
  throw InputError(asked +
                   (problem.counts_units() ? " plans units, not ranks; those that plan ranks are "
                                           : " plans no ranks in budgets of " + problem.resource +
                                                 "; those that do are ") +
                   quoted_list(able));
}

void require_suited(const PlanningProblem& problem, const Algorithm& algorithm) {
  if (!plans_ranks(algorithm, problem)) require_units(problem, "the algorithm " + algorithm.name);
}

const AlgorithmRow& certifying_row(const PlanningProblem& problem) {
  const auto& rows = algorithm_rows();
  return *std::find_if(rows.begin(), rows.end(),
                       [&](const AlgorithmRow& row) { return row.suits && row.suits(problem); });
}

const std::vector<std::string>& algorithm_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all = {kAuto};
    for (const AlgorithmRow& row : algorithm_rows()) all.push_back(row.algorithm.name);
    return all;
  }();
  return names;
}

std::vector<std::string> algorithms_with(bool AlgorithmUses::*use) {
  std::vector<std::string> names;
  for (const AlgorithmRow& row : algorithm_rows())
    if (row.algorithm.uses.*use) names.push_back(row.algorithm.name);
  return names;
}

const std::vector<std::string>& search_algorithms() {
  static const std::vector<std::string> names = algorithms_with(&AlgorithmUses::search);
  return names;
}

const std::vector<std::string>& metaheuristics() {
  static const std::vector<std::string> names = algorithms_with(&AlgorithmUses::islands);
  return names;
}

}  // namespace strata::optimizers
