#include "fedrunner/algorithms/algorithms.h"

namespace strata::fedrunner {
namespace {

using torch::Tensor;

TrainingHooks regularised(const ClientRound& round) {
  TrainingHooks hooks;
  hooks.change_gradient = [&](const std::string& name, const Tensor& weight, Tensor& gradient) {
    const Tensor moved = weight.detach() - round.received.at(name).to(weight.device());
    gradient.add_(moved, round.work.algorithm.alpha);
    const auto remembered = round.work.memory.find(name);
    if (remembered != round.work.memory.end())
      gradient.sub_(remembered->second.to(weight.device()));
  };
  return hooks;
}

Tensor next_gradient(const ClientRound& round, const std::string& name, const Tensor& trained) {
  const Tensor moved =
      trained.to(torch::kFloat64) - round.received.at(name).to(trained.device(), torch::kFloat64);
  return value_or_zero(round.work.memory, name, trained) - round.work.algorithm.alpha * moved;
}

void correct_average(WeightRound& round) {
  for (const auto& share : round.shares) {
    const Tensor moved = share.trained - round.before;
    round.control = round.control - round.options.alpha * share.part * moved;
  }
  round.weight = round.weight - round.control / round.options.alpha;
}

}  // namespace

Algorithm feddyn() {
  return {.value = FederatedAlgorithm::kFeddyn,
          .guide = regularised,
          .remember = next_gradient,
          .finish = correct_average};
}

}  // namespace strata::fedrunner
