#pragma once
// Runs of four rounds on the tiny data, of which files of their own test what comes of them: that
// they go on (resumed_runs.cpp), that others end with the same bytes (equal_runs.cpp), that clients
// fail (failing_runs.cpp), and what becomes of BatchNorm's statistics (statistics_runs.cpp).

#include <stdexcept>
#include <string>
#include <vector>

#include "fedrunner/run_folders.h"
#include "fedrunner/tiny_runs.h"
#include "strata/fedrunner/metrics.h"
#include "strata/fedrunner/run.h"

namespace strata::test {

/// `run` of their experiment file.
inline const std::string kFourRounds =
    "  strategies: [f3ocus]\n  rounds: 4\n  budget: 1\n  score: {samples: 4, every: 2}\n"
    "  local: {steps: 3, batch_size: 3, learning_rate: 0.01}\n";

struct FourRounds : TinyRuns {
  FourRounds() : TinyRuns(kFourRounds) {}

  std::vector<fedrunner::RunSummary> run(const std::string& out,
                                         const std::vector<std::string>& set = {},
                                         fedrunner::RunOptions options = {}) const {
    return fedrunner::run_experiment(dir / "tiny.yaml", set, dir / out, tools, options);
  }
};

/// Thrown where a run is to be interrupted.
struct Stop {};

inline const fedrunner::RoundMetrics& row_of(const std::vector<fedrunner::RoundMetrics>& rows,
                                             int round, const std::string& client) {
  for (const auto& row : rows) {
    if (row.round == round && row.client == client) return row;
  }
  throw std::runtime_error("no row of " + client);
}

}  // namespace strata::test
