#include "optimizers/unit_problem.h"

#include <limits>
#include <pagmo/algorithm.hpp>
#include <pagmo/algorithms/nsga2.hpp>
#include <pagmo/population.hpp>
#include <pagmo/problem.hpp>
#include <pagmo/utils/multi_objective.hpp>

#include "catch.h"
#include "instances.h"
#include "strata/core/error.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

TEST_CASE("layer problem repairs any vector to a feasible assignment") {
  Eigen::MatrixXd importance(2, 4);
  importance << 1, 4, 4, 2,  //
      0, 0, 3, 0;
  const UnitProblem layers(make_instance(importance, {3, 1}));
  Assignment expected(2, 4);
  // Client 0 asks three times for unit 3: the two others become the best free ones, 1 and 2.
  expected << 0, 1, 1, 1,  //
      1, 0, 0, 0;
  const pagmo::vector_double repeated = {3, 3, 3, 0};
  CHECK(layers.decode(repeated.data()) == expected);
  const pagmo::vector_double wild = {99, 2.9, std::numeric_limits<double>::infinity(),
                                     std::numeric_limits<double>::quiet_NaN()};
  CHECK(layers.decode(wild.data()) == expected);
  CHECK(layers.encode(expected) == pagmo::vector_double{1, 2, 3, 0});
}

TEST_CASE("layer problem's fitness is (-importance, usage variance), one at a time or in a batch") {
  const PlanningProblem instance = layered_instance(5, 8, 3, 4);
  const pagmo::problem problem{UnitProblem(instance)};
  CHECK(problem.get_nobj() == 2);
  CHECK(problem.get_nx() == 15);
  CHECK(problem.get_nix() == 15);
  CHECK(problem.has_batch_fitness());
  CHECK(problem.get_bounds().second == pagmo::vector_double(15, 7.0));
  Random random(1);
  pagmo::vector_double batch, expected;
  for (int i = 0; i < 20; ++i) {
    pagmo::vector_double x;
    for (int k = 0; k < 15; ++k) x.push_back(static_cast<double>(random.below(8)));
    const pagmo::vector_double f = problem.fitness(x);
    const Assignment assignment = problem.extract<UnitProblem>()->decode(x.data());
    REQUIRE(is_feasible(instance, assignment));
    const Objectives objectives = evaluate(instance, assignment);
    CHECK(f == pagmo::vector_double{-objectives.importance, objectives.usage_variance});
    batch.insert(batch.end(), x.begin(), x.end());
    expected.insert(expected.end(), f.begin(), f.end());
  }
  CHECK(problem.batch_fitness(batch) == expected);
}

TEST_CASE("pagmo's own NSGA-II runs on the layer problem") {
  const PlanningProblem instance = layered_instance(5, 8, 3, 4);
  pagmo::population population(UnitProblem(instance), 40, 7);
  const auto before = pagmo::ideal(population.get_f());
  population = pagmo::algorithm(pagmo::nsga2(10, 0.9, 10, 0.1, 50, 7)).evolve(population);
  const auto after = pagmo::ideal(population.get_f());
  CHECK(after[0] < before[0]);
  CHECK(after[1] <= before[1]);
  CHECK(population.get_problem().get_fevals() == 40 * 11);
}

TEST_CASE("layer problem refuses what has no decision vector") {
  CHECK_THROWS_AS(UnitProblem(make_instance(Eigen::MatrixXd::Ones(2, 2), {0, 0})), InputError);
  CHECK_THROWS_AS(UnitProblem(make_instance(Eigen::MatrixXd::Ones(1, 2), {3})), InputError);
}
