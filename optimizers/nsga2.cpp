// NSGA-II (Deb, Pratap, Agarwal, Meyarivan: A fast and elitist multiobjective genetic algorithm,
// IEEE Transactions on Evolutionary Computation 6(2), 2002): binary tournaments by rank and
// crowding distance, crossover with probability 0.9, mutation, and the best of parents and
// offspring.
//
// The variation suits assignments. Crossover: per client, each exchange that brings one parent
// closer to the other is made with probability 1/2. Mutation: `perturb` under the prices of its
// place on the front or random ones.

#include "optimizers/nsga2.h"

#include <algorithm>
#include <cmath>

#include "optimizers/crowding.h"
#include "optimizers/neighbourhood.h"
#include "optimizers/nondominated_fronts.h"

namespace strata::optimizers {
namespace {

constexpr double kCrossoverProbability = 0.9;

/// Rank and crowding distance of every individual.
struct Standing {
  std::vector<std::size_t> rank;
  std::vector<double> crowding;
};

std::vector<std::vector<double>> fitness_of(const std::vector<UnitState>& states) {
  std::vector<std::vector<double>> fitness;
  for (const UnitState& state : states) {
    const Value& value = state.value();
    fitness.push_back({-static_cast<double>(value.importance), static_cast<double>(value.spread)});
    if (state.model().two_objectives()) continue;
    fitness.back().push_back(static_cast<double>(value.bytes));
    fitness.back().push_back(value.seconds);
  }
  return fitness;
}

Standing standing(const std::vector<std::vector<double>>& fitness) {
  Standing result{std::vector<std::size_t>(fitness.size(), 0),
                  std::vector<double>(fitness.size(), 0.0)};
  std::size_t rank = 0;
  for (const auto& front : nondominated_fronts(fitness)) {
    std::vector<std::vector<double>> members;
    for (const auto i : front) members.push_back(fitness[i]);
    const auto crowding = crowding_distances(members);
    for (std::size_t k = 0; k < front.size(); ++k) {
      result.rank[front[k]] = rank;
      result.crowding[front[k]] = crowding[k];
    }
    ++rank;
  }
  return result;
}

bool better(const Standing& standing, std::size_t a, std::size_t b) {
  if (standing.rank[a] != standing.rank[b]) return standing.rank[a] < standing.rank[b];
  return standing.crowding[a] > standing.crowding[b];
}

std::size_t tournament(const Standing& standing, Random& random) {
  const std::size_t size = standing.rank.size();
  const std::size_t a = random.below(size);
  const std::size_t b = (a + 1 + random.below(size - 1)) % size;
  return better(standing, b, a) ? b : a;
}

void cross(UnitState& child, const UnitState& other, Random& random) {
  const int words = child.model().words();
  for (const int client : child.model().movable()) {
    const std::uint64_t* target = other.row(client);
    int differing = 0;
    for (int w = 0; w < words; ++w) differing += std::popcount(target[w] & ~child.row(client)[w]);
    for (; differing > 0; --differing) {
      if (random.below(2) == 0) continue;
      if (const auto move = draw_move_towards(child, target, client, random)) child.apply(*move);
    }
  }
}

}  // namespace

void search_nsga2(SearchRun& run, std::vector<UnitState>& population) {
  const std::size_t size = population.size();
  Standing parents = standing(fitness_of(population));
  while (!run.spent()) {
    while (population.size() < 2 * size && !run.spent()) {
      const std::size_t a = tournament(parents, run.random), b = tournament(parents, run.random);
      UnitState first = population[a], second = population[b];
      if (run.random.uniform() < kCrossoverProbability) {
        cross(first, population[b], run.random);
        cross(second, population[a], run.random);
      }
      for (UnitState* child : {&first, &second}) {
        if (run.spent()) break;
        perturb(*child, run.prices_near(child->value()), run.random);
        run.record(*child);
        population.push_back(std::move(*child));
      }
    }
    const Standing all = standing(fitness_of(population));
    std::vector<std::size_t> order(population.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return better(all, a, b); });
    std::vector<UnitState> survivors;
    Standing next;
    for (std::size_t i = 0; i < size; ++i) {
      survivors.push_back(std::move(population[order[i]]));
      next.rank.push_back(all.rank[order[i]]);
      next.crowding.push_back(all.crowding[order[i]]);
    }
    population = std::move(survivors);
    parents = std::move(next);
  }
}

}  // namespace strata::optimizers
