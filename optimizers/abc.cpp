// Multi-objective artificial bee colony (Karaboga, Basturk: A powerful and efficient algorithm for
// numerical function optimization, Journal of Global Optimization 39, 2007; with an external
// archive as in Akbari, Hedayatzadeh, Ziarati, Hassanizadeh, Swarm and Evolutionary Computation 2,
// 2012): employed bees try a neighbour of their food source, onlookers choose sources by their
// quality and try further neighbours, and scouts replace sources that were tried in vain too often.
//
// Every source has its own prices (decomposition, as in MOEA/D: Zhang, Li 2007), under which greedy
// selection compares. A neighbour differs by few swaps: towards another source (the original's
// x_ij − x_kj), or perturbed under the source's prices. Onlookers prefer sources whose last try
// succeeded. A scout takes an archived assignment and rebuilds part of it, rather than beginning at
// random, which at this size would never catch up.

#include "optimizers/abc.h"

#include <algorithm>

#include "optimizers/neighbourhood.h"

namespace strata::optimizers {
namespace {

constexpr int kTrialLimit = 60;

struct Source {
  Prices prices;
  int trials = 0;  // since the last improvement
};

/// One bee at one source. The state changes only where its weighted sum does not fall.
void visit(SearchRun& run, std::vector<UnitState>& population, std::size_t i, Source& source) {
  UnitState& state = population[i];
  const LayerModel& model = run.model;
  const double before = model.weighted(state.value(), source.prices);
  UnitState neighbour = state;
  if (run.random.below(4) == 0) {
    const UnitState& other = population[run.random.below(population.size())];
    const auto& movable = model.movable();
    for (int left = power_law(static_cast<int>(movable.size()), run.random); left > 0; --left) {
      const int client = movable[run.random.below(movable.size())];
      if (const auto move = draw_move_towards(neighbour, other.row(client), client, run.random))
        neighbour.apply(*move);
    }
  } else {
    perturb(neighbour, source.prices, run.random);
  }
  run.record(neighbour);
  const double after = model.weighted(neighbour.value(), source.prices);
  if (after > before) {
    source.trials = 0;
  } else {
    ++source.trials;
  }
  if (after >= before) state = std::move(neighbour);
}

}  // namespace

void search_abc(SearchRun& run, std::vector<UnitState>& population) {
  const LayerModel& model = run.model;
  const std::size_t size = population.size();
  std::vector<Source> sources(size);
  const auto ladder = price_ladder(model, static_cast<int>(size));
  for (std::size_t i = 0; i < size; ++i) {
    sources[i].prices = model.two_objectives() ? ladder[i] : random_prices(model, run.random);
  }
  while (!run.spent()) {
    for (std::size_t i = 0; i < size && !run.spent(); ++i) visit(run, population, i, sources[i]);
    // Onlookers: tournaments for the source that was tried in vain less often.
    for (std::size_t k = 0; k < size && !run.spent(); ++k) {
      const std::size_t a = run.random.below(size), b = run.random.below(size);
      visit(run, population, sources[b].trials < sources[a].trials ? b : a,
            sources[sources[b].trials < sources[a].trials ? b : a]);
    }
    for (std::size_t i = 0; i < size && !run.spent(); ++i) {
      if (sources[i].trials <= kTrialLimit) continue;
      UnitState scout(model, run.archive.sample(run.random).bits);
      sources[i].prices = run.prices_near(scout.value());
      perturb(scout, sources[i].prices, run.random);
      run.record(scout);
      population[i] = std::move(scout);
      sources[i].trials = 0;
    }
  }
}

}  // namespace strata::optimizers
