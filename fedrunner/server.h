#pragma once
/// \file
/// The server: rounds of score, plan, train, aggregate, evaluate, checkpoint.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/text/wordpiece.h"
#include "experiment/experiment.h"
#include "fedrunner/client.h"
#include "strata/fedrunner/metrics.h"
#include "strata/fedrunner/run.h"
#include "tasks/task.h"

namespace strata::fedrunner {

using experiment::OwnAlgorithm;
using experiment::RunConfig;
using experiment::SaveModel;
using experiment::SelectedUnits;
using experiment::Strategy;

/// Whether plans choose among units with LoRA pairs, so that every client gets an
/// adapter_config.json for the layers that it trains. (PEFT knows nothing of our adapters.)
bool plans_lora(const models::Blueprint& blueprint, const SelectedUnits& units);

/// What all runs of an experiment share.
struct FederatedTask {
  std::string name;
  bool synthetic = false;  ///< the data set was made by `strata data make`
  tasks::TaskPtr task;
  std::vector<FederatedClient> clients;
  SelectedUnits units;
  std::vector<std::int64_t> budgets;  ///< one a client, of what `run.budget` counts
  RunConfig run;
  std::string foundation_fingerprint;
  data::WordPiece tokenizer;
};

/// Called when a round has been written; what it throws ends the run.
using AfterRound = std::function<void(int round)>;

/// Trains one strategy with one seed in `folder`, from its last completed round if it holds one.
/// `model` begins as the foundation with the run's fresh PEFT weights, is the workspace of training
/// and evaluation, and ends with the global weights; it copies what the run trains and shares the
/// rest. `parallel` clients train at a time, which changes nothing in the results. Returns what
/// metrics.csv holds.
RoundTable run_rounds(const FederatedTask& task, const Strategy& strategy, std::uint64_t seed,
                      const std::filesystem::path& folder, models::Model& model,
                      const RunTools& tools, int parallel, const AfterRound& after_round);

}  // namespace strata::fedrunner
