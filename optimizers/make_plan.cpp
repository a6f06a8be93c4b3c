#include "strata/optimizers/make_plan.h"

#include <algorithm>
#include <memory>

#include "core/build_info.h"
#include "strata/core/error.h"
#include "strata/optimizers/baselines.h"
#include "strata/optimizers/choose.h"
#include "strata/optimizers/hypervolume.h"
#include "strata/optimizers/price_front.h"
#include "strata/optimizers/search.h"

namespace strata::optimizers {
namespace {

constexpr std::int64_t kLargestExact = 200000;  // clients · units
constexpr int kGreedyPrices = 40;
/// For more objectives than importance and usage variance.
constexpr const char* kManyObjectives = "nsga2";

bool is_search(const std::string& algorithm) {
  const auto& names = search_algorithms();
  return std::find(names.begin(), names.end(), algorithm) != names.end();
}

bool suits_exact(const PlanningProblem& problem) {
  return problem.counts_units() &&
         std::int64_t{problem.client_count()} * problem.unit_count() <= kLargestExact;
}

Certificate certify_exactly(const PlanningProblem& problem, bool sweep = false) {
  ExactFront exact = exact_front(problem, {.sweep = sweep});
  // The bound needs no assignments.
  auto hull = std::make_shared<ExactFront>();
  for (const Objectives& point : exact.points.objectives()) hull->points.push_back({{}, point});
  Certificate certificate{"exact", {}, exact.points.objectives(), {}};
  certificate.algorithm = "exact";
  certificate.points = std::move(sweep ? exact.sweep : exact.points);
  certificate.importance_bound = [hull](double variance) {
    return hull->importance_bound(variance);
  };
  return certificate;
}

/// Points that no assignment lies beyond: with the bound of the step at its even end.
std::vector<Objectives> bounds_of(const PriceFront& front) {
  std::vector<Objectives> bounds;
  const auto add = [&](double variance, double importance) {
    Objectives bound;
    bound.usage_variance = variance;
    bound.importance = importance;
    bounds.push_back(bound);
  };
  const Objectives& even = front.points.front().objectives;
  const double most = front.points.back().objectives.usage_variance;
  if (!front.steps.empty()) {
    for (const BoundStep& step : front.steps) add(step.from, step.importance);
  } else {
    // A staircase above the cuts: every step has the bound of its right end.
    constexpr int kSteps = 1000;
    for (int k = 0; k <= kSteps; ++k) {
      const auto at = [&](int step) {
        return even.usage_variance + (most - even.usage_variance) * step / kSteps;
      };
      add(at(k), front.importance_bound(at(std::min(k + 1, kSteps))));
    }
  }
  // The corner that hypervolumes are measured from: the least importance of the front itself.
  if (most > even.usage_variance) add(most, even.importance);
  return bounds;
}

Certificate certify_by_prices(const PlanningProblem& problem) {
  auto front = std::make_shared<PriceFront>(price_front(problem));
  Certificate certificate{front->complete ? "exact" : "prices", front->points, {}, {}};
  certificate.algorithm = "prices";
  // The bound needs no assignments.
  for (FrontPoint& point : front->points) point.assignment = {};
  certificate.bounds = bounds_of(*front);
  certificate.importance_bound = [front](double variance) {
    return front->importance_bound(variance);
  };
  return certificate;
}

/// What plans, and why, where `auto` left it to us for a reason that is not seen at once.
struct Taken {
  std::string algorithm, why;
};

Taken taken_algorithm(const PlanningProblem& problem, const std::string& asked) {
  if (asked != "auto") return {asked, ""};
  if (problem.has_further_objectives()) {
    std::string names;
    for (const std::string& name : objective_names(problem))
      if (name != "importance" && name != "usage_variance")
        names += (names.empty() ? "" : " and ") + name;
    return {kManyObjectives,
            std::string(kManyObjectives) + ", as exact and prices would not optimise " + names};
  }
  return {suits_exact(problem) ? "exact" : "prices", ""};
}

struct Found {
  FrontPoints front;
  std::int64_t evaluations = 0;
};

Found find_front(const PlanningProblem& problem, const PlanOptions& options,
                 const std::string& algorithm, Certificate& certificate) {
  const auto one = [&](const Assignment& assignment) {
    return Found{{FrontPoint{assignment, evaluate(problem, assignment)}}, 0};
  };
  if (algorithm == certificate.algorithm) return {std::move(certificate.points), 0};
  if (algorithm == "exact") return {certify_exactly(problem, options.sweep).points, 0};
  if (algorithm == "prices") return {price_front(problem).points, 0};
  if (algorithm == "greedy") return {greedy_front(problem, kGreedyPrices), 0};
  if (algorithm == "roundrobin") return one(round_robin(problem));
  if (algorithm == "topk") return one(top_k(problem));
  if (algorithm == "random") return one(random_assignment(problem, options.search.seed));
  SearchResult result = search(problem, algorithm, options.search);
  return {result.front, result.evaluations};
}

}  // namespace

const std::vector<std::string>& algorithm_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> names = {"auto", "exact", "prices"};
    names.insert(names.end(), search_algorithms().begin(), search_algorithms().end());
    names.insert(names.end(), {"greedy", "roundrobin", "topk", "random"});
    return names;
  }();
  return names;
}

