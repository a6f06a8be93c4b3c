#pragma once
/// \file
/// The orders of a run: what a server asks of all clients in one exchange.

#include <memory>
#include <string>
#include <vector>

#include "fedrunner/federated_task.h"
#include "fedrunner/messages.h"
#include "strata/core/plan.h"

namespace strata::fedrunner {

/// One order a client, in the order of the task's clients. Each function takes the global weights
/// as they are; all orders of an exchange share them.
class Orders {
 public:
  using State = std::shared_ptr<const ModelState>;

  /// All of these are to outlive it.
  Orders(const FederatedTask& task, const PlannedRun& run, const RunUnits& units)
      : task_(task), run_(run), units_(units), clients_(names_of(task.clients)) {}

  std::vector<Order> hello() const;
  std::vector<Order> score(int round, const State& state) const;
  /// Of `rounds`, on which the learning rate of a schedule depends. A client trains what the plan
  /// says and what is always trained.
  std::vector<Order> train(int round, int rounds, const Plan& plan, const State& state) const;
  std::vector<Order> evaluate(int round, const State& state) const;

 private:
  std::vector<Order> all(int round, const State& state, const std::vector<std::string>& units,
                         const Work& work) const;

  const FederatedTask& task_;
  const PlannedRun& run_;
  const RunUnits& units_;
  std::vector<std::string> clients_;
};

}  // namespace strata::fedrunner
