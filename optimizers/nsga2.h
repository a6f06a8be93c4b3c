#pragma once
/// \file
/// NSGA-II on assignments; the source says after whom. Internal.

#include <vector>

#include "optimizers/search_run.h"

namespace strata::optimizers {

/// A Method (search_run.h).
void search_nsga2(SearchRun& run, std::vector<UnitState>& population);

}  // namespace strata::optimizers
