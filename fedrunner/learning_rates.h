#pragma once
/// \file
/// Which of several learning rates suits each strategy, by trials on examples that are in no test.
/// Internal.

#include <filesystem>
#include <functional>

#include "experiment/experiment.h"

namespace strata::fedrunner {

bool searches_learning_rates(const experiment::RunConfig& run);

/// Runs one trial in its folder, or goes on with it. @throws Diverged
using RunTrial = std::function<void(const experiment::ExperimentConfig& trial,
                                    const std::filesystem::path& folder)>;

/// Gives each strategy of `config` that has no learning rate of its own that of
/// `run.local.learning_rate` whose trial ended best: by `by` (or the task's main metric) over all
/// clients after the last round; where that is equal by the lower loss, then by the lower rate. A
/// trial is the run of the strategy with the first of `run.seeds` and `data.evaluate_on:
/// validation`, in `out/trials/<strategy>-<rate>`, without a model at its end; one that diverged
/// has lost. What was tried and chosen is written to `out/learning_rates.json`. With `resume`
/// complete trials are not run again.
/// @throws InputError: `out` holds a run without such a search, or trials of another experiment.
/// @throws Diverged: so did every trial of a strategy.
void choose_learning_rates(experiment::ExperimentConfig& config, const std::filesystem::path& out,
                           bool resume, const RunTrial& run_trial);

}  // namespace strata::fedrunner
