#pragma once
/// \file
/// Compares optimizers: algorithms × starts × budgets of evaluations × seeds × instances, each
/// measured against the exact supported front.

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "strata/core/plan_options.h"
#include "strata/optimizers/algorithms.h"
#include "strata/optimizers/instances.h"
#include "strata/optimizers/statistics.h"

namespace strata::optimizers {

/// Shares of the exact hypervolume that a run is timed to.
constexpr std::array<double, 2> kComparisonTargets = {0.99, 0.999};

/// One run. Everything but the seconds depends on the options and instances alone.
struct ComparisonRun {
  std::string instance;
  std::uint64_t instance_seed = 0;
  std::string algorithm, start;
  std::int64_t evaluations = 0;  ///< the budget
  std::uint64_t seed = 0;
  double hypervolume_ratio = 0;  ///< hypervolume.h; unsupported points can take it above 1
  double igd_plus = 0, spread = 0;
  std::int64_t points = 0;  ///< of the front found
  double seconds = 0;       ///< wall-clock time of the search, start and log included
  struct Reached {
    /// +infinity: never. To the log's resolution, which is 1 % of the evaluations.
    double evaluations = std::numeric_limits<double>::infinity();
    double seconds = std::numeric_limits<double>::infinity();
  };
  std::array<Reached, kComparisonTargets.size()> reached = {};
};

/// A run and its curve: the hypervolume ratio at about ten numbers of evaluations a decade.
struct FinishedRun {
  ComparisonRun run;
  std::vector<double> curve;
};

struct ComparisonOptions {
  std::vector<std::string> algorithms = metaheuristics();  ///< of search_algorithms()
  std::vector<std::string> starts = {"random"};
  std::vector<std::int64_t> evaluations = {SearchOptions().evaluations};
  int seeds = 5;  ///< 1 to this
  int population = SearchOptions().population;
  /// Called before every run with the number of runs done, of all runs, and what comes next.
  std::function<void(std::int64_t done, std::int64_t total, const std::string& next)> progress = {};
  /// Called once, when all is checked and before the first run: the runs of an interrupted
  /// comparison, which are taken as they are and not made again.
  std::function<std::vector<FinishedRun>()> begin = {};
  /// Called after every run that was made, to keep it.
  std::function<void(const FinishedRun& run)> after_run = {};
};

/// What the runs have in common that differ in their instances' and own seeds only.
struct ComparisonGroup {
  std::string instance, algorithm, start;
  std::int64_t evaluations = 0;
  bool operator==(const ComparisonGroup&) const = default;
};

/// Quartiles over a group's runs of the hypervolume ratio after so many evaluations.
struct ComparisonCurve {
  ComparisonGroup group;
  std::vector<std::int64_t> evaluations;  ///< about ten a decade, the last is the budget
  std::vector<double> lower, median, upper;
};

struct Comparison {
  std::vector<std::pair<std::string, std::string>> provenance;  ///< of the program that ran it
  int population = 100;
  std::vector<ComparisonRun> runs;
  std::vector<ComparisonCurve> curves;
};

/// Runs everything, one run after another: by instance, start, evaluations, algorithm and seed, so
/// that rivals stand side by side.
/// @throws InputError for an unknown algorithm or start (naming the nearest), an empty list, a name
/// that stands twice, a number out of its range, and an instance whose exact front has no area (one
/// or two points), on which there is nothing to compare.
/// \code
/// const std::vector<Instance> instances = load_instances({"4x8"}, 2, "");
/// const Comparison comparison = compare(
///     instances, {.algorithms = {"nsga2", "annealing"}, .evaluations = {2000}, .seeds = 2});
/// assert(comparison.runs.size() == 2 * 2 * 2);  // instances, algorithms, seeds
/// for (const ComparisonSummary& line : summarise(comparison.runs))
///   std::cerr << line.group.algorithm << ' ' << line.hypervolume_ratio.median << '\n';
/// \endcode
Comparison compare(const std::vector<Instance>& instances, const ComparisonOptions& options);

/// A group's line of the summary.
struct ComparisonSummary {
  ComparisonGroup group;
  int runs = 0;
  Quartiles hypervolume_ratio, igd_plus, spread, points, seconds;
  struct Reached {
    int runs = 0;  ///< that reached it at all
    Quartiles evaluations, seconds;
  };
  std::array<Reached, kComparisonTargets.size()> reached = {};
  /// Best of the groups that share instance, start and evaluations: by median, then by mean
  /// hypervolume ratio, then first.
  bool best = false;
  /// Of Wilcoxon's signed-rank test on the hypervolume ratios against the best group, paired over
  /// instance and seed (differences up to 1e-12 are none), Holm-adjusted over the other groups that
  /// share instance, start and evaluations. NaN for the best.
  double p = std::numeric_limits<double>::quiet_NaN();
};

/// In the order of the runs, but groups that share instance, start and evaluations side by side.
/// @throws InputError if one of them lacks an instance's seed and a seed that another one has.
std::vector<ComparisonSummary> summarise(const std::vector<ComparisonRun>& runs);

/// Whether these are the comparison's runs, all and no others, and its population.
bool holds_runs_of(const Comparison& comparison, const std::vector<Instance>& instances,
                   const ComparisonOptions& options);

}  // namespace strata::optimizers
