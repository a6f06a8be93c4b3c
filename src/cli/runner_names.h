#pragma once
/// \file
/// The metrics, algorithms and choice rules of this build, which experiment files are checked
/// against.

#include "strata/fedrunner/run.h"

namespace strata::cli {

fedrunner::ToolNames runner_names();

}  // namespace strata::cli
