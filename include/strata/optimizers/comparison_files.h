#pragma once
/// \file
/// A comparison's folder: its files, and the journal of one that is not over.

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "strata/optimizers/compare.h"

namespace strata::optimizers {

/// Whether the folder holds the journal of a comparison that was interrupted.
bool holds_unfinished_comparison(const std::filesystem::path& folder);

/// What runs depend on, as text: the options and, by their digests, the instances.
std::string comparison_settings(const std::vector<Instance>& instances,
                                const ComparisonOptions& options);

/// Whether a comparison may be written into `folder`: it is new or empty, or `resume` and it holds
/// one. @throws InputError otherwise.
void check_comparison_folder(const std::filesystem::path& folder, bool resume);

/// The runs of a comparison that is not over, in `compare.partial.jsonl` of its folder: settings
/// and provenance, then a line a run, each of them on the disk before the next run begins.
class ComparisonJournal {
 public:
  /// Begins one, or takes up the one that is there (a last line that a kill cut off is dropped).
  /// @throws InputError where it was begun with other settings, naming the first that differs, or
  /// is damaged. @throws WorkError
  ComparisonJournal(const std::filesystem::path& folder, const std::string& settings);

  const std::vector<FinishedRun>& finished() const { return finished_; }
  /// Of the program that began.
  const std::vector<std::pair<std::string, std::string>>& provenance() const { return provenance_; }
  /// @throws WorkError
  void add(const FinishedRun& run);
  /// Removes the file: the comparison has been written.
  void remove();

 private:
  std::filesystem::path file_;
  std::vector<std::pair<std::string, std::string>> provenance_;
  std::vector<FinishedRun> finished_;
};

/// compare.json (everything, version 1), compare.csv (a row a run) and summary.csv (a row a group),
/// each whole or not there. Empty fields are times never reached, and the p of the best.
/// @throws WorkError
/// \code
/// const Comparison comparison = compare(
///     load_instances({"4x8"}, 1, ""), {.algorithms = {"nsga2"}, .evaluations = {500}, .seeds =
///     2});
/// write_comparison(comparison, "comparison");
/// assert(read_comparison("comparison").runs.size() == 2);
/// assert(read_runs_csv("comparison/compare.csv").size() == 2);
/// \endcode
void write_comparison(const Comparison& comparison, const std::filesystem::path& folder);
/// compare.json of a folder. @throws InputError naming file and key.
Comparison read_comparison(const std::filesystem::path& folder);
/// A file like compare.csv, of this or another program (bench/peers). @throws InputError naming
/// file, line and column.
std::vector<ComparisonRun> read_runs_csv(const std::filesystem::path& path);

}  // namespace strata::optimizers
