#include "optimizers/islands.h"

#include <algorithm>
#include <chrono>

#include "core/parallel.h"

namespace strata::optimizers {
namespace {

constexpr int kEpochs = 10;
constexpr std::size_t kMigrants = 10;  // one in so many goes on to the next island

struct Island {
  std::vector<Assignment> population;
  std::uint64_t seed = 0;
  FrontArchive archive;  ///< of all epochs
  std::int64_t evaluations = 0;
};

/// One epoch: as many evaluations, or fewer where the run's time ends it before.
void evolve(Island& island, const SearchRun& run, Method method, std::int64_t evaluations) {
  SearchRun::Limits limits{evaluations, 0};
  if (const auto deadline = run.deadline()) {
    const std::chrono::duration<double> left = *deadline - std::chrono::steady_clock::now();
    if (left.count() <= 0) return;
    limits.seconds = left.count();
  }
  SearchRun epoch(run.model, limits, island.seed, {});
  std::vector<UnitState> states;
  for (const Assignment& assignment : island.population) {
    states.emplace_back(run.model, assignment);
    epoch.archive.insert(states.back());
  }
  method(epoch, states);
  for (std::size_t i = 0; i < std::min(states.size(), island.population.size()); ++i)
    island.population[i] = states[i].assignment();
  island.archive.merge(epoch.archive, run.model);
  island.evaluations += epoch.evaluations();
  island.seed = derive_seed(island.seed, "evolve");
}

/// Every tenth assignment goes to a random place on the next island, and may go on from there.
void migrate(std::vector<Island>& islands, Random& random) {
  for (std::size_t i = 0; i < islands.size(); ++i) {
    const auto& from = islands[i].population;
    auto& to = islands[(i + 1) % islands.size()].population;
    for (std::size_t k = 0; k < from.size(); k += kMigrants) to[random.below(to.size())] = from[k];
  }
}

}  // namespace

void search_islands(SearchRun& run, Method method, std::uint64_t seed,
                    const std::vector<std::vector<Assignment>>& starts) {
  const auto count = static_cast<std::int64_t>(starts.size());
  const std::int64_t share = (run.limit() - run.evaluations()) / count / kEpochs;
  if (share < 1) return;
  std::vector<Island> islands(starts.size());
  for (std::size_t i = 0; i < starts.size(); ++i) {
    islands[i].population = starts[i];
    islands[i].seed = derive_seed(seed, {0x15a, i});
  }
  std::int64_t counted = 0;
  for (int epoch = 0; epoch < kEpochs && !run.spent(); ++epoch) {
    parallel_for(static_cast<int>(islands.size()), 0,
                 [&](int i) { evolve(islands[i], run, method, share); });
    std::int64_t spent = 0;
    for (const Island& island : islands) {
      run.archive.merge(island.archive, run.model);
      spent += island.evaluations;
    }
    if (spent == counted) break;  // the time is up
    run.count(spent - counted);
    counted = spent;
    migrate(islands, run.random);
  }
}

}  // namespace strata::optimizers
