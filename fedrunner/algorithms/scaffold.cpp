#include "fedrunner/algorithms/algorithms.h"

#include <memory>

namespace strata::fedrunner {
namespace {

using torch::Tensor;

TrainingHooks corrected(const ClientRound& round) {
  TrainingHooks hooks;
  // Those of the weights that are trained, made once.
  const auto corrections = std::make_shared<ModelState>();
  hooks.correct_gradient = [=, &work = round.work](const std::string& name, const Tensor& weight,
                                                   Tensor& gradient) {
    Tensor& correction = (*corrections)[name];
    if (!correction.defined()) {
      correction =
          value_or_zero(work.control, name, weight) - value_or_zero(work.memory, name, weight);
      correction = correction.to(weight.scalar_type());
    }
    gradient.add_(correction);
  };
  return hooks;
}

Tensor next_variate(const ClientRound& round, const std::string& name, const Tensor& trained) {
  const Tensor own = value_or_zero(round.work.memory, name, trained);
  const double way = static_cast<double>(round.steps) * round.work.local.training.learning_rate;
  if (way == 0) return own;
  const Tensor moved =
      round.received.at(name).to(trained.device(), torch::kFloat64) - trained.to(torch::kFloat64);
  return own - value_or_zero(round.work.control, name, trained) + moved / way;
}

void add_changes(WeightRound& round) {
  for (const auto& share : round.shares)
    round.control = round.control + share.part * (share.remembers - share.remembered);
}

}  // namespace

Algorithm scaffold() {
  return {.value = FederatedAlgorithm::kScaffold,
          .guide = corrected,
          .remember = next_variate,
          .finish = add_changes,
          .sends_control = true};
}

}  // namespace strata::fedrunner
