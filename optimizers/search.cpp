#include "strata/optimizers/search.h"

#include <algorithm>
#include <pagmo/algorithm.hpp>
#include <pagmo/archipelago.hpp>
#include <pagmo/island.hpp>
#include <set>

#include "optimizers/layer_problem.h"
#include "optimizers/metaheuristic.h"
#include "optimizers/neighbourhood.h"
#include "optimizers/pagmo_algorithms.h"
#include "optimizers/search_run.h"
#include "strata/core/error.h"
#include "strata/optimizers/baselines.h"
#include "strata/optimizers/feasible.h"

namespace strata {
namespace {

constexpr int kEpochs = 10;
constexpr int kPasses = 8;  // of greedy starts
const std::string kPagmo = "pagmo:";

/// `count` assignments that settle under prices: eight across the range, and then those of the
/// widest gaps between neighbours, which are the steps of the largest area below the front.
std::vector<Assignment> greedy_assignments(const LayerModel& model, std::size_t count) {
  std::vector<Assignment> found;
  FrontArchive archive;
  LayerState state(model, round_robin(model.problem()));
  const auto add = [&](const Prices& prices) {
    settle(state, prices, kPasses);
    archive.insert(state);
    found.push_back(state.assignment());
  };
  for (const Prices& prices : price_ladder(model, 8)) add(prices);
  std::set<std::pair<std::int64_t, std::int64_t>> tried;
  while (found.size() < count && model.two_objectives()) {
    const auto entries = archive.entries();
    const FrontArchive::Entry *low = nullptr, *high = nullptr;
    double widest = 0;
    for (std::size_t i = 1; i < entries.size(); ++i) {
      const Value &a = entries[i - 1]->value, &b = entries[i]->value;
      const double area = static_cast<double>(b.importance - a.importance) *
                          static_cast<double>(b.spread - a.spread);
      if (area <= widest || tried.count({a.spread, b.spread})) continue;
      widest = area;
      low = entries[i - 1];
      high = entries[i];
    }
    if (!low) break;
    tried.insert({low->value.spread, high->value.spread});
    const double slope =
        static_cast<double>(high->value.importance - low->value.importance) /
        (static_cast<double>(high->value.spread - low->value.spread) / model.units());
    state = LayerState(model, high->bits);
    add({slope, 0, 0});
  }
  return found;
}

/// `population` assignments to begin with; random ones where greedy or exact ones are fewer.
std::vector<Assignment> starting_assignments(const LayerModel& model, const SearchOptions& options,
                                             std::uint64_t seed) {
  const auto size = static_cast<std::size_t>(options.population);
  std::vector<Assignment> starts;
  if (options.start == "greedy") starts = greedy_assignments(model, size);
  if (options.start == "exact") {
    const auto points = exact_front(model.problem(), {.sweep = false}).points;
    const std::size_t count = std::min(size, points.size());
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t at = count > 1 ? i * (points.size() - 1) / (count - 1) : 0;
      starts.push_back(points[at].assignment);
    }
  }
  while (starts.size() < size) {
    const auto stream = derive_seed(seed, {static_cast<std::uint64_t>(starts.size())});
    starts.push_back(random_assignment(model.problem(), stream));
  }
  return starts;
}

/// Islands evolve side by side in a pagmo archipelago and pass on a tenth of their population to
/// the next one after every epoch. The archipelago's own migration would depend on timing.
void search_islands(SearchRun& run, const SearchOptions& options,
                    const std::vector<std::vector<Assignment>>& starts) {
  const LayerModel& model = run.model;
  const LayerProblem layers(model.problem());
  const std::int64_t share = (run.limit() - run.evaluations()) / options.islands / kEpochs;
  if (share < 1) return;
  pagmo::archipelago archipelago;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const auto seed = derive_seed(options.seed, {0x15a, i});
    pagmo::population population(layers, 0, static_cast<unsigned>(seed));
    for (const Assignment& start : starts[i]) {
      population.push_back(layers.encode(start),
                           layers.fitness_of(evaluate(model.problem(), start)));
    }
    archipelago.push_back(pagmo::algorithm(Metaheuristic(options.algorithm, share, seed)),
                          population);
  }
  for (int epoch = 0; epoch < kEpochs && !run.spent(); ++epoch) {
    archipelago.evolve();
    archipelago.wait_check();
    std::vector<pagmo::population> populations;
    for (const auto& island : archipelago) {
      run.archive.merge(island.get_algorithm().extract<Metaheuristic>()->archive(), model);
      populations.push_back(island.get_population());
    }
    run.count(share * options.islands);
    for (std::size_t i = 0; i < populations.size(); ++i) {
      const auto& from = populations[i];
      auto& to = populations[(i + 1) % populations.size()];
      for (std::size_t k = 0; k < from.size(); k += 10) {
        const std::size_t place = run.random.below(to.size());
        to.set_xf(place, from.get_x()[k], from.get_f()[k]);
      }
    }
    for (std::size_t i = 0; i < populations.size(); ++i)
      archipelago[i].set_population(populations[i]);
  }
}

}  // namespace

