#include "strata/fedrunner/benchmark.h"

#include <algorithm>
#include <optional>

#include "core/console.h"
#include "core/folder_lock.h"
#include "core/yaml_text.h"
#include "experiment/benchmark_section.h"
#include "fedrunner/round_updates.h"
#include "fedrunner/run_configured.h"
#include "fedrunner/run_folder.h"
#include "fedrunner/setup.h"
#include "strata/core/error.h"
#include "strata/core/sha256.h"
#include "strata/fedrunner/metrics.h"

namespace strata::fedrunner {

using namespace experiment;

namespace {

struct Cell {
  BenchmarkExperiment experiment;
  std::string fingerprint;

  std::string name() const {
    return experiment.method + " of " + experiment.backbone + " with " +
           fraction_name(experiment.fraction);
  }
};

/// Reads every cell's model as far as its configuration goes.
std::vector<Cell> checked_cells(BenchmarkConfig& benchmark) {
  std::vector<Cell> cells;
  for (BenchmarkExperiment& one : benchmark.experiments) {
    Cell cell{std::move(one), ""};
    ExperimentConfig config = cell.experiment.config;
    const Wanted wanted = with_context(cell.name(), [&] { return select_wanted(config); });
    settle_metrics(*config.run, wanted.blueprint);
    config.run->seeds = {0};  // they may be added to
    cell.fingerprint = sha256_hex(to_yaml(resolved_config(config, wanted.units)));
    cells.push_back(std::move(cell));
  }
  return cells;
}

/// That the first cell's data is there, and its task has the score.
void check_data(const BenchmarkConfig& benchmark, const ExperimentConfig& first) {
  const auto data = load_experiment_data(first.data, first.task, first.answering);
  if (!benchmark.score.empty())
    require_name(benchmark.file + ": benchmark.score", benchmark.score, data.task->metrics());
}

/// What `out` holds of the benchmark already: a result or none for every cell.
std::vector<std::optional<BenchmarkCell>> done_cells(const std::vector<Cell>& cells,
                                                     const std::filesystem::path& out,
                                                     bool resume) {
  std::vector<std::optional<BenchmarkCell>> done(cells.size());
  if (!holds_benchmark(out)) return done;
  if (!resume)
    throw InputError(out.string() +
                     ": the folder already holds a benchmark; --resume continues it, or choose "
                     "another --out");
  for (BenchmarkCell& cell : read_benchmark(out).cells) {
    const auto same = std::find_if(cells.begin(), cells.end(), [&](const Cell& other) {
      return other.experiment.folder == std::filesystem::path(cell.folder);
    });
    if (same == cells.end() || same->fingerprint != cell.fingerprint)
      throw InputError(
          out.string() + ": the folder holds " + cell.method + " of " + cell.backbone + " with " +
          fraction_name(cell.fraction) +
          (same == cells.end() ? ", which is no longer there" : " with another configuration") +
          "; choose another --out");
    done[static_cast<std::size_t>(same - cells.begin())] = std::move(cell);
  }
  return done;
}

/// Where the cell's run of a seed is: a single run's folder is the cell's own.
std::filesystem::path run_folder(const BenchmarkExperiment& one, const std::filesystem::path& out,
                                 std::uint64_t seed) {
  const std::filesystem::path cell = out / one.folder;
  const auto among_others = cell / run_folder_name(one.config.run->strategies.front().name, seed);
  return std::filesystem::exists(among_others) ? among_others : cell;
}

/// Whether every seed has its run, whose folder is still there, or there is none to be had.
bool is_done(const BenchmarkExperiment& one, const std::filesystem::path& out,
             const BenchmarkCell& cell) {
  if (!cell.failure.empty()) return true;
  const std::vector<std::uint64_t>& seeds = one.config.run->seeds;
  return std::all_of(seeds.begin(), seeds.end(), [&](std::uint64_t seed) {
    return std::any_of(cell.runs.begin(), cell.runs.end(),
                       [&](const BenchmarkRun& run) { return run.seed == seed; }) &&
           std::filesystem::exists(run_folder(one, out, seed) / "run.json");
  });
}

/// The scores of all clients in the first and the last round.
BenchmarkRun read_run(const RunSummary& summary, const std::string& score) {
  BenchmarkRun run;
  run.seed = summary.seed;
  run.up_mbit = summary.up_mbit_per_round;
  run.down_mbit = summary.down_mbit_per_round;
  run.seconds = summary.seconds;
  const RoundTable table = read_metrics(summary.folder / "metrics.csv");
  const std::size_t column = score.empty() ? 0 : table.column(score);
  for (const RoundMetrics& row : table.rows) {
    if (row.client != kAllRow) continue;
    if (row.round == 0) run.start = row.values[column];
    run.score = row.values[column];
  }
  return run;
}

BenchmarkCell run_cell(const Cell& cell, const std::string& score, const std::filesystem::path& out,
                       const RunTools& tools, RunOptions options) {
  const BenchmarkExperiment& one = cell.experiment;
  BenchmarkCell result{one.backbone, one.method, one.fraction, one.folder.string(),
                       cell.fingerprint};
  const auto folder = out / one.folder;
  options.resume = std::filesystem::exists(folder);
  try {
    for (const RunSummary& summary : run_configured(one.config, folder, tools, options)) {
      result.trained_parameters = summary.trained_parameters;
      result.learning_rate = summary.learning_rate;
      result.runs.push_back(read_run(summary, score));
    }
  } catch (const Diverged& error) {
    log_warning(cell.name() + ": " + error.what());
    result.runs.clear();
    result.failure = error.what();
  }
  return result;
}

/// The metric's name and whether the data is synthetic, which any run knows.
void describe(BenchmarkResults& results, const std::filesystem::path& run) {
  if (results.score.empty()) results.score = read_metrics(run / "metrics.csv").metrics.front();
  const Document document = load_json(run / "run.json");
  results.synthetic = document.root.value("synthetic", false);
}

}  // namespace

BenchmarkResults run_benchmark(const std::filesystem::path& file,
                               const std::vector<std::string>& set,
                               const std::filesystem::path& out, const RunTools& tools,
                               const RunOptions& options) {
  BenchmarkConfig benchmark = read_benchmark_file(file, set, tools.names);
  const std::vector<Cell> cells = checked_cells(benchmark);
  auto done = done_cells(cells, out, options.resume);
  check_data(benchmark, cells.front().experiment.config);
  BenchmarkResults results{benchmark.name,    benchmark.score,     false, benchmark.backbones,
                           benchmark.methods, benchmark.fractions, {}};
  const FolderLock lock(out);
  const auto write = [&] {
    results.cells.clear();
    for (const auto& cell : done)
      if (cell) results.cells.push_back(*cell);
    write_benchmark(results, out);
  };
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const BenchmarkExperiment& one = cells[i].experiment;
    const bool runs = !done[i] || !is_done(one, out, *done[i]);
    if (runs) {
      log_info("cell " + std::to_string(i + 1) + " of " + std::to_string(cells.size()) + ": " +
               cells[i].name());
      done[i] = run_cell(cells[i], benchmark.score, out, tools, options);
    }
    if (!done[i]->runs.empty())
      describe(results, run_folder(one, out, one.config.run->seeds.front()));
    if (runs) write();
  }
  write();  // also where nothing was left to run, as the lists of methods and fractions may be
            // others
  return results;
}

}  // namespace strata::fedrunner
