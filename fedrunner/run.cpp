#include "strata/fedrunner/run.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "core/console.h"
#include "core/folder_lock.h"
#include "core/yaml_text.h"
#include "experiment/experiment.h"
#include "fedrunner/failing_courier.h"
#include "fedrunner/foundation.h"
#include "fedrunner/run_folder.h"
#include "fedrunner/run_table.h"
#include "fedrunner/server.h"
#include "fedrunner/threads.h"
#include "models/device.h"
#include "models/thread_count.h"
#include "peft/files.h"
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

std::vector<PlannedRun> planned_runs(const RunConfig& run, const std::filesystem::path& out) {
  std::vector<PlannedRun> runs;
  for (const auto& strategy : run.strategies) {
    for (const auto seed : run.seeds)
      runs.push_back({strategy, seed, out / (strategy.name + "-seed" + std::to_string(seed))});
  }
  if (runs.size() == 1) runs.front().folder = out;
  return runs;
}

models::Blueprint read_foundation_blueprint(const ExperimentConfig& config) {
  const std::filesystem::path folder = config.model.folder;
  if (folder.empty()) throw InputError(config.file + ": model.folder: the key is missing");
  if (!std::filesystem::exists(folder / "config.json")) {
    throw InputError(
        config.file + ": model.folder: " + folder.string() + " holds no model (no config.json)" +
        (config.pretrain
             ? "; strata pretrain " + config.file + " --out " + folder.string() + " makes one"
             : ""));
  }
  return peft::read_blueprint(folder);
}

/// Of an experiment's runs the one that `out` holds by itself, or none.
const PlannedRun* single_run(const std::vector<PlannedRun>& runs,
                             const std::filesystem::path& out) {
  const auto file = out / "config.yaml";
  if (runs.size() == 1 || !std::filesystem::exists(file)) return nullptr;
  const auto document = load_yaml(file);
  const Json run = document.root.value("run", Json::object());
  const Json strategies = run.value("strategies", Json::array());
  const Json seeds = run.value("seeds", Json::array());
  for (const auto& planned : runs) {
    if (strategies.size() == 1 && strategies[0].is_object() &&
        strategies[0].value("name", "") == planned.strategy.name && seeds.size() == 1 &&
        seeds[0] == Json(planned.seed))
      return &planned;
  }
  throw InputError(file.string() +
                   ": the folder holds a single run that is not one of the experiment's; choose "
                   "another --out");
}

/// The threads that the first of the runs in `folders` began with, or 0.
int recorded_threads(const std::vector<std::filesystem::path>& folders) {
  for (const auto& folder : folders) {
    const auto file = folder / "run.json";
    if (!std::filesystem::exists(file)) continue;
    const auto document = load_json(file);
    ObjectReader reader(document);
    auto provenance = reader.object("provenance", true);
    if (provenance.has("threads"))
      return static_cast<int>(provenance.integer("threads", 1, std::numeric_limits<int>::max()));
  }
  return 0;
}

/// One a client. What a planner could not plan with is found before anything is written.
std::vector<std::int64_t> checked_budgets(const ExperimentConfig& config,
                                          const std::vector<std::string>& clients,
                                          const SelectedUnits& units) {
  const Budget& budget = config.run->budget;
  auto budgets = budget.values(clients, static_cast<int>(units.selectable.size()));
  std::int64_t least = 1;  // that trains a unit
  if (!budget.counts_units()) {
    least = std::numeric_limits<std::int64_t>::max();
    for (const auto& unit : units.selectable) least = std::min(least, cost_of(unit, budget.of));
    for (const auto& strategy : config.run->strategies) {
      if (strategy.counts_units_only)
        throw InputError(budget.where + ": the strategy " + strategy.name +
                         " plans with exact, whose budgets count units; auto or prices plan with " +
                         "budgets of " + budget.of);
    }
  }
  if (units.always.empty() && *std::max_element(budgets.begin(), budgets.end()) < least)
    throw InputError(budget.where + ": no client would train anything");
  return budgets;
}

