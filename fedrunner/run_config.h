#pragma once
/// \file
/// The experiment file (docs/runs.md), read, checked and resolved. Internal: the CLI uses it, too.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/budget.h"
#include "core/document.h"
#include "data/manifest.h"
#include "data/partition.h"
#include "fedrunner/aggregation.h"
#include "fedrunner/failures.h"
#include "fedrunner/training.h"
#include "models/blueprint.h"
#include "peft/methods.h"
#include "strata/core/unit.h"
#include "strata/core/unit_choice.h"
#include "strata/fedrunner/run.h"

namespace strata::fedrunner {

struct DataConfig {
  std::string folder;
  data::LoadOptions load;
  bool drop_unseen = false;  ///< `unseen_answers: drop`; see VqaTensors
  std::string cache;         ///< of decoded images; "" for none
  data::PartitionOptions partition;
};

struct ModelConfig {
  std::string folder;           ///< empty when the file does not say
  std::string answers = "own";  ///< `data`: a fresh output layer for the data's training answers
  std::uint64_t seed = 1;       ///< of that layer
  /// nullptr, or without labels and the number of words, which the data bring
  std::shared_ptr<const models::Architecture> architecture;
  peft::Methods peft;  ///< what runs add to the foundation, with fresh weights from their seed
};

struct UnitsConfig {
  std::string scheme = "block";  ///< see peft::scheme_units
  UnitWishes wishes;             ///< patterns of the selectable and the always trained units
};

struct PretrainConfig {
  std::string from;  ///< the model to begin with, which gets a fresh output layer; "" for none
  std::string data;  ///< "public" or a folder; "" without epochs
  std::vector<std::string> vocabulary;
  std::int64_t epochs = 0;
  std::int64_t evaluate_every = 1;  ///< epochs
  std::uint64_t seed = 1;
  TrainingOptions training;
};

struct Strategy {
  std::string name;
  std::string metric;  ///< "none": nothing is scored
  /// One of the planner's, or one of the runner's own, which need no scores: "full", every
  /// selectable unit; "none"; "rotate", units dealt out in turn; "dropout", a random subset.
  std::string algorithm;
  std::string choose;
};

/// The algorithms that the runner itself has.
const std::vector<std::string>& runner_algorithms();

struct ScoreConfig {
  std::string metric;
  std::int64_t samples = 0;
  std::int64_t every = 1;  ///< rounds
};

struct PlanConfig {
  std::string algorithm;
  std::string choose;
  std::int64_t evaluations = 0;
  std::int64_t every = 1;  ///< rounds
  bool warm = false;       ///< the search starts from the last plan's front
};

/// What the server does with the clients' updates.
struct ServerConfig {
  AggregationOptions aggregation;
  std::int64_t min_clients = 1;  ///< with fewer usable updates the global model stays as it is
  double outlier_ratio = 100;    ///< see refuse_updates
};

/// Either `steps` or `epochs` is 0.
struct LocalConfig {
  std::int64_t steps = 0, epochs = 0;
  TrainingOptions training;  ///< within a round: the learning rate is the first round's, constant
  std::string schedule;      ///< of the learning rate over the rounds: constant or cosine
};

struct RunConfig {
  std::vector<Strategy> strategies;
  std::vector<std::uint64_t> seeds;
  std::int64_t rounds = 0;
  Budget budget;  ///< what a client trains beside the units that are always trained
  ScoreConfig score;
  PlanConfig plan;
  LocalConfig local;
  ServerConfig server;
  FailureOptions failures;
  std::int64_t evaluate_every = 1;
};

struct ExperimentConfig {
  std::string file;
  std::string name;
  DataConfig data;
  ModelConfig model;
  UnitsConfig units;
  std::optional<PretrainConfig> pretrain;
  std::optional<RunConfig> run;
};

/// Reads and checks all that can be checked without data and model. @throws InputError
ExperimentConfig read_experiment_file(const std::filesystem::path& file,
                                      const std::vector<std::string>& set, const ToolNames& names);

struct ExperimentData {
  data::Manifest manifest;
  data::Partition partition;
  DataConfig config;
};

/// Loads and partitions the data set. @throws InputError
ExperimentData load_experiment_data(const DataConfig& data);
/// The same from an experiment file of which only `data` is read and checked, as `strata score`
/// needs it.
ExperimentData load_experiment_data(const std::filesystem::path& experiment_file);

/// The foundation with the experiment's PEFT methods. @throws InputError where it has one of them
/// already, or one does not fit.
models::Blueprint with_peft(const ExperimentConfig& config, const models::Blueprint& foundation);

/// The units of a model as the experiment names them, bottom to top.
struct SelectedUnits {
  std::vector<Unit> selectable, always;
};
/// @throws InputError: a scheme that the model cannot have, an unknown unit (with the nearest), one
/// that is both selectable and always trained, nothing selectable.
SelectedUnits select_units(const ExperimentConfig& config, const models::Blueprint& model);

/// The experiment file of one strategy and one seed, with every default filled in and the units
/// spelled out: what a run folder's config.yaml holds.
Json resolved_config(const ExperimentConfig& config, const SelectedUnits& units,
                     const Strategy& strategy, std::uint64_t seed);
/// The same of a whole experiment.
Json resolved_config(const ExperimentConfig& config, const SelectedUnits& units);
/// The pretrain section with every default filled in.
Json to_json(const PretrainConfig& pretrain);

/// Block-style YAML that `load_yaml` reads back as the same value.
std::string to_yaml(const Json& value);

}  // namespace strata::fedrunner
