#pragma once
/// \file
/// pagmo's stock algorithms on the layer-assignment problem, for comparison. Internal.

#include <string>
#include <vector>

#include "optimizers/search_run.h"

namespace strata::optimizers {

/// Runs pagmo's `name` (nsga2, nspso, maco, bee_colony or simulated_annealing) from `starts` with
/// its default parameters, as far as population and evaluations leave them free, until the run is
/// spent; every assignment it evaluates is recorded. The decision vectors are LayerProblem's;
/// nspso, bee_colony and simulated_annealing, which know no integers, see them as continuous.
/// bee_colony and simulated_annealing know one objective only: they share the evaluations among
/// weighted sums by pagmo's `decompose`.
void search_pagmo(SearchRun& run, const std::string& name, const std::vector<Assignment>& starts);

}  // namespace strata::optimizers
