#pragma once
/// \file
/// What an experiment has before its first round: data, model, units and budgets, each checked.
/// Internal.

#include <cstdint>
#include <optional>
#include <vector>

#include "experiment/data_section.h"
#include "fedrunner/client.h"
#include "fedrunner/experiment_folders.h"
#include "fedrunner/federated_task.h"
#include "fedrunner/foundation.h"
#include "models/device.h"

namespace strata::fedrunner {

/// The units that the experiment selects from a model that is not loaded yet.
struct Wanted {
  models::Blueprint blueprint;  ///< the foundation's with the experiment's PEFT methods
  SelectedUnits units;
};
/// @throws InputError: no foundation, units that it does not have, an aggregation that is not of
/// its weights.
Wanted select_wanted(const experiment::ExperimentConfig& config);

/// What does not depend on units, which several configurations may share.
struct Inputs {
  std::optional<experiment::ExperimentData> data = {};
  std::optional<Foundation> foundation = {};
  std::vector<FederatedClient> clients = {};  ///< their data
};

struct Setup {
  FederatedTask task;
  models::Model foundation;
  std::vector<FederatedClient> clients;  ///< their data
  int parallel = 1;                      ///< clients at a time
};
/// Reads data and foundation, and sets the number of LibTorch's threads. Nothing is written.
/// @throws InputError: data that cannot be read or has not what the experiment needs, budgets with
/// which no client would train, another foundation than the one that `folders` began with.
/// What `inputs` lack is read into them.
Setup set_up(const experiment::ExperimentConfig& config, Wanted wanted,
             const ExperimentFolders& folders, torch::Device device, const RunOptions& options,
             Inputs& inputs);

}  // namespace strata::fedrunner
