#pragma once
/// \file
/// What others read of a run: run.json, and the model. All of it follows from the run's state.

#include <cstdint>
#include <filesystem>
#include <vector>

#include "core/document.h"
#include "fedrunner/federated_task.h"
#include "models/model.h"
#include "strata/core/plan.h"
#include "strata/fedrunner/run.h"

namespace strata::fedrunner {

/// Of a run, as run.json has it under "status".
inline constexpr const char *kRunning = "running", *kDone = "done";

class Publisher {
 public:
  /// All of these are to outlive it; `budgets` are what the strategy gives the clients to spend.
  Publisher(const FederatedTask& task, const PlannedRun& run, const RunUnits& units,
            std::vector<std::int64_t> budgets);

  /// The clients' adapter_config.json files take their fields from the model's, whose weights are
  /// not there yet.
  void describe_model(const models::Blueprint& blueprint) const;

  /// What `files` says goes to each client beside the plan of a round, if it is there at all.
  void write_client_files(const Plan& plan, int round, const ClientFiles& files) const;

  /// What made the run's first rounds stays written, as they are not made again; where this process
  /// is another, a warning says so. @throws InputError for a damaged run.json
  void keep_provenance();

  /// run.json after `rounds_done` rounds, of which `done` says whether they are all; with the last,
  /// or with each if the experiment asks for it, the whole model before that. The model has the
  /// global weights. @throws WorkError
  void publish(const models::Model& model, int rounds_done, bool done);
  /// run.json alone, before the first round.
  void begin() const { write_run_json(0, false); }

 private:
  void write_run_json(int rounds_done, bool done) const;

  const FederatedTask& task_;
  const PlannedRun& run_;
  const RunUnits& units_;
  std::vector<std::int64_t> budgets_;
  bool tokenizer_saved_ = false;  ///< by this process
  Json provenance_;
};

}  // namespace strata::fedrunner
