#pragma once
/// \file
/// A particle swarm on assignments; the source says after whom. Internal.

#include <vector>

#include "optimizers/search_run.h"

namespace strata::optimizers {

/// A Method (search_run.h).
void search_mopso(SearchRun& run, std::vector<UnitState>& population);

/// Whether a particle that is at `now` forgets its own best, `then`, for it: where `now` dominates,
/// and where neither dominates with probability ½ (draws from `random` only then).
bool becomes_own_best(const Value& now, const Value& then, Random& random);

}  // namespace strata::optimizers