Certificate certify(const PlanningProblem& problem) {
  problem.validate();
  return suits_exact(problem) ? certify_exactly(problem) : certify_by_prices(problem);
}

Gap measure_gap(const Plan& plan, const Certificate& certificate) {
  Gap gap;
  gap.known = true;
  gap.certificate = certificate.method;
  const double bound = certificate.importance_bound(plan.objectives.usage_variance);
  // Below zero only by the rounding of the scores to integers and of sums.
  gap.importance = std::max(0.0, bound - plan.objectives.importance);
  gap.relative = bound > 0 ? gap.importance / bound : 0.0;
  gap.hypervolume_ratio = hypervolume_ratio(plan.front, certificate.bounds);
  return gap;
}

Plan make_plan(const PlanningProblem& problem, const PlanOptions& options) {
  require_name("algorithm", options.algorithm, algorithm_names());
  check_choice(options.choose);
  // What a search would refuse is refused whatever the algorithm.
  check_search(options.algorithm, options.search);
  problem.validate();
  check_warm_start(problem, options.search.warm_start);
  const Taken taken = taken_algorithm(problem, options.algorithm);
  const std::string& algorithm = taken.algorithm;
  Plan plan;
  plan.algorithm = algorithm;
  plan.choose = options.choose;
  plan.seed = options.search.seed;
  plan.clients = problem.clients;
  plan.units = problem.units;
  plan.provenance = {{"strata", build_version()}, {"commit", build_commit()}};
  if (!taken.why.empty()) plan.provenance.emplace_back("auto", taken.why);
  if (is_search(algorithm)) {
    const SearchOptions& search = options.search;
    plan.provenance.emplace_back("start", search.start);
    plan.provenance.emplace_back("population", std::int64_t{search.population});
    plan.provenance.emplace_back("evaluations", search.evaluations);
    plan.provenance.emplace_back("islands", std::int64_t{search.islands});
    if (!search.warm_start.empty())
      plan.provenance.emplace_back("warm_start",
                                   static_cast<std::int64_t>(search.warm_start.size()));
  }

  Certificate certificate;
  if (options.gap) {
    certificate = algorithm == "exact" ? certify_exactly(problem, options.sweep) : certify(problem);
  }
  Found found = find_front(problem, options, algorithm, certificate);
  if (algorithm == "exact" && options.full_front_seconds > 0) {
    FullFront full = full_front(problem, options.full_front_seconds);
    found.front = full.points;
    plan.provenance.emplace_back("full_front",
                                 std::string(full.complete ? "complete" : "time ran out"));
  }
  plan.evaluations = found.evaluations;
  plan.front = found.front.objectives();
  const std::size_t row = choose(plan.front, options.choose, objective_names(problem));
  const FrontPoint chosen = found.front[row];
  plan.row = row + 1;
  plan.assignment = chosen.assignment;
  plan.count_budgets(problem);
  plan.objectives = chosen.objectives;
  plan.archive = found.front.assignments();
  if (options.gap) plan.gap = measure_gap(plan, certificate);
  return plan;
}

}  // namespace strata::optimizers
