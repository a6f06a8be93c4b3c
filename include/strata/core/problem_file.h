#pragma once
/// \file
/// problem.yaml: everything about a planning problem in one file (docs/planner.md).

#include <filesystem>
#include <string>
#include <vector>

#include "strata/core/planning_problem.h"
#include "strata/core/score_table.h"

namespace strata {

/// What a command line may give in place of, or beside, the file. Empty: not given.
struct ProblemOptions {
  std::string file;                ///< problem.yaml
  std::string scores;              ///< scores.json or .csv; wins over the file's
  std::string budget;              ///< as in make_problem; wins over the file's
  std::vector<std::string> units;  ///< plan over these units only; wins over the file's
  bool normalise = false;          ///< or as the file says
};

struct LoadedProblem {
  ScoreTable scores;  ///< as read
  PlanningProblem problem;
  bool normalised = false;
  std::string choose;  ///< the file's rule; empty when it names none
  /// The other files that the problem file names, as they were opened, by key ("scores").
  std::vector<std::pair<std::string, std::string>> files;
};

/// Reads scores and, where there is one, the problem file. Keys of the file, all optional but
/// `version: 1` (and `scores`, `budget` unless given as options):
///
///   scores: scores.csv            relative to the problem file
///   normalise: true               divide each row by its sum
///   units: [block.0, block.1]     plan over these only
///   client_weights: {a: 2}        importance counts so often; others 1
///   budget: 4                     a number of units, a CSV client,budget, or
///   budget: {of: bytes, each: 4e6, clients: {a: 8000000}}     of: units, bytes, flops or memory
///   costs: costs.csv              header unit,bytes,flops,memory (any of the last three), or the
///                                 JSON of `strata inspect --json`, or a mapping
///   costs: {block.0: {bytes: 100, flops: 5, memory: 7}, …}
///   pinned: {a: [head], "*": [block.0]}, forbidden: likewise     "*": every client
///   coverage: 1                   or {block.0: 2}: at least so many clients train the unit
///   objectives: [importance, usage_variance, uplink_bytes, slowest_client]
///   clients: {a: {samples: 1000, flops_per_second: 1e12, uplink_bytes_per_second: 1e6}}
///   choose: knee
///
/// From inspect's JSON: flops are 3 · forward FLOPs (a backward pass costs about two forward ones)
/// and memory is 3 · bytes (gradient and AdamW's two moments) + the activations, both of one
/// sample. slowest_client needs costs of flops and bytes and every client's speeds: training unit l
/// takes samples · flops[l] / flops_per_second + bytes[l] / uplink_bytes_per_second seconds.
/// @throws InputError with file, line and key.
LoadedProblem load_problem(const ProblemOptions& options);

}  // namespace strata
