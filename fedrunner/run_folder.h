#pragma once
/// \file
/// A run folder on disk: whose it is, and the state from which a run resumes.

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/document.h"
#include "fedrunner/aggregation.h"
#include "fedrunner/algorithm_state.h"
#include "strata/core/plan_archive.h"

namespace strata::fedrunner {

/// What trials of learning rates leave beside the runs (learning_rates.h).
inline constexpr const char *kTrials = "trials", *kLearningRates = "learning_rates.json";

/// Of one run among an experiment's: "f3ocus-seed1".
std::string run_folder_name(const std::string& strategy, std::uint64_t seed);

/// Whether `file` (config.yaml or experiment.yaml) may be written into `folder`: nothing of
/// Strata's is there yet, or it is the same (or less, see check_run_file) and the run resumes.
/// @throws InputError: the folder holds another run (it names the first key that differs), or this
/// one and `resume` is false.
void check_folder(const std::filesystem::path& folder, const std::string& file, const Json& config,
                  bool resume);

/// Whether `file`, the config.yaml or experiment.yaml of a folder, lets a run of `config` go on: it
/// is equal, or `config` adds rounds, strategies or seeds to it and the result is what it would be
/// had they been there from the start. @throws InputError: as check_folder; rounds that are fewer
/// now, or more with a schedule over all rounds; a strategy or seed that is no longer there.
void check_run_file(const std::filesystem::path& file, const Json& config, bool resume);

/// Moves a single run's files into a folder of an experiment. Called again, it goes on where it was
/// killed. @throws WorkError
void move_run(const std::filesystem::path& from, const std::filesystem::path& to);

/// The last completed round.
struct RunState {
  int round = 0;
  int scored_round = 0;  ///< whose scores.json is in force; 0: none
  std::vector<std::string>
      changed_units;   ///< by that round's aggregation: what clients download next
  ModelState weights;  ///< all that the run's units hold
  /// What each client keeps to itself (Unit::local), once it has trained it.
  std::map<std::string, ModelState> local;
  AlgorithmState algorithm;                   ///< what its algorithm remembers
  std::map<std::string, std::int64_t> ranks;  ///< of clients that have pruned their pairs
  ServerMoments moments;                      ///< of the server's optimizer
  PlanArchive archive;  ///< of the last plan, where the next one begins with it
};

/// provenance() as run.json and pretrain.json hold it.
Json provenance_json();

/// Removes what a killed program left of files that it was writing in the folder and, with `below`,
/// in those in it. An experiment's folder holds those of runs that others may be resuming.
void remove_temporaries(const std::filesystem::path& folder, bool below = true);

/// Writes the weights, the moments and what belongs to clients and to the algorithm to
/// `state/round-NNN.safetensors`, the archive to `state/round-NNN.archive.json`, then
/// `state/state.json`, which points to them, and then removes older ones: at every moment
/// state.json is absent or describes a complete round. @throws WorkError
void write_state(const std::filesystem::path& run_folder, const RunState& state);

/// Removes the files of other rounds than `round`, as write_state does, and for a run that was
/// killed before it came to that.
void remove_older_states(const std::filesystem::path& run_folder, int round);

/// Whether a round was completed.
bool has_state(const std::filesystem::path& run_folder);

/// None before the first completed round. Its weights are those that `begin` names, in its shapes
/// and on its device; what else is in the file, as earlier versions wrote every weight, is passed
/// over.
/// @throws InputError for a damaged state.
std::optional<RunState> read_state(const std::filesystem::path& run_folder,
                                   const ModelState& begin);

}  // namespace strata::fedrunner
