#pragma once
/// \file
/// One client: its examples, and what it does when it is asked.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fedrunner/messages.h"
#include "fedrunner/private_gradient.h"
#include "fedrunner/workspaces.h"
#include "models/model.h"
#include "strata/fedrunner/run.h"
#include "tasks/dataset.h"

namespace strata::fedrunner {

struct FederatedClient {
  std::string name;
  std::shared_ptr<const tasks::Dataset> train;
  std::shared_ptr<const tasks::Dataset> test;  ///< nullptr where the client has no test example
};

/// Answers orders from its own data. It knows no server and remembers nothing: the same order gives
/// the same reply, but for what is measured.
class Client {
 public:
  /// All of these are to outlive it; `base` is the fingerprint of the foundation that the
  /// workspaces hold.
  Client(const FederatedClient& data, Workspaces& workspaces, const Scorer& scorer,
         const std::string& base, const GradientGram* gram = nullptr)
      : data_(data), workspaces_(workspaces), scorer_(scorer), base_(base), gram_(gram) {}

  const std::string& name() const { return data_.name; }

  /// May be called by several threads at once. A training whose loss does not stay finite is an
  /// answer (ClientUpdate::failure).
  /// @throws InputError: an order of another client or another foundation, or whose units or state
  /// the model does not have; data that cannot be read. @throws WorkError: a score that cannot be
  /// computed. Both name the round and the client where a score fails.
  Reply serve(const Order& order) const;

 private:
  HelloResult introduce(const Order& order) const;
  ScoreResult score(const Order& order, const ScoreWork& work) const;
  ClientUpdate train(const Order& order, const TrainWork& work) const;
  EvaluateResult evaluate(const Order& order, const EvaluateWork& work) const;

  const FederatedClient& data_;
  Workspaces& workspaces_;
  const Scorer& scorer_;
  const std::string& base_;
  const GradientGram* gram_;
};

/// Trains `units` of a copy of `global` on the client's examples as the work says, but for their
/// weights that are frozen; every other weight stays as it is, too. `model` is the workspace: its
/// weights are overwritten. A client that gets only a share of its steps done does that many,
/// rounded down, but one at least. When the loss is not finite, of a second training neither, the
/// update has no weights and says so (ClientUpdate::failure). Private training asks for `gram`; its
/// loss is not told, and its draws are `chance`'s, nobody's seed. @throws InputError where the work
/// is private and there is no `gram`, or the units hold statistics that move with batches
ClientUpdate train_client(models::Model& model, const ModelState& global,
                          const FederatedClient& client, const std::vector<std::string>& units,
                          const TrainWork& work, const GradientGram* gram = nullptr,
                          const Chance& chance = system_chance());

}  // namespace strata::fedrunner
