#pragma once
/// \file
/// The orders of a run: what a server asks of all clients in one exchange.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fedrunner/algorithm_state.h"
#include "fedrunner/client_ranks.h"
#include "fedrunner/federated_task.h"
#include "fedrunner/messages.h"
#include "strata/core/plan.h"

namespace strata::fedrunner {

using State = std::shared_ptr<const ModelState>;

/// What clients work on: the global weights, shared by all orders of an exchange, but for those of
/// a client that keeps some to itself.
struct States {
  State shared;
  std::map<std::string, State> own = {};

  const State& of(const std::string& client) const;
};
/// Each client's: the global weights with its own in place of them.
States states_of(const ModelState& global, const std::map<std::string, ModelState>& local);
/// Some of each client's own in place of others.
std::map<std::string, ModelState> overlaid(std::map<std::string, ModelState> own,
                                           const std::map<std::string, ModelState>& with);

/// One order a client, in the order of the task's clients.
class Orders {
 public:
  /// All of these are to outlive it.
  Orders(const FederatedTask& task, const PlannedRun& run, const RunUnits& units);

  /// The ranks with which clients score and train, but for those of plans; the model is measured in
  /// full.
  const ClientRanks& ranks() const { return ranks_; }
  /// With which a client, from 0, trains by a plan and sends what it trained.
  UnitRanks trained_ranks(const Plan& plan, std::size_t client) const;
  /// Whether somebody may train a part of a pair.
  bool cuts_pairs() const;
  /// The rank that a client, from 0, has when it has pruned its pairs, and the part of them that it
  /// then sends.
  std::int64_t pruned_rank(std::size_t client) const;
  UnitRanks pruned_ranks(std::size_t client) const;
  /// By names of clients that have, from now on.
  void set_pruned(const std::map<std::string, std::int64_t>& ranks);

  std::vector<Order> hello() const;
  std::vector<Order> score(int round, const States& states) const;
  /// Of `rounds`, on which the learning rate of a schedule depends. A client trains what the plan
  /// says and what is always trained, but for what the rule of LoRA pairs freezes in the round. It
  /// gets back all that it remembers, and what the algorithm sends of the weights that it trains.
  std::vector<Order> train(int round, int rounds, const Plan& plan, const States& states,
                           const AlgorithmState& algorithm = {}) const;
  /// With the companions that clients remember, where the algorithm has a partner.
  /// With `slices` clients are asked for a slice of their test volumes, too.
  std::vector<Order> evaluate(int round, const States& states, const AlgorithmState& algorithm = {},
                              bool slices = false) const;

 private:
  std::vector<Order> all(int round, const States& states, const std::vector<std::string>& units,
                         const Work& work) const;
  /// Cuts the state to a client's ranks.
  void cut_pairs(Order& order, UnitRanks ranks) const;
  void add_algorithm(Order& order, const AlgorithmState& algorithm) const;
  void add_pruning(Order& order, std::size_t client) const;
  bool prunes() const { return task_.run.server.aggregation.rank_decay < 1; }

  const FederatedTask& task_;
  const PlannedRun& run_;
  const RunUnits& units_;
  std::vector<std::string> clients_;
  std::vector<std::int64_t> rank_of_;  ///< of each client; none: whole pairs, for good
  ClientRanks ranks_;
};

}  // namespace strata::fedrunner
