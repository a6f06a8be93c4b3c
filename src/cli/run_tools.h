#pragma once
/// \file
/// What `run` and `benchmark` hand to the runner: scorer, planner, files of clients, and options.

#include "cli/command_line.h"
#include "strata/fedrunner/run.h"

namespace strata::cli {

fedrunner::RunTools run_tools();
fedrunner::RunOptions run_options(const RunArguments& arguments);

}  // namespace strata::cli
