#include "fedrunner/setup.h"

#include <algorithm>
#include <limits>
#include <set>

#include "core/console.h"
#include "core/text.h"
#include "data/image_store.h"
#include "fedrunner/algorithms/algorithm.h"
#include "fedrunner/foundation.h"
#include "fedrunner/lora_pairs.h"
#include "fedrunner/run_table.h"
#include "models/architectures/published_checkpoints.h"
#include "models/nf4.h"
#include "models/stage_inputs.h"
#include "models/thread_count.h"
#include "peft/files.h"
#include "peft/methods.h"
#include "strata/core/error.h"
#include "tasks/tasks.h"

namespace strata::fedrunner {

using namespace experiment;

namespace {

[[noreturn]] void refuse_labels(const ExperimentConfig& config, const std::string& key,
                                const std::string& reason) {
  throw InputError(config.file + ": " + key + " is for models with labels; " + reason);
}

/// Labels are for tasks that choose among them, and for models that have them or get them.
void check_labels(const ExperimentConfig& config, const models::Architecture& architecture) {
  const bool gets = config.model.answers == Answers::kData;
  if (gets && tasks::is_in_words(config.task))
    refuse_labels(config, "model.answers: data", "the task " + config.task + " answers in words");
  if (architecture.segments()) {
    const auto& training = config.run->local.training;
    const std::string reason = "one of the type \"" + architecture.type() + "\" segments";
    if (training.calibrate_labels) refuse_labels(config, "run.local.calibrate_labels", reason);
    if (training.class_weights != ClassWeights::kNone)
      refuse_labels(config, "run.local.class_weights", reason);
  }
  if (config.run->local.training.calibrate_labels && !gets && architecture.labels().empty())
    refuse_labels(config, "run.local.calibrate_labels",
                  "one of the type \"" + architecture.type() + "\" answers in words");
}

models::Blueprint read_foundation_blueprint(const ExperimentConfig& config) {
  const std::filesystem::path folder = config.model.folder;
  if (folder.empty()) throw InputError(config.file + ": model.folder: the key is missing");
  const bool published = !models::torch_checkpoints_in(folder).empty();
  if (!published && !std::filesystem::exists(folder / "config.json")) {
    throw InputError(
        config.file + ": model.folder: " + folder.string() + " holds no model (no config.json)" +
        (config.pretrain
             ? "; strata pretrain " + config.file + " --out " + folder.string() + " makes one"
             : ""));
  }
  const auto blueprint = peft::read_blueprint(folder);
  if (config.model.image_size == 0) return blueprint;
  return with_context(config.file + ": model.image_size",
                      [&] { return blueprint.with_image_size(config.model.image_size); });
}

/// One a client. What a planner could not plan with is found before anything is written.
std::vector<std::int64_t> checked_budgets(const ExperimentConfig& config,
                                          const std::vector<std::string>& clients,
                                          const SelectedUnits& units, std::int64_t ranks) {
  const Budget& budget = config.run->budget;
  auto budgets =
      budget.values(clients, static_cast<int>(units.selectable.size()), static_cast<int>(ranks));
  std::int64_t least = 1;  // that trains a unit
  if (!budget.counts_units()) {
    least = std::numeric_limits<std::int64_t>::max();
    for (const auto& unit : units.selectable)
      least = std::min(least, rank_costs_of(unit, budget.of, static_cast<int>(ranks)).first);
    for (const auto& strategy : config.run->strategies) {
      if (strategy.counts_units_only)
        throw InputError(budget.where + ": the strategy " + strategy.name +
                         " plans with exact, whose budgets count units; auto or prices plan with " +
                         "budgets of " + budget.of);
    }
  }
  const std::int64_t cohort = config.run->plan.least_cohort;
  if (cohort > static_cast<std::int64_t>(clients.size()))
    throw InputError(config.file + ": run.plan.least_cohort: found " + std::to_string(cohort) +
                     ", allowed is 1 to " + std::to_string(clients.size()) + ", the clients");
  if (units.always.empty() && *std::max_element(budgets.begin(), budgets.end()) < least)
    throw InputError(budget.where + ": no client would train anything");
  return budgets;
}

models::CoreShares shares_for(const ExperimentConfig& config, const models::Blueprint& blueprint,
                              std::size_t clients, int recorded_threads, torch::Device device,
                              const RunOptions& options) {
  models::CoreShares shares = models::choose_shares(
      blueprint, config.run->local.training.batch_size, static_cast<std::int64_t>(clients), device,
      options.threads, options.parallel);
  if (options.threads == 0 && recorded_threads > 0) {
    shares.threads = recorded_threads;
    if (options.parallel == 0 && device.is_cpu())
      shares.parallel = std::max(1, models::core_count() / recorded_threads);
  }
  return shares;
}

std::vector<std::string> names_of_clients(const ExperimentConfig& config,
                                          const std::optional<ExperimentData>& data) {
  if (!data) return config.data.sites;
  std::vector<std::string> names;
  for (const auto& client : data->partition.clients) names.push_back(client.name);
  return names;
}

void check_names(const std::vector<std::string>& names, bool name_folders) {
  for (const auto& name : names) {
    if (name == kAllRow || name == kMeanRow) {
      throw InputError("a client cannot be called \"" + name +
                       "\", as metrics.csv has an aggregate row of that name");
    }
    if (name_folders && name.find('/') != std::string::npos) {
      throw InputError("the client \"" + name +
                       "\" cannot name a folder, which its adapter_config.json needs");
    }
  }
}

/// With what the rule of LoRA pairs leaves in them.
SelectedUnits select_fitted_units(const ExperimentConfig& config,
                                  const models::Blueprint& blueprint) {
  auto units = select_units(config, blueprint);
  const LoraRule& rule = lora_rule(config.run->server.aggregation.lora);
  fit_units(rule, blueprint, units.selectable);
  fit_units(rule, blueprint, units.always);
  return units;
}

void check_lora(const ExperimentConfig& config, const models::Blueprint& blueprint) {
  const LoraAverage lora = config.run->server.aggregation.lora;
  const auto pairs = peft::factors_of(blueprint);
  for (const auto& pair : pairs) {
    if (!lora_rule(lora).changes_base || !pair.base.empty()) continue;
    throw InputError(config.file + ": run.server.lora: " + lora_averages().name(lora) +
                     " changes the weights beside which pairs stand, and \"" + pair.first +
                     "\" and its like are not added to one");
  }
  if (lora == LoraAverage::kFactors || !pairs.empty()) return;
  throw InputError(config.file + ": run.server.lora: " + lora_averages().name(lora) +
                   " is of LoRA pairs, which the model does not have (model.peft.lora adds them)");
}

/// "factors, product and flora": the rules for which clients may have ranks of their own.
std::string rules_of_any_ranks() {
  std::vector<std::string> names;
  for (const auto& name : lora_averages().names())
    if (lora_rule(lora_averages().value(name)).any_ranks) names.push_back(name);
  const std::string last = names.back();
  names.pop_back();
  return joined(names) + " and " + last;
}

void check_ranks(const ExperimentConfig& config, const models::Blueprint& blueprint) {
  const RankChoice& ranks = config.run->ranks;
  if (!ranks.given()) return;
  const LoraAverage lora = config.run->server.aggregation.lora;
  const auto pairs = peft::factors_of(blueprint);
  if (pairs.empty())
    throw InputError(ranks.where + ": ranks are of LoRA pairs, which the model does not have " +
                     "(model.peft.lora adds them)");
  for (const auto& pair : pairs) {
    if (!pair.base.empty()) continue;
    throw InputError(ranks.where + ": ranks are of pairs that are added to a weight, which \"" +
                     pair.first + "\" and its like are not");
  }
  if (!lora_rule(lora).any_ranks)
    throw InputError(ranks.where + ": ranks of clients do not go with run.server.lora " +
                     lora_averages().name(lora) + "; they go with " + rules_of_any_ranks());
}

/// The rank of the pairs of all units that plans choose among, where plans give ranks of them.
std::int64_t planned_ranks(const ExperimentConfig& config, const models::Blueprint& blueprint,
                           const SelectedUnits& units) {
  const RankChoice& ranks = config.run->ranks;
  if (!ranks.planned) return 1;
  std::int64_t common = 0;
  std::set<std::string> factors;
  const auto refuse = [&](const std::string& unit, const std::string& what) {
    throw InputError(ranks.where +
                     ": plan: plans give ranks of units that hold LoRA pairs of one " +
                     "rank alone, and \"" + unit + "\" has " + what);
  };
  for (const UnitPair& pair : unit_pairs(blueprint, units.selectable)) {
    if (common == 0) common = pair.rank;
    if (pair.rank != common)
      refuse(pair.unit, "the rank " + std::to_string(pair.rank) + " beside others of " +
                            std::to_string(common));
    factors.insert(pair.names.first);
    factors.insert(pair.names.second);
  }
  for (const Unit& unit : units.selectable)
    for (const std::string& name : unit.parameters)
      if (!factors.count(name)) refuse(unit.name, name);
  if (common > kLargestRank)
    throw InputError(ranks.where + ": plan: the pairs have the rank " + std::to_string(common) +
                     "; plans give ranks up to " + std::to_string(kLargestRank));
  return common;
}

/// One a client, or none where all have whole pairs.
std::vector<std::int64_t> checked_ranks(const ExperimentConfig& config,
                                        const std::vector<std::string>& clients,
                                        const models::Blueprint& blueprint) {
  std::int64_t largest = 0;
  for (const auto& pair : peft::factors_of(blueprint))
    largest = std::max(largest, blueprint.parameter(pair.first).shape.front());
  return config.run->ranks.values(clients, largest);
}

/// A base that is stored in 4 bits cannot change.
void check_bases(const ExperimentConfig& config, const models::Model& foundation,
                 const models::Blueprint& blueprint) {
  const LoraAverage lora = config.run->server.aggregation.lora;
  if (!lora_rule(lora).changes_base) return;
  for (const auto& pair : peft::factors_of(blueprint)) {
    if (models::is_nf4(foundation.weight(pair.base)))
      throw InputError(config.file + ": run.server.lora: " + lora_averages().name(lora) +
                       " changes the weights beside which pairs stand, of which \"" + pair.base +
                       "\" is stored in 4 bits (NF4)");
  }
}

[[noreturn]] void refuse_algorithm(const ExperimentConfig& config, const std::string& reason) {
  throw InputError(config.file + ": run.server.algorithm: " +
                   federated_algorithms().name(config.run->server.algorithm.algorithm) + reason);
}

bool has_partner(const ExperimentConfig& config) {
  return static_cast<bool>(algorithm_of(config.run->server.algorithm.algorithm).partner);
}

void require_companions(const ExperimentConfig& config, const models::Blueprint& blueprint,
                        const SelectedUnits& units) {
  if (!has_partner(config)) return;
  const auto companions = peft::companion_parameters(blueprint);
  for (const auto* chosen : {&units.selectable, &units.always}) {
    for (const Unit& unit : *chosen) {
      for (const auto& name : unit.parameters)
        if (companions.count(name) && !is_local(unit, name)) return;
    }
  }
  refuse_algorithm(config,
                   " is of adapters, and no unit that clients send holds any (model.peft.adapters "
                   "adds them, and units.scheme: adapter has them in its units)");
}

[[noreturn]] void refuse_sites(const ExperimentConfig& config, const std::string& key,
                               const std::string& reason) {
  throw InputError(config.file + ": " + key + " " + reason + " (data.sites)");
}

void check_distribution(const ExperimentConfig& config, const tasks::Task& task, bool several) {
  if (!has_partner(config)) return;
  const std::string what = " distils a distribution over labels, and ";
  if (tasks::is_in_words(task.name()))
    refuse_algorithm(config, what + "the task " + task.name() + " answers in words");
  if (several) refuse_algorithm(config, what + "an example of these data may have several");
}

void check_chosen_by(const ExperimentConfig& config, const tasks::Task& task) {
  const std::string& metric = config.run->local.chosen_by;
  if (!metric.empty())
    require_name(config.file + ": run.local.learning_rate.by", metric, task.metrics());
}

}  // namespace

Wanted select_wanted(const ExperimentConfig& config) {
  auto blueprint = with_peft(config, read_foundation_blueprint(config));
  check_labels(config, blueprint.architecture());
  // How many there are is known with the data, and that there are any makes other units.
  if (config.model.answers == Answers::kData && blueprint.architecture().labels().empty())
    blueprint = blueprint.with({"label"});
  check_lora(config, blueprint);
  check_ranks(config, blueprint);
  auto units = select_fitted_units(config, blueprint);
  require_companions(config, blueprint, units);
  if (!config.run->score.answers.empty() && !blueprint.architecture().answers_in_words()) {
    throw InputError(config.file +
                     ": run.score.answers is for models that answer in words; one of " +
                     "the type \"" + blueprint.architecture().type() + "\" chooses among labels");
  }
  if (config.run->score.random_outputs > 0 && !blueprint.architecture().segments()) {
    throw InputError(config.file +
                     ": run.score.random_outputs is for models that segment; one of " +
                     "the type \"" + blueprint.architecture().type() + "\" does not");
  }
  return {std::move(blueprint), std::move(units)};
}

namespace {

std::optional<ExperimentData> load_data(const ExperimentConfig& config) {
  if (config.data.sites.empty())
    return load_experiment_data(config.data, config.task, config.answering);
  if (config.model.answers == Answers::kData)
    refuse_sites(
        config, "model.answers: data",
        "needs the labels of all clients; a foundation whose labels they agree on has them");
  if (config.task == tasks::task_names().front())
    refuse_sites(config, "task: " + config.task, "needs the data; name the task");
  return std::nullopt;
}

std::set<std::string> names_in(const data::Partition& partition) {
  std::set<std::string> names;
  for (const auto& client : partition.clients) names.insert(client.name);
  return names;
}

FederatedClient make_client(const data::ClientExamples& part, const ExperimentData& data,
                            const Foundation& foundation,
                            const std::shared_ptr<data::ImageStore>& images) {
  if (part.train.empty()) throw InputError("client " + part.name + " has no training example");
  const auto tensors = [&](const std::vector<int>& examples) {
    return std::shared_ptr<const tasks::Dataset>(data.task->encode(
        examples, {data.manifest, foundation.model.blueprint(), foundation.tokenizer,
                   data.config.drop_unseen, images, foundation.language, data.config.prompt}));
  };
  return with_context("client " + part.name, [&] {
    FederatedClient client{part.name, tensors(part.train), nullptr};
    if (!part.test.empty()) client.test = tensors(part.test);
    return client;
  });
}

void log_unseen(const std::vector<FederatedClient>& clients) {
  std::vector<std::pair<std::string, const tasks::Dataset*>> train, test;
  for (const auto& client : clients) {
    train.emplace_back(client.name, client.train.get());
    if (client.test) test.emplace_back(client.name, client.test.get());
  }
  tasks::log_unseen(train, "training examples are left out");
  tasks::log_unseen(test, "test examples are kept and counted as wrong");
}

}  // namespace

std::vector<FederatedClient> make_clients(const ExperimentData& data, const Foundation& foundation,
                                          const std::optional<std::set<std::string>>& names) {
  const auto there = names_in(data.partition);
  for (const auto& name : names.value_or(std::set<std::string>()))
    require_name(data.config.folder + ": client", name, {there.begin(), there.end()});
  const auto images = std::make_shared<data::ImageStore>(
      data.manifest, foundation.model.blueprint().image_processor(), data.config.cache);
  std::vector<FederatedClient> clients;
  for (const auto& part : data.partition.clients) {
    if (!names || names->count(part.name))
      clients.push_back(make_client(part, data, foundation, images));
  }
  log_unseen(clients);
  images->load();
  return clients;
}

namespace {

std::vector<std::string> labels_of(const ExperimentConfig& config, const tasks::Task& task,
                                   const Inputs& inputs) {
  if (config.model.answers != Answers::kData) return {};
  return task.labels({tasks::split_of(inputs.data->manifest, data::kTrainSplit)});
}

Foundation read_foundation(const ModelConfig& model, const std::vector<std::string>& labels,
                           torch::Device device, const RunOptions& options) {
  auto foundation = labels.empty() ? load_foundation(model.folder, device, model.image_size)
                                   : relabelled_foundation(model.folder, labels, model.seed, device,
                                                           model.image_size);
  models::set_spill(foundation.model, options.spill);
  if (!labels.empty()) {
    log_info(model.folder + " with an output layer for the data's " +
             std::to_string(labels.size()) + " labels");
  }
  return foundation;
}

}  // namespace

Prepared prepare(const ExperimentConfig& config, Wanted wanted, torch::Device device,
                 const RunOptions& options, int recorded_threads, Inputs& inputs) {
  if (!inputs.data) inputs.data = load_data(config);
  const auto& data = inputs.data;
  auto task = data ? data->task : tasks::choose_task(config.task, {}, config.answering);
  check_chosen_by(config, *task);
  check_distribution(config, *task, inputs.several_labels());
  const std::size_t clients = data ? data->partition.clients.size() : config.data.sites.size();
  const models::CoreShares shares =
      shares_for(config, wanted.blueprint, clients, recorded_threads, device, options);
  models::prepare_torch(shares.threads);
  const auto labels = labels_of(config, *task, inputs);
  if (!labels.empty()) {
    // The output layer's size, and with it the head's costs, is known only now.
    wanted.blueprint = wanted.blueprint.with(labels);
    wanted.units = select_fitted_units(config, wanted.blueprint);
  }
  if (!inputs.foundation)
    inputs.foundation = read_foundation(config.model, labels, device, options);
  check_bases(config, inputs.foundation->model, wanted.blueprint);
  return {std::move(wanted), std::move(task), shares.parallel};
}

Setup set_up(const ExperimentConfig& config, Wanted wanted, const ExperimentFolders& folders,
             torch::Device device, const RunOptions& options, Inputs& inputs) {
  if (!config.data.sites.empty() && !options.remote)
    throw InputError(config.file + ": data.sites: the clients' data is elsewhere; --courier says " +
                     "how they are reached");
  const bool is_first = !inputs.foundation;
  Prepared made =
      prepare(config, std::move(wanted), device, options, folders.recorded_threads(), inputs);
  const auto& data = inputs.data;
  const Foundation& foundation = *inputs.foundation;
  auto names = names_of_clients(config, data);
  check_names(names, plans_lora(made.wanted.blueprint, made.wanted.units));
  const std::int64_t planned = planned_ranks(config, made.wanted.blueprint, made.wanted.units);
  auto budgets = checked_budgets(config, names, made.wanted.units, planned);
  auto ranks = checked_ranks(config, names, made.wanted.blueprint);
  Setup setup{.task = {.name = config.name,
                       .synthetic = data && data->manifest.synthetic,
                       .several_labels = inputs.several_labels(),
                       .task = made.task,
                       .clients = std::move(names),
                       .units = std::move(made.wanted.units),
                       .budgets = std::move(budgets),
                       .run = *config.run,
                       .foundation_fingerprint = foundation.model.fingerprint(),
                       .tokenizer = foundation.tokenizer},
              .foundation = foundation.model,
              .clients = {},
              .parallel = made.parallel};
  if (foundation.language) setup.task.language_folder = config.model.folder;
  folders.check_foundation(setup.foundation, setup.task.foundation_fingerprint);
  setup.task.ranks = std::move(ranks);
  setup.task.planned_ranks = planned;
  if (!options.remote && is_first) inputs.clients = make_clients(*data, foundation);
  setup.clients = inputs.clients;
  if (!data) return setup;
  for (const auto& client : data->partition.clients)
    setup.train_samples[client.name] = static_cast<std::int64_t>(client.train.size());
  if (options.log_clients && is_first)
    log_info("clients", data::partition_table(data->manifest, data->partition));
  return setup;
}

models::Model begin_model(const ExperimentConfig& config, const SelectedUnits& selected,
                          const models::Model& foundation, std::uint64_t seed) {
  models::Model model = foundation;
  peft::add_methods(model, config.model.peft, seed);
  peft::set_units(model, config.units.scheme, config.units.buffers);
  auto units = model.units();
  fit_units(lora_rule(config.run->server.aggregation.lora), model.blueprint(), units);
  keep_personal(selected.personal, units);
  model.set_units(std::move(units));
  return model;
}

}  // namespace strata::fedrunner
