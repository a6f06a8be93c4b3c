#pragma once
/// \file
/// The seam of `run.server.algorithm`: what clients and server do beside training the loss and
/// averaging. One file an algorithm in this folder, one line in the table of algorithms.cpp.
/// Internal.

#include <functional>
#include <string>
#include <vector>

#include "experiment/server_section.h"
#include "fedrunner/messages.h"
#include "fedrunner/training.h"
#include "models/torch.h"
#include "strata/core/unit.h"

namespace strata::fedrunner {

using experiment::AlgorithmOptions;
using experiment::FederatedAlgorithm;

/// What a client has when its training begins. All of these outlive the training.
struct ClientRound {
  const TrainWork& work;       ///< with what it remembers and what the server sends beside weights
  const ModelState& received;  ///< the weights that it begins with
  std::int64_t steps = 1;      ///< that it takes
};

/// A client's part in the next value of one weight, in float64.
struct WeightShare {
  double part = 0;        ///< of all clients of the run, also those that did not train it
  torch::Tensor trained;  ///< what it sent
  torch::Tensor remembered, remembers;  ///< before and after the round; 0 before the first
};

/// One parameter in a round in which somebody has trained and sent it, in float64.
struct WeightRound {
  const AlgorithmOptions& options;
  torch::Tensor before;             ///< the global weight that the round began with
  std::vector<WeightShare> shares;  ///< of those that trained it, in the order of their names
  torch::Tensor weight;             ///< what aggregation has made of it; may be replaced
  torch::Tensor control;            ///< the server's own of it, 0 at first; may be replaced
};

struct Algorithm {
  FederatedAlgorithm value;
  /// What a client changes about the gradients of the training whose weights it sends. It is asked
  /// of parameters that are sent alone. nullptr: nothing.
  std::function<TrainingHooks(const ClientRound&)> guide = nullptr;
  /// What a client remembers of a parameter that it has trained and sends. nullptr: nothing.
  std::function<torch::Tensor(const ClientRound&, const std::string& name,
                              const torch::Tensor& trained)>
      remember = nullptr;
  /// What a client changes about the gradients of a second training on the same batches, which
  /// begins with what it remembers in place of what it received: a model of its own, with which it
  /// is measured. Then it remembers all that it trained, buffers among it. nullptr: there is none.
  std::function<TrainingHooks(const ClientRound&)> personal = nullptr;
  /// A model that a client trains in turn with the one whose weights it sends, of which `model` has
  /// what it begins with. It remembers the partner's own weights, which are companions
  /// (TrainWork::companions), and is measured with what they make of the weights that it receives.
  /// nullptr: there is none, as where it returns none.
  std::function<std::shared_ptr<Partner>(const ClientRound&, const models::Model& model)> partner =
      nullptr;
  /// What the server does with a parameter, once it is averaged. nullptr: nothing.
  std::function<void(WeightRound&)> finish = nullptr;
  /// Whether the server's control goes to clients with every parameter that they receive, and comes
  /// back with every one that they send: as many numbers again, both ways.
  bool sends_control = false;
};

const Algorithm& algorithm_of(FederatedAlgorithm value);

/// The parameters that clients send which train units of these names, but for those `frozen`: what
/// an algorithm is about.
std::vector<std::string> sent_parameters(const std::vector<Unit>& units,
                                         const std::vector<std::string>& names,
                                         const std::vector<std::string>& frozen);
/// What a client remembers after such a training.
std::vector<std::string> remembered_weights(const TrainWork& work, const std::vector<Unit>& units,
                                            const std::vector<std::string>& names);

/// In float64; 0 in the shape of `like` where there is none.
torch::Tensor value_or_zero(const ModelState& state, const std::string& name,
                            const torch::Tensor& like);

}  // namespace strata::fedrunner
