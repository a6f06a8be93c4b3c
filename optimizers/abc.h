#pragma once
/// \file
/// An artificial bee colony on assignments; the source says after whom. Internal.

#include <vector>

#include "optimizers/search_run.h"

namespace strata::optimizers {

/// A Method (search_run.h).
void search_abc(SearchRun& run, std::vector<UnitState>& population);

}  // namespace strata::optimizers
