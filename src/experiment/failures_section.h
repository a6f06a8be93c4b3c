#pragma once
/// \file
/// `run.failures`: simulated failures of clients.

#include "core/fields.h"

namespace strata::experiment {

/// What becomes of a straggler's update: it is not used, as in FedAvg, or it is, as in FedProx (Li
/// et al., MLSys 2020, section 3).
enum class Late { kDrop, kPartial };

/// Probabilities, each of one client in one round, independent of the others.
struct FailureOptions {
  double dropout = 0;     ///< the client gets the round's model and is never heard of again
  double stragglers = 0;  ///< it has done only a share of its local steps when the round ends
  double straggler_share = 0.5;
  Late late = Late::kDrop;
  double corruption = 0;  ///< its update arrives spoiled
};

/// Writes nothing where nothing fails.
const Fields<FailureOptions>& failure_fields();

}  // namespace strata::experiment
