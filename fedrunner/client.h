#pragma once
/// \file
/// One client: its examples and its local training.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fedrunner/aggregation.h"
#include "fedrunner/run_config.h"
#include "models/transformer.h"
#include "models/vqa_tensors.h"

namespace strata {

struct FederatedClient {
  std::string name;
  VqaTensors train;
  std::optional<VqaTensors> test;  ///< none where the client has no test example
};

/// Trains `units` of a copy of `global` on the client's examples; every other weight stays as it
/// is. `model` is the workspace: its weights are overwritten. @throws WorkError naming the client
/// when the loss is not finite.
ClientUpdate train_client(Transformer& model, const ModelState& global,
                          const FederatedClient& client, const std::vector<std::string>& units,
                          const LocalConfig& local, std::uint64_t seed);

}  // namespace strata
