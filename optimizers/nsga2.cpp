#include "strata/optimizers/nsga2.h"

#include <algorithm>
#include <cmath>
#include <pagmo/algorithm.hpp>
#include <pagmo/problem.hpp>
#include <pagmo/utils/multi_objective.hpp>
#include <stdexcept>

#include "optimizers/nsga2_algorithm.h"
#include "strata/core/error.h"
#include "strata/optimizers/baselines.h"

namespace strata {
namespace {

constexpr double kCrossoverProbability = 0.9;

/// Rank and crowding distance of every individual.
struct Standing {
  std::vector<std::size_t> rank;
  std::vector<double> crowding;
};

Standing standing(const std::vector<pagmo::vector_double>& fitness) {
  auto [fronts, dominated, counts, ranks] = pagmo::fast_non_dominated_sorting(fitness);
  Standing result{{ranks.begin(), ranks.end()}, std::vector<double>(fitness.size(), 0.0)};
  for (const auto& front : fronts) {
    if (front.size() < 2) continue;  // pagmo's crowding distance needs two points
    std::vector<pagmo::vector_double> members;
    for (const auto i : front) members.push_back(fitness[i]);
    const pagmo::vector_double crowding = pagmo::crowding_distance(members);
    for (std::size_t k = 0; k < front.size(); ++k) {
      // A front of equal points has a range of zero, and pagmo divides by it.
      result.crowding[front[k]] = std::isnan(crowding[k]) ? 0.0 : crowding[k];
    }
  }
  return result;
}

std::size_t tournament(const Standing& standing, Random& random) {
  const std::size_t size = standing.rank.size();
  const std::size_t a = random.below(size);
  const std::size_t b = (a + 1 + random.below(size - 1)) % size;
  if (standing.rank[a] != standing.rank[b]) return standing.rank[a] < standing.rank[b] ? a : b;
  if (standing.crowding[a] != standing.crowding[b]) {
    return standing.crowding[a] > standing.crowding[b] ? a : b;
  }
  return random.below(2) == 0 ? a : b;
}

void crossover(Assignment& a, Assignment& b, Random& random) {
  std::vector<int> only_a, only_b;
  for (Eigen::Index c = 0; c < a.rows(); ++c) {
    only_a.clear();
    only_b.clear();
    for (int unit = 0; unit < a.cols(); ++unit) {
      if (a(c, unit) && !b(c, unit)) only_a.push_back(unit);
      if (b(c, unit) && !a(c, unit)) only_b.push_back(unit);
    }
    random.shuffle(only_b);
    for (std::size_t k = 0; k < only_a.size(); ++k) {
      if (random.below(2) == 0) continue;
      std::swap(a(c, only_a[k]), b(c, only_a[k]));
      std::swap(a(c, only_b[k]), b(c, only_b[k]));
    }
  }
}

void mutate(Assignment& assignment, Random& random) {
  const double probability = 1.0 / static_cast<double>(assignment.rows());
  std::vector<int> selected, unselected;
  for (Eigen::Index c = 0; c < assignment.rows(); ++c) {
    if (random.uniform() >= probability) continue;
    selected.clear();
    unselected.clear();
    for (int unit = 0; unit < assignment.cols(); ++unit) {
      (assignment(c, unit) ? selected : unselected).push_back(unit);
    }
    if (selected.empty() || unselected.empty()) continue;
    assignment(c, selected[random.below(selected.size())]) = 0;
    assignment(c, unselected[random.below(unselected.size())]) = 1;
  }
}

}  // namespace

void FrontArchive::insert(const Assignment& assignment, double importance) {
  std::int64_t squares = 0;
  for (const int n : usage(assignment)) squares += static_cast<std::int64_t>(n) * n;
  auto next = entries_.lower_bound(squares);
  if (next != entries_.begin() && std::prev(next)->second.importance >= importance) return;
  if (next != entries_.end() && next->first == squares && next->second.importance >= importance) {
    return;
  }
  while (next != entries_.end() && next->second.importance <= importance)
    next = entries_.erase(next);
  entries_.emplace_hint(next, squares, Entry{importance, assignment});
}

std::vector<FrontPoint> FrontArchive::front(const PlanningProblem& problem) const {
  std::vector<FrontPoint> points;
  for (const auto& [squares, entry] : entries_) {
    points.push_back({entry.assignment, evaluate(problem, entry.assignment)});
  }
  return points;
}

Nsga2::Nsga2(std::int64_t generations, std::uint64_t seed)
    : generations_(generations), random_(seed) {}

void Nsga2::set_seed(unsigned seed) {
  random_ = Random(seed);
}

pagmo::population Nsga2::evolve(pagmo::population population) const {
  const pagmo::problem& problem = population.get_problem();
  const LayerProblem* layers = problem.extract<LayerProblem>();
  if (!layers)
    throw std::invalid_argument("Strata NSGA-II needs a LayerProblem, not " + problem.get_name());
  const std::size_t size = population.size();
  if (size < 8 || size % 4 != 0) {
    throw std::invalid_argument(
        "Strata NSGA-II needs a population that is a multiple of 4 and at least 8, not " +
        std::to_string(size));
  }
  log_.clear();
  std::vector<Assignment> parents;
  for (std::size_t i = 0; i < size; ++i) {
    parents.push_back(layers->decode(population.get_x()[i].data()));
    archive_.insert(parents[i], -population.get_f()[i][0]);
  }
  std::vector<pagmo::vector_double> fitness = population.get_f();
  for (std::int64_t generation = 1; generation <= generations_; ++generation) {
    const Standing parents_standing = standing(fitness);
    std::vector<Assignment> all = parents;
    for (std::size_t i = 0; i < size; i += 2) {
      Assignment a = parents[tournament(parents_standing, random_)];
      Assignment b = parents[tournament(parents_standing, random_)];
      if (random_.uniform() < kCrossoverProbability) crossover(a, b, random_);
      mutate(a, random_);
      mutate(b, random_);
      all.push_back(std::move(a));
      all.push_back(std::move(b));
    }
    pagmo::vector_double vectors;
    for (std::size_t i = size; i < all.size(); ++i) {
      const pagmo::vector_double x = layers->encode(all[i]);
      vectors.insert(vectors.end(), x.begin(), x.end());
    }
    const pagmo::vector_double values = problem.batch_fitness(vectors);
    for (std::size_t i = 0; i < size; ++i) {
      fitness.push_back({values[2 * i], values[2 * i + 1]});
      archive_.insert(all[size + i], -values[2 * i]);
    }
    std::vector<Assignment> survivors;
    std::vector<pagmo::vector_double> survivors_fitness;
    for (const auto i : pagmo::select_best_N_mo(fitness, size)) {
      survivors.push_back(all[i]);
      survivors_fitness.push_back(fitness[i]);
    }
    parents = std::move(survivors);
    fitness = std::move(survivors_fitness);
    const pagmo::vector_double ideal = pagmo::ideal(fitness);
    log_.emplace_back(generation, problem.get_fevals(), -ideal[0], ideal[1]);
  }
  for (std::size_t i = 0; i < size; ++i) {
    population.set_xf(i, layers->encode(parents[i]), fitness[i]);
  }
  return population;
}

Nsga2Result run_nsga2(const PlanningProblem& problem, const Nsga2Options& options) {
  problem.validate();
  if (options.population < 8 || options.population % 4 != 0) {
    throw InputError("population: found " + std::to_string(options.population) +
                     ", allowed is a multiple of 4 that is at least 8");
  }
  if (options.evaluations < 1) {
    throw InputError("evaluations: found " + std::to_string(options.evaluations) +
                     ", allowed is 1 or more");
  }
  const std::uint64_t stream = derive_seed(options.seed, "nsga2");
  const bool no_slots = std::all_of(problem.budgets.begin(), problem.budgets.end(),
                                    [](int budget) { return budget == 0; });
  if (no_slots) {  // pagmo has no decision vectors without a dimension
    FrontArchive archive;
    const Assignment only = top_k(problem);
    archive.insert(only, evaluate(problem, only).importance);
    return {archive.front(problem), 1};
  }

  const LayerProblem layers(problem);
  const std::int64_t start = std::min<std::int64_t>(options.population, options.evaluations);
  // pagmo's own seed only names individuals.
  pagmo::population population(layers, 0, static_cast<unsigned>(stream));
  for (std::int64_t i = 0; i < start; ++i) {
    const auto seed = derive_seed(stream, {static_cast<std::uint64_t>(i)});
    population.push_back(layers.encode(random_assignment(problem, seed)));
  }
  if (start < options.population) {
    FrontArchive archive;
    for (std::size_t i = 0; i < population.size(); ++i) {
      archive.insert(layers.decode(population.get_x()[i].data()), -population.get_f()[i][0]);
    }
    return {archive.front(problem), start};
  }
  const std::int64_t generations = options.evaluations / options.population - 1;
  const pagmo::algorithm algorithm(Nsga2(generations, stream));
  population = algorithm.evolve(population);
  return {algorithm.extract<Nsga2>()->archive().front(problem),
          static_cast<std::int64_t>(population.get_problem().get_fevals())};
}

}  // namespace strata
