#include "fedrunner/client.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "fedrunner/training.h"
#include "models/device.h"
#include "strata/core/error.h"

namespace strata::fedrunner {

ClientUpdate train_client(models::Model& model, const ModelState& global,
                          const FederatedClient& client, const std::vector<std::string>& units,
                          const LocalConfig& local, std::uint64_t seed, double share) {
  ClientUpdate update;
  update.client = client.name;
  update.samples = client.train->size();
  update.units = units;
  model.load_state(global);
  const std::int64_t all =
      local.steps > 0
          ? local.steps
          : local.epochs * steps_per_epoch(client.train->size(), local.training.batch_size);
  // 0.29 · 100 is a little less than 29 as a double.
  update.steps =
      std::max<std::int64_t>(1, static_cast<std::int64_t>(share * static_cast<double>(all) + 1e-6));
  models::reset_peak_memory(model.device());
  const auto start = std::chrono::steady_clock::now();
  try {
    update.train_loss = train(model, *client.train, units, update.steps, local.training, seed);
  } catch (const WorkError& error) {
    update.failure = error.what();
    update.train_loss = std::numeric_limits<double>::quiet_NaN();
  }
  for (const auto& name : update.failure.empty() ? units : std::vector<std::string>()) {
    for (const auto& weight : model.unit(name).parameters) {
      update.weights[weight] = model.weight(weight).detach().clone();
    }
  }
  update.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  update.peak_memory = models::peak_memory(model.device());
  return update;
}

void corrupt(ClientUpdate& update, const ModelState& global, Failure::Corruption corruption) {
  const torch::NoGradGuard no_grad;
  if (corruption == Failure::Corruption::nan && !update.weights.empty())
    update.weights.begin()->second.view(-1)[0] = std::numeric_limits<float>::quiet_NaN();
  if (corruption == Failure::Corruption::scaled) {
    for (auto& [name, weight] : update.weights) {
      const auto& before = global.at(name);
      weight = before + (weight - before) * 1000;
    }
  }
}

}  // namespace strata::fedrunner
