#pragma once
/// \file
/// The scorer, planner and files of clients that `run` and `benchmark` hand to the runner.

#include "strata/fedrunner/run.h"

namespace strata::cli {

fedrunner::RunTools run_tools();

}  // namespace strata::cli
