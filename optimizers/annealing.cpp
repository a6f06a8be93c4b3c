// Multi-objective simulated annealing (Ulungu, Teghem, Fortemps, Tuyttens: MOSA method, Journal of
// Multi-Criteria Decision Analysis 8, 1999): one annealing for each of a diverse set of weights,
// with a common archive of the nondominated. A worse weighted sum is accepted with probability
// exp(−loss / temperature); the temperature falls geometrically.
//
// Weights are prices on the other objectives. The annealings are short and run along the prices,
// down and then up: each starts where the last one ended, or from what the archive has best for its
// price, as neighbouring weights have similar optima (Czyżżak and Jaszkiewicz's Pareto simulated
// annealing, 1998, shares this aim). Every candidate counts as one evaluation and is offered to the
// archive, accepted or not.

#include "optimizers/annealing.h"

#include <algorithm>
#include <cmath>

#include "optimizers/neighbourhood.h"

namespace strata::optimizers {
namespace {

constexpr double kHottest = 0.005, kCooling = 1e-3;  // of the greatest score; of the hottest
constexpr std::int64_t kEvaluationsPerPrice = 50;
constexpr int kFewestPrices = 8, kMostPrices = 2000;
constexpr int kCandidates = 4;

/// One annealing of `state` under `prices` with `evaluations` candidates.
void anneal(SearchRun& run, UnitState& state, const Prices& prices, std::int64_t evaluations,
            double hottest) {
  const LayerModel& model = run.model;
  double current = model.weighted(state.value(), prices);
  const double cooling =
      std::pow(kCooling, 1.0 / static_cast<double>(std::max<std::int64_t>(evaluations, 1)));
  double temperature = hottest;
  for (std::int64_t i = 0; i < evaluations && !run.spent(); ++i, temperature *= cooling) {
    const int candidates = run.random.below(4) == 0 ? 1 : kCandidates;
    const auto move = draw_move(state, prices, candidates, run.random);
    if (!move) {
      run.count();
      continue;
    }
    const Value value = state.value_after(*move);
    const double weighted = model.weighted(value, prices);
    const bool accepted =
        weighted >= current || run.random.uniform() < std::exp((weighted - current) / temperature);
    const bool archived = run.archive.accepts(value, model);
    if (accepted || archived) state.apply(*move);
    if (archived) run.archive.insert(state);
    run.count();
    if (accepted) {
      current = weighted;
    } else if (archived) {
      state.apply(move->reversed());
    }
  }
}

}  // namespace

void search_annealing(SearchRun& run, std::vector<UnitState>& population) {
  const LayerModel& model = run.model;
  const auto greatest = static_cast<double>(std::max<std::int64_t>(model.greatest_score(), 1));
  UnitState state = population.front();
  for (bool upwards = false; !run.spent(); upwards = !upwards) {
    // Every pass over the prices takes half of what is left.
    const std::int64_t budget = (run.limit() - run.evaluations()) / 2;
    const int count = static_cast<int>(
        std::clamp<std::int64_t>(budget / kEvaluationsPerPrice, kFewestPrices, kMostPrices));
    const std::vector<Prices> ladder = price_ladder(model, count);
    const std::int64_t each = std::max<std::int64_t>(1, budget / count);
    for (int k = 0; k < count && !run.spent(); ++k) {
      Prices prices = ladder[upwards ? count - 1 - k : k];
      if (!model.two_objectives()) {
        const double usage = prices.usage;
        prices = random_prices(model, run.random);
        prices.usage = usage;
      }
      const auto& best = run.archive.best(prices, model);
      if (model.weighted(best.value, prices) > model.weighted(state.value(), prices))
        state = UnitState(model, best.bits);
      anneal(run, state, prices, each, kHottest * greatest);
    }
  }
  population.front() = state;
}

}  // namespace strata::optimizers
