#include <memory>

#include "fedrunner/algorithms/algorithms.h"
#include "models/drawn.h"
#include "strata/core/random.h"

namespace strata::fedrunner {
namespace {

std::shared_ptr<Partner> dual_adapter_teacher(const ClientRound& round,
                                              const models::Model& model) {
  const TrainWork& work = round.work;
  if (work.companions.empty()) return nullptr;
  ModelState own = work.memory;
  for (const auto& name : work.companions) {
    if (!own.count(name))
      own[name] =
          models::drawn(model.blueprint().parameter(name), derive_seed(work.seed, "companions"));
  }
  models::Model teacher = model;
  ModelState received;
  for (const auto& [name, weight] : own) {
    // The model's own moves while it is trained.
    received[name] = model.weight(name).detach().clone();
    teacher.weight(name) = weight.detach().to(model.device(), /*non_blocking=*/false,
                                              /*copy=*/true);
  }
  teacher.set_companions(std::move(received));
  const AlgorithmOptions& options = work.algorithm;
  return std::make_shared<Partner>(Partner{.model = std::move(teacher),
                                           .own = {work.companions.begin(), work.companions.end()},
                                           .learns = options.distill_local,
                                           .teaches = options.distill_shared,
                                           .temperature = options.temperature});
}

}  // namespace

Algorithm feddat() {
  return {.value = FederatedAlgorithm::kFeddat, .partner = dual_adapter_teacher};
}

}  // namespace strata::fedrunner