std::vector<FederatedClient> make_clients(const tasks::Task& task, const ExperimentData& data,
                                          const models::Blueprint& blueprint,
                                          const data::WordPiece& tokenizer) {
  const auto images = std::make_shared<data::ImageStore>(data.manifest, blueprint.image_processor(),
                                                         data.config.cache);
  std::vector<FederatedClient> clients;
  for (const auto& part : data.partition.clients) {
    if (part.train.empty()) throw InputError("client " + part.name + " has no training example");
    if (part.name == kAllRow || part.name == kMeanRow) {
      throw InputError("a client cannot be called \"" + part.name +
                       "\", as metrics.csv has an aggregate row of that name");
    }
    const auto tensors = [&](const std::vector<int>& examples) {
      return std::shared_ptr<const tasks::Dataset>(task.encode(
          examples, {data.manifest, blueprint, tokenizer, data.config.drop_unseen, images}));
    };
    try {
      FederatedClient client{part.name, tensors(part.train), nullptr};
      if (!part.test.empty()) client.test = tensors(part.test);
      clients.push_back(std::move(client));
    } catch (const InputError& error) {
      throw InputError("client " + part.name + ": " + error.what());
    }
  }
  std::vector<std::pair<std::string, const tasks::Dataset*>> train, test;
  for (const auto& client : clients) {
    train.emplace_back(client.name, client.train.get());
    if (client.test) test.emplace_back(client.name, client.test.get());
  }
  tasks::log_unseen(train, "training examples are left out");
  tasks::log_unseen(test, "test examples are kept and counted as wrong");
  images->load();
  return clients;
}

/// Resuming on another foundation would silently mix two runs.
void check_foundation(const std::filesystem::path& run_folder, const models::Model& foundation,
                      const std::string& fingerprint, const std::string& model_folder) {
  const auto file = run_folder / "run.json";
  if (!std::filesystem::exists(file)) return;
  const auto document = load_json(file);
  const std::string began = ObjectReader(document).text("foundation");
  if (began != fingerprint && began != foundation.earlier_fingerprint()) {
    throw InputError(file.string() + ": the run started from another foundation than the one in " +
                     model_folder + "; choose another --out");
  }
}

/// With the clients in this process, and the failures that the experiment wants.
RoundTable run_here(const FederatedTask& task, const PlannedRun& run, models::Model& model,
                    const RunTools& tools, const ThreadOptions& options,
                    const AfterRound& after_round) {
  const auto trained = units_of_run(task.units, run.strategy, model).weights;
  ThreadsCourier threads(task.clients, {model, trained, tools.score, task.foundation_fingerprint},
                         options);
  FailingCourier failing(threads, task.run.failures, run.seed);
  return run_rounds(task, run, model, tools, failing, after_round);
}

RunSummary summarise(const PlannedRun& planned, const RoundTable& table) {
  RunSummary summary;
  summary.strategy = planned.strategy.name;
  summary.seed = planned.seed;
  summary.folder = planned.folder;
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

}  // namespace