const std::vector<std::string>& search_algorithms() {
  static const std::vector<std::string> names = {"nsga2",
                                                 "mopso",
                                                 "aco",
                                                 "abc",
                                                 "annealing",
                                                 "pagmo:nsga2",
                                                 "pagmo:nspso",
                                                 "pagmo:maco",
                                                 "pagmo:bee_colony",
                                                 "pagmo:simulated_annealing"};
  return names;
}

const std::vector<std::string>& search_starts() {
  static const std::vector<std::string> names = {"random", "greedy", "exact"};
  return names;
}

void check_search(const SearchOptions& options) {
  const auto require_name = [](const std::string& option, const std::string& found,
                               const std::vector<std::string>& allowed) {
    if (std::find(allowed.begin(), allowed.end(), found) != allowed.end()) return;
    throw InputError(option + ": unknown name \"" + found + "\"" + did_you_mean(found, allowed) +
                     "; allowed: " + quoted_list(allowed));
  };
  require_name("algorithm", options.algorithm, search_algorithms());
  require_name("start", options.start, search_starts());
  if (options.evaluations < 1) {
    throw InputError("evaluations: found " + std::to_string(options.evaluations) +
                     ", allowed is 1 or more");
  }
  if (!(options.seconds >= 0))
    throw InputError("seconds: found " + std::to_string(options.seconds) +
                     ", allowed is 0 or more");
  if (options.population < 8 || options.population % 4 != 0) {
    throw InputError("population: found " + std::to_string(options.population) +
                     ", allowed is a multiple of 4 that is at least 8");
  }
  if (options.islands < 1)
    throw InputError("islands: found " + std::to_string(options.islands) +
                     ", allowed is 1 or more");
  if (options.islands > 1 && options.algorithm.rfind(kPagmo, 0) == 0) {
    throw InputError("islands: found " + std::to_string(options.islands) + " with " +
                     options.algorithm + ", allowed is 1; islands are for Strata's own algorithms");
  }
}

SearchResult search(const PlanningProblem& problem, const SearchOptions& options) {
  check_search(options);
  const Assignment feasible = feasible_assignment(problem);
  const LayerModel model(problem);
  const std::uint64_t stream = derive_seed(options.seed, options.algorithm);
  SearchRun run(model, {options.evaluations, options.seconds}, stream, options.reference);
  if (model.movable().empty()) {
    run.record(LayerState(model, feasible));
  } else {
    const bool stock = options.algorithm.rfind(kPagmo, 0) == 0;
    std::vector<std::vector<Assignment>> starts;
    std::vector<LayerState> population;
    for (int i = 0; i < options.islands; ++i) {
      starts.push_back(starting_assignments(
          model, options, derive_seed(options.seed, {static_cast<std::uint64_t>(i)})));
      for (const Assignment& start : starts.back()) {
        // pagmo's algorithms evaluate their population themselves.
        if (stock || run.spent()) break;
        population.emplace_back(model, start);
        run.record(population.back());
      }
    }
    if (stock) {
      search_pagmo(run, options.algorithm.substr(kPagmo.size()), starts.front());
    } else if (options.islands > 1) {
      search_islands(run, options, starts);
    } else if (!run.spent()) {
      find_method(options.algorithm)(run, population);
    }
  }
  run.finish();
  return {run.archive.front(model), run.evaluations(), run.seconds(), run.log()};
}

}  // namespace strata
