// MOPSO (Coello Coello, Lechuga: MOPSO: a proposal for multiple objective particle swarm
// optimization, CEC 2002; Coello Coello, Pulido, Lechuga, IEEE Transactions on Evolutionary
// Computation 8(3), 2004): particles follow their own best and a leader from an external archive,
// which is drawn from its least crowded cells; a mutation that fades over the run.
//
// Positions are sets of units, so velocities are, too (set-based particle swarm: Chen, Zhang,
// Chung, Zhong, Wu, Shi, IEEE Transactions on Evolutionary Computation 14(2), 2010): of the units
// that the leader (own best) has and the particle has not, each is taken over with probability
// min(1, c · r), r uniform. A velocity in units that were already taken has nothing left to repeat;
// inertia is therefore that all else stays as it is.

#include "optimizers/mopso.h"

#include <algorithm>
#include <cmath>

#include "optimizers/neighbourhood.h"

namespace strata::optimizers {
namespace {

constexpr int kLeaders = 4;
constexpr double kOwnPull = 0.5, kLeaderPull = 2;  // c₁, c₂

/// Of a few archived assignments the nearest one: particles keep to their part of the front, as the
/// sigma method (Mostaghim, Teich, IEEE Swarm Intelligence Symposium 2003) does it.
const FrontArchive::Entry& leader_of(SearchRun& run, const UnitState& particle) {
  const FrontArchive::Entry* leader = nullptr;
  for (int i = 0; i < kLeaders; ++i) {
    const auto& entry = run.archive.sample(run.random);
    const auto distance = [&](const FrontArchive::Entry& e) {
      return std::abs(e.value.spread - particle.value().spread);
    };
    if (!leader || distance(entry) < distance(*leader)) leader = &entry;
  }
  return *leader;
}

void follow(UnitState& particle, const std::uint64_t* bits, double probability, Random& random) {
  const int words = particle.model().words();
  for (const int client : particle.model().movable()) {
    const std::uint64_t* target = bits + static_cast<std::size_t>(client) * words;
    int missing = 0;
    for (int w = 0; w < words; ++w) missing += std::popcount(target[w] ^ particle.row(client)[w]);
    missing = (missing + 1) / 2;
    if (missing == 0) continue;
    for (; missing > 0; --missing) {
      if (random.uniform() >= probability) continue;
      if (const auto move = draw_move_towards(particle, target, client, random))
        particle.apply(*move);
    }
  }
}

/// The paper's turbulence: strong at first, fading over the run.
void disturb(UnitState& particle, const Prices& prices, double progress, Random& random) {
  const auto& movable = particle.model().movable();
  if (random.uniform() < std::pow(1 - progress, 5)) {
    for (const int client : movable) {
      if (random.below(2) == 0) respond(particle, client, prices);
    }
  }
  perturb(particle, prices, random);
}

}  // namespace

bool becomes_own_best(const Value& now, const Value& then, Random& random) {
  return dominates(now, then) || (!dominates(then, now) && random.below(2) == 0);
}

void search_mopso(SearchRun& run, std::vector<UnitState>& population) {
  std::vector<UnitState> best = population;  // of every particle
  while (!run.spent()) {
    for (std::size_t i = 0; i < population.size() && !run.spent(); ++i) {
      UnitState& particle = population[i];
      const double progress = run.progress();
      follow(particle, best[i].bits().data(), kOwnPull * run.random.uniform(), run.random);
      follow(particle, leader_of(run, particle).bits.data(), kLeaderPull * run.random.uniform(),
             run.random);
      disturb(particle, run.prices_near(particle.value()), progress, run.random);
      run.record(particle);
      if (becomes_own_best(particle.value(), best[i].value(), run.random)) best[i] = particle;
    }
  }
}

}  // namespace strata::optimizers
