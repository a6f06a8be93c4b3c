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

#include "optimizers/layer_problem.h"
#include "strata/optimizers/baselines.h"

namespace strata::optimizers {
namespace {

constexpr int kWeights = 8;

/// Ends an algorithm that has spent its evaluations; pagmo's count generations.
struct Spent {};

pagmo::population population_of(const pagmo::problem& problem, const LayerProblem& layers,
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

}  // namespace

void search_pagmo(SearchRun& run, const std::string& name, const std::vector<Assignment>& starts) {
  const bool relaxed = name == "nspso" || name == "bee_colony" || name == "simulated_annealing";
  LayerProblem layers(run.model.problem(), relaxed);
  layers.watch([&](const Assignment& assignment) {
    if (run.spent()) throw Spent();
    run.record(LayerState(run.model, assignment));
  });
  const auto seed = static_cast<unsigned>(run.random());
  const pagmo::problem problem(layers);
  try {
    if (name == "nsga2" || name == "nspso" || name == "maco") {
      auto population = population_of(problem, layers, starts, seed);
      const unsigned count = generations(run, population.size());
      pagmo::algorithm algorithm;
      if (name == "nsga2")
        algorithm = pagmo::algorithm(pagmo::nsga2(count, 0.95, 10., 0.01, 50., seed));
      if (name == "nspso") {
        algorithm = pagmo::algorithm(
            pagmo::nspso(count, 0.6, 2.0, 2.0, 1.0, 0.5, 60, "crowding distance", false, seed));
      }
      if (name == "maco") {
        const auto kernel = static_cast<unsigned>(std::min<std::size_t>(63, population.size()));
        algorithm = pagmo::algorithm(pagmo::maco(count, kernel, 1.0, 1, 7, 0, 0., false, seed));
      }
      while (!run.spent()) population = algorithm.evolve(population);
      return;
    }
    const auto [importance, variance] = ranges(run.model.problem());
    const std::int64_t before = run.evaluations();
    for (int k = 0; k < kWeights && !run.spent(); ++k) {
      const double share = (k + 0.5) / kWeights;
      const double a = share / importance, b = (1 - share) / variance;
      // Further objectives have no weight; what is met of them is recorded all the same.
      pagmo::vector_double weights(problem.get_nobj(), 0.);
      weights[0] = a / (a + b);
      weights[1] = b / (a + b);
      const pagmo::problem single(
          pagmo::decompose(layers, weights, pagmo::vector_double(weights.size(), 0.), "weighted"));
      const std::int64_t end = before + (run.limit() - before) * (k + 1) / kWeights;
      auto population = population_of(single, layers, starts, seed + static_cast<unsigned>(k));
      const auto size = static_cast<std::int64_t>(population.size());
      while (!run.spent() && run.evaluations() < end) {
        const std::int64_t left = end - run.evaluations();
        if (name == "bee_colony") {
          // A generation costs two evaluations an individual.
          const auto count = static_cast<unsigned>(std::max<std::int64_t>(1, left / (2 * size)));
          population = pagmo::algorithm(pagmo::bee_colony(count, 20, seed)).evolve(population);
        } else {
          const auto dimension = static_cast<std::int64_t>(single.get_nx());
          const auto passes = std::max<std::int64_t>(1, left / dimension);
          const auto bins = static_cast<unsigned>(std::clamp<std::int64_t>(passes / 10, 1, 10));
          const auto temperatures = static_cast<unsigned>(std::max<std::int64_t>(1, passes / bins));
          population =
              pagmo::algorithm(pagmo::simulated_annealing(10., .1, temperatures, 1, bins, 1., seed))
                  .evolve(population);
        }
      }
    }
  } catch (const Spent&) {
  }
}

}  // namespace strata::optimizers
