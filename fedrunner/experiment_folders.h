#pragma once
/// \file
/// The folders of an experiment: one a run, or the only run's alone. Internal.

#include <filesystem>
#include <vector>

#include "fedrunner/federated_task.h"

namespace strata::fedrunner {

/// What is in `out` and below, and whether the experiment may be written there.
class ExperimentFolders {
 public:
  /// Reads what is there; writes nothing. `config` is to outlive it. @throws InputError: a folder
  /// that another process has locked, a single run that is none of the experiment's.
  ExperimentFolders(const experiment::ExperimentConfig& config, const std::filesystem::path& out,
                    bool resume);
  ExperimentFolders(const ExperimentFolders&) = delete;
  ExperimentFolders& operator=(const ExperimentFolders&) = delete;

  /// Whether every folder is free, or holds the same and the runs resume. `units` are those that
  /// the configuration selects. @throws InputError (see check_folder)
  void check(const SelectedUnits& units) const;
  /// That the runs in it began with this foundation: on another, resuming would silently mix two
  /// runs. @throws InputError
  void check_foundation(const models::Model& foundation, const std::string& fingerprint) const;
  /// The threads that the first of the runs began with; 0 where none is to be resumed.
  int recorded_threads() const;

  /// Writes experiment.yaml, where there are several runs, and makes room for them: a run that was
  /// in `out` by itself moves to its folder. @throws WorkError
  void begin(const SelectedUnits& units) const;

  const std::vector<PlannedRun>& runs() const { return runs_; }

 private:
  bool is_single(const PlannedRun& run) const { return &run == single_; }

  const experiment::ExperimentConfig& config_;
  const std::filesystem::path out_;
  const bool resume_;
  std::vector<PlannedRun> runs_;
  /// A run by itself grows into an experiment when it is resumed.
  const PlannedRun* single_ = nullptr;
  std::vector<std::filesystem::path> folders_;  ///< in which the runs are now
};

}  // namespace strata::fedrunner
