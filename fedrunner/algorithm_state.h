#pragma once
/// \file
/// What a run keeps for its algorithm between rounds (fedrunner/algorithms), and what the end of a
/// round makes of it. Internal.

#include <map>
#include <string>
#include <vector>

#include "fedrunner/algorithms/algorithm.h"
#include "fedrunner/run_table.h"

namespace strata::fedrunner {

struct AlgorithmState {
  std::map<std::string, ModelState> memory;  ///< by client, of the weights that it ever trained
  ModelState control;                        ///< the server's, of the weights ever trained
};

/// How much each client counts in what is summed over all of them: its share of their training
/// samples, or the same for each.
std::map<std::string, double> client_parts(const std::vector<ClientSize>& clients,
                                           experiment::ClientWeights weights);

/// A round in which `updates` were taken. `before` is what it began with.
struct FinishedRound {
  const AlgorithmOptions& options;
  const std::vector<Unit>& units;  ///< the run's
  const std::map<std::string, double>& parts;
  const std::vector<ClientUpdate>& updates;
  const ModelState& before;
};
/// Gives the clients the memories of their updates, and the server its control; may change those
/// parameters of `global` that somebody has sent. Clients without an update keep theirs. Sums are
/// in float64 and in the order of the clients' names. O(uploaded weights).
void finish_round(const FinishedRound& round, ModelState& global, AlgorithmState& state);

/// An update whose memory is not finite becomes one that failed.
void fail_spoiled_memories(std::vector<ClientUpdate>& updates);

/// The units with the bytes of what travels where the server's control does, too
/// (Algorithm::sends_control): that of parameters, not of buffers, whose shapes are in `weights`.
std::vector<Unit> with_control(const Algorithm& algorithm, std::vector<Unit> units,
                               const ModelState& weights);

}  // namespace strata::fedrunner
