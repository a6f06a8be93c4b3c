#include "optimizers/pagmo_algorithms.h"

#include <algorithm>
#include <pagmo/algorithm.hpp>
#include <pagmo/algorithms/bee_colony.hpp>
#include <pagmo/algorithms/maco.hpp>
#include <pagmo/algorithms/nsga2.hpp>
#include <pagmo/algorithms/nspso.hpp>
#include <pagmo/algorithms/simulated_annealing.hpp>
#include <pagmo/problem.hpp>
#include <pagmo/problems/decompose.hpp>

#include "optimizers/unit_problem.h"
#include "strata/optimizers/baselines.h"

namespace strata::optimizers {
namespace {

constexpr int kWeights = 8;

/// Ends an algorithm that has spent its evaluations; pagmo's count generations.
struct Spent {};

pagmo::population population_of(const pagmo::problem& problem, const UnitProblem& layers,
                                const std::vector<Assignment>& starts, unsigned seed) {
  pagmo::population population(problem, 0, seed);
  for (const Assignment& start : starts) population.push_back(layers.encode(start));
  return population;
}

/// Σ evaluations over generations that is certainly enough; the run ends by Spent.
unsigned generations(const SearchRun& run, std::size_t population) {
  return static_cast<unsigned>(run.limit() / static_cast<std::int64_t>(population) + 1);
}

/// The weights of the objectives' ranges, so that both count alike in the middle.
std::pair<double, double> ranges(const PlanningProblem& problem) {
  const Objectives most = evaluate(problem, top_k(problem));
  const Objectives even = evaluate(problem, round_robin(problem));
  return {std::max(1e-12, most.importance - even.importance),
          std::max(1e-12, most.usage_variance - even.usage_variance)};
}

/// Calls `search` with the problem and a seed, until the run is spent.
template <typename Search>
void with_problem(SearchRun& run, bool continuous, Search search) {
  UnitProblem layers(run.model.problem(), continuous);
  layers.watch([&](const Assignment& assignment) {
    if (run.spent()) throw Spent();
    run.record(UnitState(run.model, assignment));
  });
  const auto seed = static_cast<unsigned>(run.random());
  try {
    search(layers, seed);
  } catch (const Spent&) {
  }
}

/// For all objectives at once: `make` makes the algorithm of a number of generations, the
/// population's size and a seed.
template <typename Make>
void search_front(SearchRun& run, const std::vector<Assignment>& starts, bool continuous,
                  Make make) {
  with_problem(run, continuous, [&](const UnitProblem& layers, unsigned seed) {
    auto population = population_of(pagmo::problem(layers), layers, starts, seed);
    const pagmo::algorithm algorithm(
        make(generations(run, population.size()), population.size(), seed));
    while (!run.spent()) population = algorithm.evolve(population);
  });
}

/// For one weighted sum after the other: `make` makes the algorithm of the evaluations left for the
/// sum, the population and a seed.
template <typename Make>
void search_sums(SearchRun& run, const std::vector<Assignment>& starts, Make make) {
  with_problem(run, true, [&](const UnitProblem& layers, unsigned seed) {
    const auto [importance, variance] = ranges(run.model.problem());
    const std::int64_t before = run.evaluations();
    for (int k = 0; k < kWeights && !run.spent(); ++k) {
      const double share = (k + 0.5) / kWeights;
      const double a = share / importance, b = (1 - share) / variance;
      // Further objectives have no weight; what is met of them is recorded all the same.
      pagmo::vector_double weights(pagmo::problem(layers).get_nobj(), 0.);
      weights[0] = a / (a + b);
      weights[1] = b / (a + b);
      const pagmo::problem single(
          pagmo::decompose(layers, weights, pagmo::vector_double(weights.size(), 0.), "weighted"));
      const std::int64_t end = before + (run.limit() - before) * (k + 1) / kWeights;
      auto population = population_of(single, layers, starts, seed + static_cast<unsigned>(k));
      while (!run.spent() && run.evaluations() < end) {
        const pagmo::algorithm algorithm(make(end - run.evaluations(), population, seed));
        population = algorithm.evolve(population);
      }
    }
  });
}

void pagmo_nsga2(SearchRun& run, const std::vector<Assignment>& starts) {
  search_front(run, starts, false, [](unsigned count, std::size_t, unsigned seed) {
    return pagmo::nsga2(count, 0.95, 10., 0.01, 50., seed);
  });
}

void pagmo_maco(SearchRun& run, const std::vector<Assignment>& starts) {
  search_front(run, starts, false, [](unsigned count, std::size_t size, unsigned seed) {
    const auto kernel = static_cast<unsigned>(std::min<std::size_t>(63, size));
    return pagmo::maco(count, kernel, 1.0, 1, 7, 0, 0., false, seed);
  });
}

/// Knows no integers: sees the decision vectors as continuous, as the next two do.
void pagmo_nspso(SearchRun& run, const std::vector<Assignment>& starts) {
  search_front(run, starts, true, [](unsigned count, std::size_t, unsigned seed) {
    return pagmo::nspso(count, 0.6, 2.0, 2.0, 1.0, 0.5, 60, "crowding distance", false, seed);
  });
}

/// Knows one objective only: the evaluations are shared among weighted sums by pagmo's `decompose`,
/// as the next one's are.
void pagmo_bee_colony(SearchRun& run, const std::vector<Assignment>& starts) {
  search_sums(run, starts,
              [](std::int64_t left, const pagmo::population& population, unsigned seed) {
                // A generation costs two evaluations an individual.
                const auto size = static_cast<std::int64_t>(population.size());
                return pagmo::bee_colony(
                    static_cast<unsigned>(std::max<std::int64_t>(1, left / (2 * size))), 20, seed);
              });
}

void pagmo_simulated_annealing(SearchRun& run, const std::vector<Assignment>& starts) {
  search_sums(
      run, starts, [](std::int64_t left, const pagmo::population& population, unsigned seed) {
        const auto dimension = static_cast<std::int64_t>(population.get_problem().get_nx());
        const auto passes = std::max<std::int64_t>(1, left / dimension);
        const auto bins = static_cast<unsigned>(std::clamp<std::int64_t>(passes / 10, 1, 10));
        const auto temperatures = static_cast<unsigned>(std::max<std::int64_t>(1, passes / bins));
        return pagmo::simulated_annealing(10., .1, temperatures, 1, bins, 1., seed);
      });
}

}  // namespace

const std::vector<PagmoAlgorithm>& pagmo_algorithms() {
  static const std::vector<PagmoAlgorithm> algorithms = {
      {"pagmo:nsga2", pagmo_nsga2},
      {"pagmo:nspso", pagmo_nspso},
      {"pagmo:maco", pagmo_maco},
      {"pagmo:bee_colony", pagmo_bee_colony},
      {"pagmo:simulated_annealing", pagmo_simulated_annealing}};
  return algorithms;
}

}  // namespace strata::optimizers
