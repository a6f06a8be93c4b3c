#pragma once
/// \file
/// The server: rounds of score, plan, train, aggregate, evaluate, checkpoint.

#include <functional>

#include "fedrunner/courier.h"
#include "fedrunner/federated_task.h"
#include "models/model.h"
#include "strata/fedrunner/metrics.h"
#include "strata/fedrunner/run.h"

namespace strata::fedrunner {

/// Called when a round has been written; what it throws ends the run.
using AfterRound = std::function<void(int round)>;

/// Trains one strategy with one seed in the run's folder, from its last completed round if it holds
/// one, and returns what metrics.csv holds. The clients are those that `courier` reaches: the
/// server has neither their data nor more of them than they say. `model` begins as the foundation
/// with the run's fresh PEFT weights and ends with the global weights; it never changes a tensor
/// that it shares with others.
RoundTable run_rounds(const FederatedTask& task, const PlannedRun& run, models::Model& model,
                      const RunTools& tools, Courier& courier, const AfterRound& after_round);

}  // namespace strata::fedrunner
