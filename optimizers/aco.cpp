// Pareto ant colony (Doerner, Gutjahr, Hartl, Strauss, Stummer: Pareto ant colony optimization,
// Annals of Operations Research 131, 2004): every ant draws random weights, builds an assignment
// from one pheromone per objective, mixed by its weights, and from heuristic information; units are
// drawn by the pseudo-random-proportional rule of the ant colony system; what is used evaporates
// locally, and the best ants of each objective reinforce theirs.
//
// Here the weights are a price p on usage (neighbourhood.h) with the mix p / (p + median price)
// for the even pheromone; the heuristic information is the score less the price of the unit's usage
// so far. A row's units are the greatest of ln τ + heuristic / T + Gumbel noise, which draws them
// one after the other without replacement in proportion to τ · exp(heuristic / T) (Gumbel top-k).
// An ant starts from an archived assignment and rebuilds some of its rows (cunning ants: Tsutsui,
// PPSN 2006): all of them in the first iterations, few later.

#include "optimizers/aco.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "optimizers/neighbourhood.h"

namespace strata::optimizers {
namespace {

constexpr double kGreedy = 0.7;       // q₀: the share of rows built without noise
constexpr double kEvaporation = 0.1;  // ρ
constexpr double kLeastPheromone = 0.05, kMostPheromone = 1;

class Colony {
 public:
  explicit Colony(const LayerModel& model)
      : model_(model),
        pheromone_{std::vector<double>(model.clients() * std::size_t(model.units()), 0.5),
                   std::vector<double>(model.clients() * std::size_t(model.units()), 0.5)} {}

  /// Rebuilds the row of `client` by exchanging its worst units for its best ones.
  void rebuild(UnitState& ant, int client, const Prices& prices, double mix, Random& random) {
    const int units = model_.units();
    const bool greedy = random.uniform() < kGreedy;
    const double temperature = 0.1 * static_cast<double>(model_.greatest_score()) + 1e-9;
    rearrange(ant, client, [&](int unit, bool taken) {
      const std::size_t at = static_cast<std::size_t>(client) * units + unit;
      const double pheromone = (1 - mix) * pheromone_[0][at] + mix * pheromone_[1][at];
      const double key =
          std::log(pheromone) + adjusted_score(ant, prices, client, unit, taken) / temperature;
      return greedy ? key : key - std::log(-std::log(random.uniform() + 1e-300));
    });
  }

  void reinforce(const UnitState& ant, int objective) {
    auto& pheromone = pheromone_[objective];
    for (int c = 0; c < model_.clients(); ++c) {
      for_each_bit(ant.row(c), model_.words(), [&](int unit) {
        double& tau = pheromone[static_cast<std::size_t>(c) * model_.units() + unit];
        tau += kEvaporation * (kMostPheromone - tau);
      });
    }
  }

  void evaporate(int objective) {
    for (double& tau : pheromone_[objective])
      tau = std::max(kLeastPheromone, (1 - kEvaporation / 2) * tau);
  }

 private:
  const LayerModel& model_;
  std::vector<double> pheromone_[2];  // importance, the other objectives
};

}  // namespace

void search_aco(SearchRun& run, std::vector<UnitState>& population) {
  const LayerModel& model = run.model;
  Colony colony(model);
  const double median = 1e-2 * static_cast<double>(model.greatest_score()) + 1e-9;
  std::vector<int> rows = model.movable();
  for (bool first = true; !run.spent(); first = false) {
    for (UnitState& ant : population) {
      if (run.spent()) break;
      if (!first) ant = UnitState(model, run.archive.sample(run.random).bits);
      const Prices prices = run.prices_near(ant.value());
      const double mix = prices.usage / (prices.usage + median);
      const int most = static_cast<int>(rows.size());
      const int count = first ? most : power_law(most, run.random);
      run.random.shuffle(rows);
      for (int i = 0; i < count; ++i) colony.rebuild(ant, rows[i], prices, mix, run.random);
      run.record(ant);
    }
    // The two best ants of each objective, as in the paper.
    std::vector<std::size_t> order(population.size());
    for (int objective = 0; objective < 2; ++objective) {
      std::iota(order.begin(), order.end(), std::size_t{0});
      const std::size_t best = std::min<std::size_t>(2, order.size());
      std::partial_sort(order.begin(), order.begin() + best, order.end(),
                        [&](std::size_t a, std::size_t b) {
                          const Value &x = population[a].value(), &y = population[b].value();
                          if (objective == 0 && x.importance != y.importance)
                            return x.importance > y.importance;
                          if (objective == 1 && x.spread != y.spread) return x.spread < y.spread;
                          return a < b;
                        });
      colony.evaporate(objective);
      for (std::size_t i = 0; i < best; ++i) colony.reinforce(population[order[i]], objective);
    }
  }
}

}  // namespace strata::optimizers
