#include "optimizers/metaheuristic.h"

#include <stdexcept>
#include <vector>

#include "optimizers/algorithms.h"
#include "optimizers/layer_problem.h"

namespace strata::optimizers {

Metaheuristic::Metaheuristic(std::string method, std::int64_t evaluations, std::uint64_t seed,
                             std::optional<Deadline> deadline)
    : method_(std::move(method)), evaluations_(evaluations), deadline_(deadline), seed_(seed) {}

pagmo::population Metaheuristic::evolve(pagmo::population population) const {
  const LayerProblem* problem = population.get_problem().extract<LayerProblem>();
  if (!problem) {
    throw std::invalid_argument(get_name() + " needs a LayerProblem, not " +
                                population.get_problem().get_name());
  }
  if (population.size() < 2) {
    throw std::invalid_argument(get_name() + " needs a population of at least 2, not " +
                                std::to_string(population.size()));
  }
  const LayerModel model(problem->problem());
  SearchRun::Limits limits{evaluations_, 0};
  if (deadline_) {
    const std::chrono::duration<double> left = *deadline_ - std::chrono::steady_clock::now();
    if (left.count() <= 0) return population;
    limits.seconds = left.count();
  }
  SearchRun run(model, limits, seed_, {});
  std::vector<LayerState> states;
  for (const auto& x : population.get_x()) {
    states.emplace_back(model, problem->decode(x.data()));
    run.archive.insert(states.back());
  }
  row_of(method_).search(run, states);
  for (std::size_t i = 0; i < states.size() && i < population.size(); ++i) {
    const Assignment assignment = states[i].assignment();
    population.set_xf(i, problem->encode(assignment),
                      problem->fitness_of(model.objectives(states[i].value())));
  }
  population.get_problem().increment_fevals(static_cast<unsigned long long>(run.evaluations()));
  archive_.merge(run.archive, model);
  spent_ += run.evaluations();
  // A further evolve goes on with another stream.
  seed_ = derive_seed(seed_, "evolve");
  return population;
}

}  // namespace strata::optimizers
