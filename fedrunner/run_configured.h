#pragma once
/// \file
/// An experiment that has been read already (run.h). Internal.

#include "experiment/experiment.h"
#include "strata/fedrunner/run.h"

namespace strata::fedrunner {

/// run_experiment of `config`, with its errors.
std::vector<RunSummary> run_configured(experiment::ExperimentConfig config,
                                       const std::filesystem::path& out, const RunTools& tools,
                                       const RunOptions& options);

}  // namespace strata::fedrunner
