#pragma once
/// \file
/// What an experiment has before its first round: data, model, units and budgets, each checked.
/// Internal.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

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
  /// None where clients are at sites of their own.
  std::optional<experiment::ExperimentData> data = {};
  std::optional<Foundation> foundation = {};
  std::vector<FederatedClient> clients = {};  ///< their data, where they are of this process

  bool several_labels() const { return data && data->manifest.multi_label; }
};

/// An experiment as its server and its workers begin with it.
struct Prepared {
  Wanted wanted;  ///< with an output layer for the data's labels, where the experiment asks for it
  tasks::TaskPtr task;
  int parallel = 1;  ///< clients at a time
};
/// Reads the data, but no image, and the foundation, where `inputs` lack them, and sets the number
/// of LibTorch's threads: `recorded_threads`, if above 0, where `options` names none. @throws
/// InputError: data that cannot be read or has not what the experiment needs, labels of the data
/// where it is elsewhere.
Prepared prepare(const experiment::ExperimentConfig& config, Wanted wanted, torch::Device device,
                 const RunOptions& options, int recorded_threads, Inputs& inputs);

/// The clients of these names, or all, with their examples and their images. @throws InputError:
/// one that the data does not have, data that cannot be read
std::vector<FederatedClient> make_clients(const experiment::ExperimentData& data,
                                          const Foundation& foundation,
                                          const std::optional<std::set<std::string>>& names = {});

struct Setup {
  FederatedTask task;
  models::Model foundation;
  std::vector<FederatedClient> clients;  ///< their data, where they are of this process
  int parallel = 1;                      ///< clients at a time
  /// Training examples by client; none of those whose data is elsewhere.
  std::map<std::string, std::int64_t> train_samples = {};
};
/// Reads data and foundation. Nothing is written. With `options.remote` no client is of this
/// process. @throws InputError: as `prepare`, and budgets with which no client would train, another
/// foundation than the one that `folders` began with. What `inputs` lack is read into them.
Setup set_up(const experiment::ExperimentConfig& config, Wanted wanted,
             const ExperimentFolders& folders, torch::Device device, const RunOptions& options,
             Inputs& inputs);

/// The foundation with the fresh PEFT weights of a run of that seed, and its units.
models::Model begin_model(const experiment::ExperimentConfig& config, const SelectedUnits& selected,
                          const models::Model& foundation, std::uint64_t seed);

}  // namespace strata::fedrunner
