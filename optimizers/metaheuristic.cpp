#include "optimizers/metaheuristic.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>

#include "optimizers/layer_problem.h"
#include "optimizers/neighbourhood.h"

namespace strata {

SearchRun::SearchRun(const LayerModel& layers, Limits limits, std::uint64_t seed,
                     const std::optional<Objectives>& reference)
    : model(layers), random(seed), limits_(limits), reference_(reference) {
  spent_ = limits.evaluations <= 0;
}

double SearchRun::progress() const {
  double progress = static_cast<double>(evaluations_) / static_cast<double>(limits_.evaluations);
  if (limits_.seconds > 0) progress = std::max(progress, seconds() / limits_.seconds);
  return std::min(1.0, progress);
}

double SearchRun::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

Prices SearchRun::prices_near(const Value& value) {
  if (model.two_objectives() && random.below(2) == 0) {
    const double slope = archive.slope(value.spread, model);
    if (slope > 0) return {slope * std::exp(0.3 * random.normal()), 0, 0};
  }
  return random_prices(model, random);
}

void SearchRun::record(const LayerState& state) {
  archive.insert(state);
  count();
}

void SearchRun::count(std::int64_t evaluations) {
  evaluations_ += evaluations;
  if (evaluations_ >= limits_.evaluations) spent_ = true;
  // The clock is read seldom, as it costs more than an evaluation by deltas.
  if (limits_.seconds > 0 && evaluations_ >= next_clock_) {
    next_clock_ = evaluations_ + 64;
    if (seconds() >= limits_.seconds) spent_ = true;
  }
  if (reference_ && evaluations_ >= next_log_) {
    log_.push_back({evaluations_, seconds(), archive.hypervolume(model, *reference_)});
    next_log_ = evaluations_ + std::max<std::int64_t>(1, evaluations_ / 100);
  }
}

void SearchRun::finish() {
  if (reference_ && (log_.empty() || log_.back().evaluations != evaluations_))
    log_.push_back({evaluations_, seconds(), archive.hypervolume(model, *reference_)});
}

Method find_method(const std::string& name) {
  static const std::map<std::string, Method> methods = {{"nsga2", search_nsga2},
                                                        {"mopso", search_mopso},
                                                        {"aco", search_aco},
                                                        {"abc", search_abc},
                                                        {"annealing", search_annealing}};
  const auto found = methods.find(name);
  return found == methods.end() ? nullptr : found->second;
}

Metaheuristic::Metaheuristic(std::string method, std::int64_t evaluations, std::uint64_t seed)
    : method_(std::move(method)), evaluations_(evaluations), seed_(seed) {}

pagmo::population Metaheuristic::evolve(pagmo::population population) const {
  const LayerProblem* problem = population.get_problem().extract<LayerProblem>();
  if (!problem) {
    throw std::invalid_argument(get_name() + " needs a LayerProblem, not " +
                                population.get_problem().get_name());
  }
  if (population.size() < 2) {
    throw std::invalid_argument(get_name() + " needs a population of at least 2, not " +
                                std::to_string(population.size()));
  }
  const LayerModel model(problem->problem());
  SearchRun run(model, {evaluations_, 0}, seed_, {});
  std::vector<LayerState> states;
  for (const auto& x : population.get_x()) {
    states.emplace_back(model, problem->decode(x.data()));
    run.archive.insert(states.back());
  }
  find_method(method_)(run, states);
  for (std::size_t i = 0; i < states.size() && i < population.size(); ++i) {
    const Assignment assignment = states[i].assignment();
    population.set_xf(i, problem->encode(assignment),
                      problem->fitness_of(model.objectives(states[i].value())));
  }
  population.get_problem().increment_fevals(static_cast<unsigned long long>(run.evaluations()));
  archive_.merge(run.archive, model);
  // A further evolve goes on with another stream.
  seed_ = derive_seed(seed_, "evolve");
  return population;
}

}  // namespace strata
