#pragma once
/// \file
/// One client: its examples and its local training.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "experiment/local_section.h"
#include "fedrunner/aggregation.h"
#include "fedrunner/failures.h"
#include "models/model.h"
#include "tasks/dataset.h"

namespace strata::fedrunner {

using experiment::LocalConfig;

struct FederatedClient {
  std::string name;
  std::shared_ptr<const tasks::Dataset> train;
  std::shared_ptr<const tasks::Dataset> test;  ///< nullptr where the client has no test example
};

/// Trains `units` of a copy of `global` on the client's examples; every other weight stays as it
/// is. `model` is the workspace: its weights are overwritten. A client that gets only a `share` of
/// its steps done does that many, rounded down, but one at least. When the loss is not finite the
/// update has no weights and says so (ClientUpdate::failure).
ClientUpdate train_client(models::Model& model, const ModelState& global,
                          const FederatedClient& client, const std::vector<std::string>& units,
                          const LocalConfig& local, std::uint64_t seed, double share = 1);

/// Makes of the update what a failure does to it.
void corrupt(ClientUpdate& update, const ModelState& global, Failure::Corruption corruption);

}  // namespace strata::fedrunner
