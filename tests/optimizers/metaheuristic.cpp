#include "optimizers/metaheuristic.h"

#include <pagmo/algorithm.hpp>
#include <pagmo/problem.hpp>
#include <pagmo/problems/zdt.hpp>

#include "catch.h"
#include "fronts.h"
#include "instances.h"
#include "optimizers/layer_problem.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

TEST_CASE("a metaheuristic as a pagmo algorithm: archive and misuse") {
  const PlanningProblem problem = layered_instance(5, 8, 3, 2);
  const LayerProblem layers(problem);
  for (const std::string& method : metaheuristics()) {
    CAPTURE(method);
    pagmo::population population(layers, 16, 3);
    pagmo::algorithm algorithm(Metaheuristic(method, 500, 9));
    CHECK(algorithm.get_name() == "Strata " + method);
    population = algorithm.evolve(population);
    CHECK(population.get_problem().get_fevals() == 516);
    for (std::size_t i = 0; i < population.size(); ++i) {
      const auto fitness = layers.fitness(population.get_x()[i]);
      CHECK(population.get_f()[i][0] == Approx(fitness[0]));
      CHECK(population.get_f()[i][1] == Approx(fitness[1]).margin(1e-12));
    }
    const auto& archive = algorithm.extract<Metaheuristic>()->archive();
    check_front(problem, archive.front(LayerModel(problem)));
    CHECK_THROWS_AS(algorithm.evolve(pagmo::population(pagmo::zdt(1, 4), 16, 3)),
                    std::invalid_argument);
    CHECK_THROWS_AS(algorithm.evolve(pagmo::population(layers, 1, 3)), std::invalid_argument);
    algorithm.set_seed(4);
    const auto a = algorithm.evolve(population).get_x();
    algorithm.set_seed(4);
    CHECK(algorithm.evolve(population).get_x() == a);
  }
}
