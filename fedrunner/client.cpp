#include "fedrunner/client.h"

#include <chrono>

#include "fedrunner/training.h"
#include "models/device.h"
#include "strata/core/error.h"

namespace strata {

ClientUpdate train_client(Transformer& model, const ModelState& global,
                          const FederatedClient& client, const std::vector<std::string>& units,
                          const LocalConfig& local, std::uint64_t seed) {
  ClientUpdate update;
  update.client = client.name;
  update.samples = client.train.size();
  update.units = units;
  model.load_state(global);
  const std::int64_t steps =
      local.steps > 0
          ? local.steps
          : local.epochs * steps_per_epoch(client.train.size(), local.training.batch_size);
  reset_peak_memory(model.device());
  const auto start = std::chrono::steady_clock::now();
  try {
    update.train_loss = train(model, client.train, units, steps, local.training, seed);
  } catch (const WorkError& error) {
    throw WorkError("client " + client.name + ": " + error.what());
  }
  for (const auto& name : units) {
    for (const auto& weight : model.unit(name).parameters) {
      update.weights[weight] = model.weight(weight).detach().clone();
    }
  }
  update.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  update.peak_memory = peak_memory(model.device());
  return update;
}

}  // namespace strata
