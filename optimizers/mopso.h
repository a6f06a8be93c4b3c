#pragma once
/// \file
/// What a particle remembers. Internal.

#include "optimizers/layer_state.h"
#include "strata/core/random.h"

namespace strata::optimizers {

/// Whether a particle that is at `now` forgets its own best, `then`, for it: where `now` dominates,
/// and where neither dominates with probability ½ (draws from `random` only then).
bool becomes_own_best(const Value& now, const Value& then, Random& random);

}  // namespace strata::optimizers
