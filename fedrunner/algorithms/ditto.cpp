#include "fedrunner/algorithms/algorithms.h"

namespace strata::fedrunner {
namespace {

TrainingHooks towards_global(const ClientRound& round) {
  TrainingHooks hooks;
  hooks.change_gradient = [&](const std::string& name, const torch::Tensor& weight,
                              torch::Tensor& gradient) {
    gradient.add_(weight.detach() - round.received.at(name).to(weight.device()),
                  round.work.algorithm.lambda);
  };
  return hooks;
}

}  // namespace

Algorithm ditto() {
  return {.value = FederatedAlgorithm::kDitto, .personal = towards_global};
}

}  // namespace strata::fedrunner
