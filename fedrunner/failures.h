#pragma once
/// \file
/// Simulated failures of clients: what real consortia see, repeatably.

#include <cstdint>
#include <string>

namespace strata::fedrunner {

/// Probabilities, each of one client in one round, independent of the others.
struct FailureOptions {
  double dropout = 0;     ///< the client gets the round's model and is never heard of again
  double stragglers = 0;  ///< it has done only a share of its local steps when the round ends
  double straggler_share = 0.5;
  /// drop: what a straggler has is not used, as in FedAvg; partial: it is, as in FedProx (Li et
  /// al., MLSys 2020, section 3).
  std::string late = "drop";
  double corruption = 0;  ///< its update arrives spoiled
};

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
