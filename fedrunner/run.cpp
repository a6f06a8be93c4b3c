#include "strata/fedrunner/run.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <optional>

#include "core/console.h"
#include "core/folder_lock.h"
#include "core/yaml_text.h"
#include "experiment/experiment.h"
#include "fedrunner/experiment_folders.h"
#include "fedrunner/failing_courier.h"
#include "fedrunner/learning_rates.h"
#include "fedrunner/run_configured.h"
#include "fedrunner/run_folder.h"
#include "fedrunner/run_table.h"
#include "fedrunner/server.h"
#include "fedrunner/setup.h"
#include "fedrunner/threads.h"
#include "models/device.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/core/sha256.h"

namespace strata::fedrunner {

using namespace experiment;

namespace {

/// Log lines also go to a run's run.log for as long as this lives.
struct RunLog {
  explicit RunLog(const std::filesystem::path& file) { set_log_file(file.string()); }
  ~RunLog() { set_log_file(""); }
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;
};

/// With the clients in this process, and the failures that the experiment wants.
RoundTable run_here(const Setup& setup, const PlannedRun& run, models::Model& model,
                    const RunTools& tools, const RunOptions& options) {
  const FederatedTask& task = setup.task;
  const auto lora = task.run.server.aggregation.lora;
  const auto trained = units_of_run(task.units, run.strategy, model, lora).weights;
  std::optional<ThreadsCourier> threads;
  if (!options.remote) {
    threads.emplace(
        setup.clients,
        ClientTools{model, trained, tools.score, task.foundation_fingerprint, tools.gram},
        ThreadOptions{setup.parallel, options.encode_messages});
  }
  FailingCourier failing(threads ? static_cast<Courier&>(*threads) : *options.remote,
                         task.run.failures, run.seed);
  const auto after_round = [&](int round) {
    if (options.after_round) options.after_round(run.folder, round);
  };
  return run_rounds(task, run, model, tools, failing, after_round);
}

/// Of `none` what is always trained, of any other strategy all that it may choose, too.
std::int64_t trained_parameters(const FederatedTask& task, const Strategy& strategy,
                                const models::Model& model) {
  const auto units = units_of_run(task.units, strategy, model, task.run.server.aggregation.lora);
  std::int64_t count = 0;
  for (const Unit& unit : units.all) {
    const bool always =
        std::find(units.always.begin(), units.always.end(), unit.name) != units.always.end();
    if (always || strategy.own != OwnAlgorithm::kNone) count += unit.parameter_count;
  }
  return count;
}

RunSummary summarise(const PlannedRun& planned, const LocalConfig& local, const RoundTable& table) {
  RunSummary summary;
  summary.strategy = planned.strategy.name;
  summary.seed = planned.seed;
  summary.folder = planned.folder;
  summary.learning_rate = local.training.learning_rate;
  summary.metric = table.metrics.front();
  for (const auto& row : table.rows) {
    const double value = row.values.front();
    if (row.client == kMeanRow && !std::isnan(value)) summary.final_mean_accuracy = value;
    if (row.client != kAllRow) continue;
    summary.rounds = row.round;
    summary.up_mbit_per_round += row.up_mbit;
    summary.down_mbit_per_round += row.down_mbit;
    summary.seconds += row.seconds;
    if (std::isnan(value)) continue;
    if (row.round == 0) summary.foundation_accuracy = value;
    summary.final_accuracy = value;
    if (!(value <= summary.best_accuracy)) {  // the first is the best so far
      summary.best_accuracy = value;
      summary.best_round = row.round;
    }
  }
  summary.up_mbit_per_round /= std::max(summary.rounds, 1);
  summary.down_mbit_per_round /= std::max(summary.rounds, 1);
  return summary;
}

/// Rows of examples that each client goes through in a round, as the first strategy trains.
std::map<std::string, std::int64_t> training_loads(const Setup& setup) {
  const TrainWork work{local_of(setup.task.run, setup.task.run.strategies.front())};
  std::map<std::string, std::int64_t> loads;
  for (const auto& [client, samples] : setup.train_samples)
    loads[client] = work.steps(samples) * work.local.training.batch_size;
  return loads;
}

/// One of the experiment's runs, from its folder's first file to its last.
RunSummary carry_out(const ExperimentConfig& config, const Setup& setup, PlannedRun run,
                     const RunTools& tools, const RunOptions& options) {
  const std::string resolved =
      to_yaml(resolved_config(config, setup.task.units, run.strategy, run.seed));
  write_file(run.folder / "config.yaml", resolved);
  run.fingerprint = sha256_hex(resolved);
  run.experiment = std::make_shared<const std::string>(resolved);
  const RunLog log(run.folder / "run.log");
  log_info("strategy " + run.strategy.name + ", seed " + std::to_string(run.seed) + " in " +
           run.folder.string());
  // The foundation's memory is every run's; what a run trains it copies.
  models::Model model = begin_model(config, setup.task.units, setup.foundation, run.seed);
  const auto trained = trained_parameters(setup.task, run.strategy, model);
  RunSummary summary = summarise(run, local_of(setup.task.run, run.strategy),
                                 run_here(setup, run, model, tools, options));
  summary.trained_parameters = trained;
  return summary;
}

void search_learning_rates(ExperimentConfig& config, const std::filesystem::path& out,
                           const RunTools& tools, const RunOptions& options) {
  choose_learning_rates(config, out, options.resume,
                        [&](const ExperimentConfig& trial, const std::filesystem::path& folder) {
                          RunOptions here = options;
                          here.after_round = nullptr;
                          here.log_clients = false;
                          run_configured(trial, folder, tools, here);
                        });
}

/// A run of a strategy with units of its own: an experiment by itself, in its folder.
struct ModeRun {
  ExperimentConfig config;
  std::unique_ptr<ExperimentFolders> folders = nullptr;
  std::optional<Setup> setup = {};
};

/// Where strategies have units of their own, each run is one of a configuration of its own, over
/// the same data and foundation.
std::vector<RunSummary> run_modes(ExperimentConfig config, const std::filesystem::path& out,
                                  torch::Device device, const RunTools& tools,
                                  const RunOptions& options) {
  const RunConfig& run = *config.run;
  const bool single = run.strategies.size() == 1 && run.seeds.size() == 1;
  if (single)
    return run_configured(config_of(config, run.strategies.front(), run.seeds.front()), out, tools,
                          options);
  const auto folder_of = [&](const Strategy& strategy, std::uint64_t seed) {
    return out / run_folder_name(strategy.name, seed);
  };
  const auto check = [&] {
    check_folder(out, "experiment.yaml", resolved_config(config), options.resume);
  };
  for (const Strategy& strategy : run.strategies)
    select_wanted(config_of(config, strategy, run.seeds.front()));
  if (searches_learning_rates(run)) {
    if (!options.resume) check();
    search_learning_rates(config, out, tools, options);
  }
  check();
  Inputs inputs;
  std::vector<ModeRun> runs;
  for (const Strategy& strategy : run.strategies)
    for (const std::uint64_t seed : run.seeds) runs.push_back({config_of(config, strategy, seed)});
  for (ModeRun& one : runs) {  // their addresses stay
    Wanted wanted = select_wanted(one.config);
    settle_metrics(*one.config.run, wanted.blueprint);
    const auto& strategy = one.config.run->strategies.front();
    one.folders = std::make_unique<ExperimentFolders>(
        one.config, folder_of(strategy, one.config.run->seeds.front()), options.resume);
    one.folders->check(wanted.units);
    one.setup.emplace(set_up(one.config, std::move(wanted), *one.folders, device, options, inputs));
  }
  if (options.remote) options.remote->expect(training_loads(*runs.front().setup));
  const FolderLock whole(out);
  check();
  write_file(out / "experiment.yaml", to_yaml(resolved_config(config)));
  std::vector<RunSummary> summaries;
  for (const ModeRun& one : runs) {
    const PlannedRun& planned = one.folders->runs().front();
    const FolderLock run_lock(planned.folder);
    one.folders->check(one.setup->task.units);
    summaries.push_back(carry_out(one.config, *one.setup, planned, tools, options));
  }
  return summaries;
}

}  // namespace

std::vector<RunSummary> run_experiment(const std::filesystem::path& experiment_file,
                                       const std::vector<std::string>& set,
                                       const std::filesystem::path& out, const RunTools& tools,
                                       const RunOptions& options) {
  return run_configured(read_experiment_file(experiment_file, set, tools.names), out, tools,
                        options);
}

std::vector<RunSummary> run_configured(ExperimentConfig config, const std::filesystem::path& out,
                                       const RunTools& tools, const RunOptions& options) {
  if (!config.run) throw InputError(config.file + ": run: the key is missing");
  const auto device = models::parse_device(options.device);
  if (options.parallel > 1 && device.is_cuda()) {
    throw InputError("--parallel " + std::to_string(options.parallel) +
                     ": clients train side by side on the CPU alone");
  }
  if (has_modes(*config.run)) return run_modes(std::move(config), out, device, tools, options);
  // Everything is checked before the first byte is written: folders first, as data takes longer.
  Wanted wanted = select_wanted(config);
  settle_metrics(*config.run, wanted.blueprint);
  if (searches_learning_rates(*config.run)) {
    if (!options.resume) ExperimentFolders(config, out, false).check(wanted.units);
    search_learning_rates(config, out, tools, options);
  }
  const ExperimentFolders folders(config, out, options.resume);
  folders.check(wanted.units);
  Inputs inputs;
  const Setup setup = set_up(config, std::move(wanted), folders, device, options, inputs);
  if (options.remote) options.remote->expect(training_loads(setup));

  const FolderLock lock(out);
  // Another process may have come and gone since.
  folders.check(setup.task.units);
  folders.begin(setup.task.units);
  std::vector<RunSummary> summaries;
  for (const auto& run : folders.runs()) {
    // A run of an experiment can be resumed by itself, too.
    std::optional<FolderLock> run_lock;
    if (run.folder != out) run_lock.emplace(run.folder);
    summaries.push_back(carry_out(config, setup, run, tools, options));
  }
  return summaries;
}

}  // namespace strata::fedrunner
