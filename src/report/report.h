#pragma once
/// \file
/// One self-contained HTML page about a run or an experiment of several runs.

#include <filesystem>
#include <string>

namespace strata::report {

struct Report {
  std::filesystem::path page;
  /// The page's result table as text: a row a strategy with accuracy, MBit and seconds over its
  /// seeds; of a comparison, its summary.
  std::string summary;
};

/// `folder` is a run directory (config.yaml, metrics.csv, rounds/NNN/{scores.json,plan.json},
/// run.json) or an experiment directory whose sub-folders are run directories. Writes
/// `folder/report.html`. A folder with a compare.json gets the page of that comparison instead, one
/// with a benchmark.json that of that benchmark.
/// Figures are gnuplot's SVG, inlined.
/// @throws InputError when there is no run, or a file in it is damaged; WorkError when gnuplot is
/// missing.
Report write_report(const std::filesystem::path& folder);

}  // namespace strata::report
