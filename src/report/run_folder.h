#pragma once
/// \file
/// What the runner left on disk, read and checked.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/resources.h"
#include "strata/core/plan.h"
#include "strata/core/score_table.h"
#include "strata/core/unit.h"
#include "strata/fedrunner/metrics.h"
#include "strata/fedrunner/sites.h"

namespace strata::report {

/// A round that scored, planned, or both (a random plan needs no scores).
struct PlannedRound {
  int round = 0;
  bool has_scores = false;
  ScoreTable scores;
  bool has_plan = false;
  Plan plan;
};

/// An update that a round's aggregation did not use.
struct MissingUpdate {
  int round = 0;
  std::string client;
  std::string reason;  ///< such as "dropped out"
};

/// One run: run.json, config.yaml, metrics.csv and rounds/.
struct RunFolder {
  std::filesystem::path folder;
  std::string name, strategy, algorithm, foundation;
  std::string metric;  ///< "" where nothing was scored, and where an earlier Strata did not say
  bool done = false;   ///< no round is left to run
  std::uint64_t seed = 0;
  bool synthetic = false;
  int rounds = 0;  ///< the last round in metrics.csv
  std::vector<std::string> clients;
  std::string budget_of = kOfUnits;  ///< what budgets count: one of budget_kinds(), or kOfRanks
  std::vector<std::pair<std::string, std::int64_t>> budgets;  ///< one entry a client
  std::vector<std::string> selectable, always;                ///< unit names
  std::vector<Unit> unit_costs;                               ///< without their weight names
  std::vector<std::pair<std::string, std::string>> provenance;
  std::string config;                            ///< the text of config.yaml
  std::vector<std::string> metric_names;         ///< the task's, the main one first
  std::vector<fedrunner::RoundMetrics> metrics;  ///< by round
  /// Of the last evaluated round; empty where the run left no questions.csv (an earlier Strata) or
  /// one of a round that did not get into metrics.csv.
  std::vector<fedrunner::QuestionResult> questions;
  /// Whether a test example is right or wrong: of a task without that questions.csv has no lines.
  bool judged = true;
  std::vector<PlannedRound> plans;  ///< by round; only rounds with scores or a plan

  std::map<int, fedrunner::SiteTable> sites;  ///< of evaluated rounds, where the task has some
  fedrunner::SiteSlices slices;               ///< likewise; of another round: none

  std::vector<MissingUpdate> missing;  ///< by round, where there is an aggregation.json

  std::string main_metric() const;  ///< in words: "balanced accuracy"
  /// Whether the client's update of the round was used, if it sent one.
  bool used(int round, const std::string& client) const;
  /// What was planned for `round`: a plan holds until the next one. nullptr when there is none yet.
  const PlannedRound* plan_of(int round) const;
  /// The row of a round and client (kAllRow and kMeanRow are the aggregates), or nullptr.
  const fedrunner::RoundMetrics* find(int round, const std::string& client) const;
};

/// Several runs under one name; runs of one strategy differ in their seed.
struct Experiment {
  std::string name;
  std::vector<RunFolder> runs;
  /// Planned strategies (those whose plans weigh both objectives, by the kind that plan.json says)
  /// first, then the others, each group by name. The first is the primary one, shown in detail.
  std::vector<std::string> strategies;

  std::vector<const RunFolder*> of(const std::string& strategy) const;  ///< by seed
};

/// Reads a run folder (one that holds run.json) or a folder of run folders.
/// @throws InputError naming the file and what is wrong with it: no run, a missing or damaged file,
/// a client or unit that run.json does not know, a round without its aggregate rows, two runs of
/// one strategy and seed.
Experiment read_run_folders(const std::filesystem::path& folder);

}  // namespace strata::report
