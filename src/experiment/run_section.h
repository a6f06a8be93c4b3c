#pragma once
/// \file
/// `run`: the federated rounds.

#include <cstdint>
#include <string>
#include <vector>

#include "core/budget.h"
#include "core/fields.h"
#include "experiment/failures_section.h"
#include "experiment/local_section.h"
#include "experiment/rank_choice.h"
#include "experiment/server_section.h"
#include "experiment/strategy.h"

namespace strata::experiment {

struct ScoreConfig {
  std::string metric = kAutoMetric;
  std::int64_t samples = 32;
  std::vector<std::string> answers;  ///< see tasks::AnswerChoice
  std::int64_t top_answers = 8;      ///< likewise
  std::int64_t random_outputs = 0;   ///< see tasks::segmentation_in_random_directions; 0: none
  std::int64_t every = 1;            ///< rounds
};

struct PlanConfig {
  std::string algorithm = "exact";
  std::string choose = "knee";
  std::int64_t evaluations = 20000;
  std::int64_t every = 1;         ///< rounds
  bool warm = false;              ///< the search starts from the last plan's front
  std::int64_t least_cohort = 1;  ///< a unit is trained by nobody or by at least so many clients
};

/// When a run writes its whole model; the state of every round is what was trained.
enum class SaveModel { kEnd, kEvery, kNever };

struct RunConfig {
  std::vector<Strategy> strategies;
  std::vector<std::uint64_t> seeds = {1};
  std::int64_t rounds = 0;
  Budget budget;     ///< what a client trains beside the units that are always trained
  RankChoice ranks;  ///< of LoRA's pairs, of which a client with fewer has a part
  ScoreConfig score;
  PlanConfig plan;
  LocalConfig local;
  std::int64_t evaluate_every = 1;
  SaveModel save = SaveModel::kEnd;
  bool tensorboard = false;  ///< event files beside metrics.csv
  ServerConfig server;
  FailureOptions failures;
};

/// Whether a strategy's learning rate is still to be chosen among several.
bool is_undecided(const RunConfig& run, const Strategy& strategy);
/// What a run of the strategy does locally, with its own learning rate. It is decided.
LocalConfig local_of(const RunConfig& run, const Strategy& strategy);

/// `names` are for reading; nothing else depends on them.
Fields<RunConfig> run_fields(const ToolNames& names);

}  // namespace strata::experiment
