#pragma once
/// \file
/// What the evaluations of a run of segmentation leave in its folder (strata/fedrunner/sites.h);
/// those of other tasks leave nothing. Internal.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "fedrunner/messages.h"
#include "fedrunner/run_table.h"
#include "tasks/task.h"

namespace strata::fedrunner {

/// Of what the evaluation is.
struct EvaluatedRound {
  const std::filesystem::path& run_folder;
  int round;
  const tasks::Task& task;
  const std::vector<std::string>& classes;
};

/// rounds/NNN/sites.csv and, where the clients sent slices, slices/. `results` has one entry a
/// client. @throws WorkError
void write_site_files(const EvaluatedRound& evaluated, const std::vector<ClientSize>& clients,
                      const std::vector<EvaluateResult>& results);

/// Removes sites.csv of rounds up to `round` that a longer run does not evaluate.
void remove_site_files(const std::filesystem::path& run_folder, int round,
                       const std::function<bool(int round)>& evaluated);

}  // namespace strata::fedrunner