std::vector<RunSummary> run_experiment(const std::filesystem::path& experiment_file,
                                       const std::vector<std::string>& set,
                                       const std::filesystem::path& out, const RunTools& tools,
                                       const RunOptions& options) {
  const auto config = read_experiment_file(experiment_file, set, tools.names);
  if (!config.run) throw InputError(config.file + ": run: the key is missing");
  const auto device = models::parse_device(options.device);
  if (options.parallel > 1 && device.is_cuda()) {
    throw InputError("--parallel " + std::to_string(options.parallel) +
                     ": clients train side by side on the CPU alone");
  }
  auto blueprint = with_peft(config, read_foundation_blueprint(config));
  auto units = select_units(config, blueprint);
  if (config.run->server.aggregation.lora == LoraAverage::kProduct &&
      peft::factors_of(blueprint).empty()) {
    throw InputError(config.file + ": run.server.lora: product is of LoRA pairs, which the model " +
                     "does not have (model.peft.lora adds them)");
  }
  auto runs = planned_runs(*config.run, out);
  // A run by itself grows into an experiment when it is resumed.
  const PlannedRun* const single = options.resume ? single_run(runs, out) : nullptr;
  const auto check_folders = [&] {
    if (runs.size() > 1 && (!single || std::filesystem::exists(out / "experiment.yaml")))
      check_folder(out, "experiment.yaml", resolved_config(config, units), options.resume);
    for (const auto& run : runs) {
      const Json wanted = resolved_config(config, units, run.strategy, run.seed);
      if (&run == single && std::filesystem::exists(out / "config.yaml")) {
        check_run_file(out / "config.yaml", wanted, true);
      } else {
        check_folder(run.folder, "config.yaml", wanted, options.resume);
      }
    }
  };
  // Everything is checked before the first byte is written: folders first, as data takes longer.
  refuse_locked_folder(out);
  std::vector<std::filesystem::path> folders;
  for (const auto& run : runs) {
    folders.push_back(&run == single ? out : run.folder);
    refuse_locked_folder(folders.back());
  }
  check_folders();
  const auto data = load_experiment_data(config.data, config.task);
  const int recorded = options.resume ? recorded_threads(folders) : 0;
  models::CoreShares shares =
      models::choose_shares(blueprint, config.run->local.training.batch_size,
                            static_cast<std::int64_t>(data.partition.clients.size()), device,
                            options.threads, options.parallel);
  if (options.threads == 0 && recorded > 0) {
    shares.threads = recorded;
    if (options.parallel == 0 && device.is_cpu())
      shares.parallel = std::max(1, models::core_count() / recorded);
  }
  models::prepare_torch(shares.threads);
  const auto labels = config.model.answers == Answers::kData
                          ? data.task->labels({tasks::split_of(data.manifest, "train")})
                          : std::vector<std::string>();
  if (!labels.empty()) {
    // The output layer's size, and with it the head's costs, is known only now.
    blueprint = blueprint.with(labels);
    units = select_units(config, blueprint);
  }
  std::vector<std::string> names;
  const bool client_files = plans_lora(blueprint, units);
  for (const auto& client : data.partition.clients) {
    names.push_back(client.name);
    if (client_files && client.name.find('/') != std::string::npos) {
      throw InputError("the client \"" + client.name +
                       "\" cannot name a folder, which its adapter_config.json needs");
    }
  }
  auto budgets = checked_budgets(config, names, units);
  auto foundation = labels.empty() ? load_foundation(config.model.folder, device)
                                   : relabelled_foundation(config.model.folder, labels,
                                                           config.model.seed, device);
  auto clients = make_clients(*data.task, data, foundation.model.blueprint(), foundation.tokenizer);
  if (!labels.empty()) {
    log_info(config.model.folder + " with an output layer for the data's " +
             std::to_string(labels.size()) + " labels");
  }
  FederatedTask task{.name = config.name,
                     .synthetic = data.manifest.synthetic,
                     .several_labels = data.manifest.multi_label,
                     .task = data.task,
                     .clients = std::move(clients),
                     .units = units,
                     .budgets = std::move(budgets),
                     .run = *config.run,
                     .foundation_fingerprint = foundation.model.fingerprint(),
                     .tokenizer = std::move(foundation.tokenizer)};
  for (const auto& folder : folders)
    check_foundation(folder, foundation.model, task.foundation_fingerprint, config.model.folder);
  log_info("clients", data::partition_table(data.manifest, data.partition));

  const FolderLock lock(out);
  // Another process may have come and gone since.
  check_folders();
  if (runs.size() > 1) {
    remove_temporaries(out, /*below=*/false);
    write_file(out / "experiment.yaml", to_yaml(resolved_config(config, task.units)));
    if (single) move_run(out, single->folder);
  }
  std::vector<RunSummary> summaries;
  for (auto& run : runs) {
    // A run of an experiment can be resumed by itself, too.
    std::optional<FolderLock> run_lock;
    if (run.folder != out) run_lock.emplace(run.folder);
    const std::string resolved =
        to_yaml(resolved_config(config, task.units, run.strategy, run.seed));
    write_file(run.folder / "config.yaml", resolved);
    run.fingerprint = sha256_hex(resolved);
    const RunLog log(run.folder / "run.log");
    log_info("strategy " + run.strategy.name + ", seed " + std::to_string(run.seed) + " in " +
             run.folder.string());
    // The foundation's memory is every run's; what a run trains it copies.
    models::Model model = foundation.model;
    peft::add_methods(model, config.model.peft, run.seed);
    peft::set_units(model, config.units.scheme);
    models::set_buffers(model, config.units.buffers);
    const auto after_round = [&](int round) {
      if (options.after_round) options.after_round(run.folder, round);
    };
    const RoundTable table =
        run_here(task, run, model, tools, {shares.parallel, options.encode_messages}, after_round);
    summaries.push_back(summarise(run, table));
  }
  return summaries;
}

}  // namespace strata::fedrunner
