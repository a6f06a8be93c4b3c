#pragma once
/// \file
/// What the runs of an experiment share, and what each of them trains.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "data/text/wordpiece.h"
#include "experiment/experiment.h"
#include "fedrunner/lora_pairs.h"
#include "models/model.h"
#include "tasks/task.h"

namespace strata::fedrunner {

using experiment::local_of;
using experiment::OwnAlgorithm;
using experiment::RunConfig;
using experiment::SaveModel;
using experiment::SelectedUnits;
using experiment::Strategy;

/// What all runs of an experiment share.
struct FederatedTask {
  std::string name;
  bool synthetic = false;       ///< the data set was made by `strata data make`
  bool several_labels = false;  ///< an image may have any number of them
  tasks::TaskPtr task;
  std::vector<std::string> clients;  ///< by name
  SelectedUnits units;
  std::vector<std::int64_t> budgets;  ///< one a client, of what `run.budget` counts
  RunConfig run;
  std::string foundation_fingerprint;
  data::WordPiece tokenizer;
  /// Where a model that speaks has its tokenizer; empty of any other.
  std::filesystem::path language_folder = {};
  std::vector<std::int64_t> ranks =
      {};  ///< one a client, of its LoRA pairs; none: all have whole ones
  /// What plans give ranks up to, the rank of all pairs of the selectable units; 1: they give
  /// units.
  std::int64_t planned_ranks = 1;
};

/// One of these runs.
struct PlannedRun {
  Strategy strategy;
  std::uint64_t seed = 0;
  std::filesystem::path folder;
  std::string fingerprint = {};  ///< of its configuration, which its orders name
  std::shared_ptr<const std::string> experiment = nullptr;  ///< that configuration (config.yaml)
};

/// The units that a run trains.
struct RunUnits {
  std::vector<std::string> selectable, always;
  std::vector<Unit> all;  ///< of both, from bottom to top of the model
  /// Of all of these, with what the rule of LoRA pairs changes: what a round changes, saves and
  /// sends.
  std::set<std::string> weights;
  UnitPairs pairs = {};  ///< LoRA's, and what their rule makes of them
  /// Parameters of these units that may have companions (peft::Method::has_companions).
  std::set<std::string> companions = {};
};

/// The strategy that plans nothing trains the head where nothing else is always trained.
RunUnits units_of_run(const SelectedUnits& units, const Strategy& strategy,
                      const models::Model& model, LoraAverage lora = LoraAverage::kFactors);

/// Whether plans choose among units with LoRA pairs, so that every client gets an
/// adapter_config.json for the layers that it trains. (PEFT knows nothing of our adapters,
/// and goes by the numbers of layers, which tower and decoder of a model that speaks both have.)
bool plans_lora(const models::Blueprint& blueprint, const SelectedUnits& units);

}  // namespace strata::fedrunner
