#pragma once
/// \file
/// Simulated failures of clients: what real consortia see, repeatably.

#include <cstdint>

#include "experiment/failures_section.h"

namespace strata::fedrunner {

using experiment::FailureOptions;
using experiment::Late;

/// What happens to one client in one round.
struct Failure {
  bool dropped = false;
  bool late = false;
  /// none; nan: a weight is not a number; scaled: a thousand times the change.
  enum class Corruption { none, nan, scaled } corruption = Corruption::none;
};

/// The same seed draws the same failure, whatever the strategy; a client that drops out neither
/// comes late nor sends anything.
Failure draw_failure(const FailureOptions& options, std::uint64_t seed);

}  // namespace strata::fedrunner
