#include "fedrunner/run_config.h"

#include <algorithm>
#include <cctype>
#include <limits>
#include <set>

#include "models/architectures/architectures.h"
#include "models/device.h"
#include "strata/core/error.h"

namespace strata::fedrunner {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<int>::max();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
const std::vector<std::string> kStrategies = {"f3ocus", "topk",    "random",    "full",
                                              "head",   "dropout", "roundrobin"};

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

DataConfig read_data(ObjectReader reader) {
  DataConfig data;
  data.folder = reader.text("folder");
  data.load.language = reader.choice("language", {"en", "zh"}, data.load.language);
  data.drop_unseen = reader.choice("unseen_answers", {"error", "drop"}, "error") == "drop";
  // Not in the resolved configuration: no result depends on it, so a run resumes with another.
  data.cache = reader.text("cache", "");
  auto& partition = data.partition;
  partition.scheme =
      reader.choice("partition", {"modality", "dataset", "iid", "dirichlet"}, "modality");
  const bool counted = partition.scheme == "iid" || partition.scheme == "dirichlet";
  const auto clients =
      reader.integer("clients", 1, kMax, counted ? std::nullopt : std::optional<std::int64_t>(1));
  // Other schemes take the clients from the data, but a file may keep the key while they are tried.
  partition.clients = counted ? static_cast<int>(clients) : 0;
  partition.alpha = reader.number("alpha", 1e-6, 1e6, 0.3);
  partition.public_fraction = reader.number("public_fraction", 0, 1, 0.0);
  if (partition.public_fraction == 1) {
    reader.fail("public_fraction", "1 leaves no training image to the clients");
  }
  partition.seed = static_cast<std::uint64_t>(
      reader.integer("seed", 0, std::numeric_limits<std::int64_t>::max(), 1));
  reader.finish();
  return data;
}

ModelConfig read_model(ObjectReader reader) {
  ModelConfig model;
  model.folder = reader.text("folder", "");
  model.answers = reader.choice("answers", {"own", "data"}, model.answers);
  model.seed = static_cast<std::uint64_t>(
      reader.integer("seed", 0, std::numeric_limits<std::int64_t>::max(), 1));
  if (reader.has("architecture"))
    model.architecture = models::architecture_from_yaml(reader.object("architecture"));
  if (reader.has("peft")) {
    model.peft = peft::read_methods(reader.object("peft", true));
    if (model.peft.empty()) reader.fail("peft", "no method; there are adapters, lora and prompts");
  }
  reader.finish();
  return model;
}

UnitsConfig read_units(ObjectReader reader) {
  UnitsConfig units;
  units.scheme = reader.text("scheme", units.scheme);
  UnitWishes& wishes = units.wishes;
  wishes.where_competing = reader.where("selectable");
  wishes.where_always = reader.where("always");
  if (reader.raw("selectable").is_array())
    wishes.competing = reader.texts("selectable");
  else
    reader.choice("selectable", {"blocks"}, "blocks");
  if (reader.has("always")) wishes.always = reader.texts("always");
  const auto check = [&](const std::string& key, const std::vector<std::string>& patterns) {
    std::set<std::string> seen;
    for (const auto& pattern : patterns)
      if (!seen.insert(pattern).second) reader.fail(key, "\"" + pattern + "\" stands twice");
  };
  if (wishes.competing) check("selectable", *wishes.competing);
  if (wishes.always) check("always", *wishes.always);
  reader.finish();
  return units;
}

TrainingOptions read_training(ObjectReader& reader) {
  TrainingOptions training;
  training.batch_size = reader.integer("batch_size", 1, 65536, 32);
  training.learning_rate = reader.number("learning_rate", 0, 10);
  training.weight_decay = reader.number("weight_decay", 0, 10, 0.01);
  training.clip_norm = reader.number("clip_norm", 0, kInfinity, 1.0);
  training.flips = reader.choice("flips", {"none", "horizontal", "vertical", "both"}, "none");
  return training;
}

PretrainConfig read_pretrain(ObjectReader reader, const DataConfig& data) {
  PretrainConfig pretrain;
  pretrain.vocabulary = reader.texts("vocabulary", std::vector<std::string>{data.folder});
  pretrain.seed = static_cast<std::uint64_t>(
      reader.integer("seed", 0, std::numeric_limits<std::int64_t>::max(), 1));
  pretrain.from = reader.text("from", "");
  pretrain.epochs = reader.integer("epochs", pretrain.from.empty() ? 1 : 0, kMax);
  if (pretrain.epochs == 0) {
    for (const char* key : {"data", "evaluate_every", "batch_size", "learning_rate", "weight_decay",
                            "clip_norm", "flips", "warmup", "schedule"}) {
      if (reader.has(key)) reader.fail(key, "with pretrain.epochs 0 nothing is trained");
    }
    reader.finish();
    return pretrain;
  }
  pretrain.data = reader.text("data");
  if (pretrain.data == "public" && data.partition.public_fraction == 0) {
    reader.fail("data", "there is no public share, as data.public_fraction is 0");
  }
  pretrain.evaluate_every = reader.integer("evaluate_every", 1, kMax, 1);
  pretrain.training = read_training(reader);
  pretrain.training.warmup = reader.number("warmup", 0, 1, 0.05);
  pretrain.training.schedule = reader.choice("schedule", {"cosine", "constant"}, "cosine");
  reader.finish();
  return pretrain;
}

/// A rule to choose from a front, which may have a number behind it ("weights:0.3").
std::string read_choice(ObjectReader& reader, const ToolNames& names, const std::string& fallback) {
  if (!names.check_choice) return reader.choice("choose", names.choices, fallback);
  const std::string rule = reader.text("choose", fallback);
  try {
    names.check_choice(rule);
  } catch (const InputError& error) {
    reader.fail("choose", error.what());
  }
  return rule;
}

bool needs_scores(const std::string& algorithm) {
  return algorithm != "random" && !contains(runner_algorithms(), algorithm);
}

/// The strategies that a name alone makes: those of the runner, every metric as top-k, and F3OCUS
/// with every algorithm. What has ':' in its name (pagmo's own) cannot name a folder.
std::vector<std::string> strategy_names(const ToolNames& names) {
  auto strategies = kStrategies;
  for (const auto* more : {&names.metrics, &names.algorithms}) {
    for (const auto& name : *more) {
      if (!contains(strategies, name) && name.find(':') == std::string::npos)
        strategies.push_back(name);
    }
  }
  return strategies;
}

Strategy named_strategy(const std::string& name, const RunConfig& run, const ToolNames& names) {
  if (name == "random") return {name, "none", "random", ""};
  if (name == "full") return {name, "none", "full", ""};
  if (name == "head") return {name, "none", "none", ""};
  if (name == "dropout") return {name, "none", "dropout", ""};
  if (name == "roundrobin") return {name, "none", "rotate", ""};
  if (name == "topk") return {name, run.score.metric, "topk", ""};
  if (name == "f3ocus") return {name, run.score.metric, run.plan.algorithm, ""};
  if (contains(names.metrics, name)) return {name, name, "topk", ""};
  return {name, run.score.metric, name, ""};
}

Strategy read_strategy(ObjectReader reader, const RunConfig& run, const ToolNames& names) {
  Strategy strategy;
  strategy.name = reader.text("name");
  const bool plain = strategy.name.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyz"
                         "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                         "0123456789_.-") == std::string::npos;
  if (!plain || strategy.name.empty() || strategy.name.front() == '.') {
    reader.fail("name", "\"" + strategy.name +
                            "\" cannot name a folder (letters, digits, '_', '-' and '.' can)");
  }
  if (!reader.has("algorithm")) {
    // One of the built-in ones, which a mapping may change in part.
    strategy = named_strategy(reader.choice("name", strategy_names(names)), run, names);
  } else {
    auto algorithms = names.algorithms;
    algorithms.insert(algorithms.end(), runner_algorithms().begin(), runner_algorithms().end());
    strategy.algorithm = reader.choice("algorithm", algorithms);
    strategy.metric = needs_scores(strategy.algorithm) ? run.score.metric : "none";
  }
  auto metrics = names.metrics;
  metrics.push_back("none");
  strategy.metric = reader.choice("metric", metrics, strategy.metric);
  strategy.choose = read_choice(reader, names, run.plan.choose);
  if (strategy.metric == "none" && needs_scores(strategy.algorithm)) {
    reader.fail("metric", "the algorithm " + strategy.algorithm + " needs scores");
  }
  reader.finish();
  return strategy;
}

/// Files of tables are named from the folder in which the program runs, as the data's folder is.
Budget read_run_budget(ObjectReader& run) {
  Budget budget = read_budget(run, "budget", "", [&] { return run.text("budget"); });
  if (budget.each == 0 && budget.clients.empty())
    run.fail("budget", "at least 1 was expected, found 0");
  if (!budget.each && budget.clients.empty()) run.fail("budget", "no client has a budget");
  return budget;
}

ServerConfig read_server(ObjectReader reader) {
  ServerConfig server;
  auto& options = server.aggregation;
  options.weights = reader.choice("weights", {"samples", "plain"}, options.weights);
  options.lora = reader.choice("lora", {"factors", "product"}, options.lora);
  options.optimizer =
      reader.choice("optimizer", {"average", "momentum", "adam"}, options.optimizer);
  const bool adam = options.optimizer == "adam";
  // An average's natural step is 1; adam's has the size of the learning rate itself.
  options.learning_rate =
      reader.number("learning_rate", 0, 1000, adam ? std::nullopt : std::optional<double>(1));
  options.beta_1 = reader.number("beta_1", 0, 1, options.beta_1);
  options.beta_2 = reader.number("beta_2", 0, 1, options.beta_2);
  options.tau = reader.number("tau", 1e-12, 1e6, options.tau);
  if (options.lora == "product" && (options.optimizer != "average" || options.learning_rate != 1))
    reader.fail("lora", "product goes with optimizer average and learning_rate 1 alone");
  server.min_clients = reader.integer("min_clients", 1, kMax, 1);
  server.outlier_ratio = reader.number("outlier_ratio", 0, kInfinity, server.outlier_ratio);
  if (server.outlier_ratio > 0 && server.outlier_ratio <= 1)
    reader.fail("outlier_ratio", "a number above 1 was expected, or 0 for no check");
  reader.finish();
  return server;
}

FailureOptions read_failures(ObjectReader reader) {
  FailureOptions failures;
  failures.dropout = reader.number("dropout", 0, 1, 0.0);
  failures.stragglers = reader.number("stragglers", 0, 1, 0.0);
  failures.straggler_share = reader.number("straggler_share", 0, 1, failures.straggler_share);
  failures.late = reader.choice("late", {"drop", "partial"}, failures.late);
  failures.corruption = reader.number("corruption", 0, 1, 0.0);
  reader.finish();
  return failures;
}

RunConfig read_run(ObjectReader reader, const ToolNames& names) {
  RunConfig run;
  auto score = reader.object("score");
  run.score.metric = score.choice("metric", names.metrics, "lntk");
  run.score.samples = score.integer("samples", 1, kMax, 32);
  run.score.every = score.integer("every", 1, kMax, 1);
  score.finish();

  run.budget = read_run_budget(reader);
  auto plan = reader.object("plan");
  run.plan.algorithm =
      plan.choice("algorithm", names.algorithms, run.budget.counts_units() ? "exact" : "prices");
  run.plan.choose = read_choice(plan, names, "knee");
  run.plan.evaluations =
      plan.integer("evaluations", 1, std::numeric_limits<std::int64_t>::max(), 20000);
  run.plan.every = plan.integer("every", 1, kMax, 1);
  run.plan.warm = plan.boolean("warm", false);
  plan.finish();

  std::set<std::string> seen;
  for (auto& strategy : reader.objects("strategies")) {
    run.strategies.push_back(read_strategy(strategy, run, names));
    if (!seen.insert(run.strategies.back().name).second) {
      strategy.fail("name", "the strategy \"" + run.strategies.back().name + "\" stands twice");
    }
  }
  if (run.strategies.empty()) {
    reader.fail("strategies",
                "at least one strategy is needed: " + quoted_list(strategy_names(names)));
  }

  const auto& seeds = reader.raw("seeds");
  if (seeds.is_null()) run.seeds = {1};
  if (!seeds.is_null() && (!seeds.is_array() || seeds.empty()))
    reader.fail("seeds", "a list of whole numbers was expected, e.g. [1, 2, 3]");
  for (const auto& seed : seeds) {
    if (!seed.is_number_integer() || seed.get<std::int64_t>() < 0)
      reader.fail("seeds", "a whole number of at least 0 was expected, found " + excerpt(seed));
    const auto value = seed.get<std::uint64_t>();
    if (std::find(run.seeds.begin(), run.seeds.end(), value) != run.seeds.end())
      reader.fail("seeds", "the seed " + std::to_string(value) + " stands twice");
    run.seeds.push_back(value);
  }

  run.rounds = reader.integer("rounds", 1, 99999);
  run.evaluate_every = reader.integer("evaluate_every", 1, kMax, 1);

  auto local = reader.object("local", true);
  if (local.has("steps") && local.has("epochs"))
    local.fail("epochs", "give either local.steps or local.epochs, not both");
  if (local.has("steps")) {
    run.local.steps = local.integer("steps", 1, kMax);
  } else {
    run.local.epochs = local.integer("epochs", 1, kMax, 1);
  }
  run.local.training = read_training(local);
  run.local.training.calibrate_labels = local.boolean("calibrate_labels", false);
  run.local.schedule = local.choice("schedule", {"constant", "cosine"}, "constant");
  run.local.training.proximal = local.number("proximal", 0, 1e6, 0.0);
  run.local.training.precision = local.choice("precision", models::precision_names(), "float32");
  local.finish();
  run.server = read_server(reader.object("server"));
  run.failures = read_failures(reader.object("failures"));
  reader.finish();
  return run;
}

/// `f3ocus` in the list of strategies means `{name: f3ocus}`.
void expand_strategies(Json& root) {
  if (!root.is_object() || !root.contains("run") || !root["run"].is_object()) return;
  auto& run = root["run"];
  if (!run.contains("strategies") || !run["strategies"].is_array()) return;
  for (auto& strategy : run["strategies"]) {
    if (strategy.is_string()) strategy = Json{{"name", strategy}};
  }
}

Document load_experiment(const std::filesystem::path& file, const std::vector<std::string>& set) {
  auto document = load_yaml(file);
  for (const auto& assignment : set) set_value(document, assignment);
  resolve_references(document);
  expand_strategies(document.root);
  return document;
}

Json to_json(const Strategy& strategy) {
  return {{"name", strategy.name},
          {"metric", strategy.metric},
          {"algorithm", strategy.algorithm},
          {"choose", strategy.choose}};
}

/// What differs from the defaults, of which the optimizer decides.
Json to_json(const ServerConfig& server) {
  const ServerConfig plain;
  const auto &options = server.aggregation, &usual = plain.aggregation;
  Json json = Json::object();
  if (options.weights != usual.weights) json["weights"] = options.weights;
  if (options.lora != usual.lora) json["lora"] = options.lora;
  if (options.optimizer != usual.optimizer) json["optimizer"] = options.optimizer;
  if (options.optimizer == "adam" || options.learning_rate != usual.learning_rate)
    json["learning_rate"] = options.learning_rate;
  if (options.optimizer != "average") json["beta_1"] = options.beta_1;
  if (options.optimizer == "adam") {
    json["beta_2"] = options.beta_2;
    json["tau"] = options.tau;
  }
  if (server.min_clients != plain.min_clients) json["min_clients"] = server.min_clients;
  if (server.outlier_ratio != plain.outlier_ratio) json["outlier_ratio"] = server.outlier_ratio;
  return json;
}

/// Empty where nothing fails.
Json to_json(const FailureOptions& failures) {
  Json json = Json::object();
  if (failures.dropout > 0) json["dropout"] = failures.dropout;
  if (failures.stragglers > 0) {
    json["stragglers"] = failures.stragglers;
    json["straggler_share"] = failures.straggler_share;
    json["late"] = failures.late;
  }
  if (failures.corruption > 0) json["corruption"] = failures.corruption;
  return json;
}

/// `strategies` and `seeds` are those of the run or of the whole experiment.
Json resolved(const ExperimentConfig& config, const SelectedUnits& units,
              const std::vector<Strategy>& strategies, const std::vector<std::uint64_t>& seeds) {
  const auto& partition = config.data.partition;
  Json data{{"folder", config.data.folder}, {"partition", partition.scheme}};
  // Keys that came later stand there only where they say something, so that a run folder of an
  // earlier version resumes.
  if (config.data.load.language != data::LoadOptions{}.language)
    data["language"] = config.data.load.language;
  if (config.data.drop_unseen) data["unseen_answers"] = "drop";
  if (partition.scheme == "iid" || partition.scheme == "dirichlet")
    data["clients"] = partition.clients;
  if (partition.scheme == "dirichlet") data["alpha"] = partition.alpha;
  data["public_fraction"] = partition.public_fraction;
  data["seed"] = partition.seed;

  const auto& run = *config.run;
  Json list = Json::array();
  for (const auto& strategy : strategies) list.push_back(to_json(strategy));
  const auto& training = run.local.training;
  Json local;
  if (run.local.steps > 0) local["steps"] = run.local.steps;
  if (run.local.epochs > 0) local["epochs"] = run.local.epochs;
  local["batch_size"] = training.batch_size;
  local["learning_rate"] = training.learning_rate;
  local["schedule"] = run.local.schedule;
  local["weight_decay"] = training.weight_decay;
  local["clip_norm"] = training.clip_norm;
  local["flips"] = training.flips;
  local["calibrate_labels"] = training.calibrate_labels;
  Json plan{{"algorithm", run.plan.algorithm},
            {"choose", run.plan.choose},
            {"evaluations", run.plan.evaluations}};
  if (run.plan.every > 1) plan["every"] = run.plan.every;
  if (run.plan.warm) plan["warm"] = true;
  if (training.proximal > 0) local["proximal"] = training.proximal;
  if (training.precision != "float32") local["precision"] = training.precision;
  Json model{{"folder", config.model.folder}};
  if (config.model.answers != "own") {
    model["answers"] = config.model.answers;
    model["seed"] = config.model.seed;
  }
  if (!config.model.peft.empty()) model["peft"] = peft::methods_json(config.model.peft);
  Json unit_keys;
  if (config.units.scheme != "block") unit_keys["scheme"] = config.units.scheme;
  unit_keys["selectable"] = names_of(units.selectable);
  unit_keys["always"] = names_of(units.always);
  Json root{{"version", 1},
            {"name", config.name},
            {"data", data},
            {"model", model},
            {"units", unit_keys},
            {"run",
             {{"strategies", list},
              {"seeds", seeds},
              {"rounds", run.rounds},
              {"budget", to_json(run.budget)},
              {"score",
               {{"metric", run.score.metric},
                {"samples", run.score.samples},
                {"every", run.score.every}}},
              {"plan", plan},
              {"local", local},
              {"evaluate_every", run.evaluate_every}}}};
  const Json server = to_json(run.server), failures = to_json(run.failures);
  if (!server.empty()) root["run"]["server"] = server;
  if (!failures.empty()) root["run"]["failures"] = failures;
  return root;
}

std::string yaml_scalar(const Json& value) {
  if (!value.is_string()) return value.dump();
  const auto& text = value.get_ref<const std::string&>();
  // Anything that YAML could take for another type or for syntax is quoted as in JSON, which YAML
  // reads as a text.
  const bool plain =
      !text.empty() && std::isalpha(static_cast<unsigned char>(text[0])) &&
      std::all_of(text.begin(), text.end(),
                  [](unsigned char c) {
                    return std::isalnum(c) || c == '_' || c == '-' || c == '/' || c == '.';
                  }) &&
      !contains({"true", "True", "TRUE", "false", "False", "FALSE", "null", "Null", "NULL"}, text);
  return plain ? text : value.dump();
}

std::string flow(const Json& value) {
  if (!value.is_structured()) return yaml_scalar(value);
  std::string out;
  for (const auto& [key, element] : value.items()) {
    if (!out.empty()) out += ", ";
    out += value.is_object() ? yaml_scalar(key) + ": " + flow(element) : flow(element);
  }
  return value.is_object() ? "{" + out + "}" : "[" + out + "]";
}

void block(const Json& object, const std::string& indent, std::string& out) {
  for (const auto& [key, value] : object.items()) {
    out += indent + yaml_scalar(key) + ":";
    if (value.is_object() && !value.empty()) {
      out += "\n";
      block(value, indent + "  ", out);
    } else if (value.is_array() && !value.empty() && value.front().is_structured()) {
      out += "\n";
      for (const auto& element : value) out += indent + "  - " + flow(element) + "\n";
    } else {
      out.append(" ").append(flow(value)).append("\n");
    }
  }
}

}  // namespace

ExperimentConfig read_experiment_file(const std::filesystem::path& file,
                                      const std::vector<std::string>& set, const ToolNames& names) {
  const auto document = load_experiment(file, set);
  ObjectReader reader(document);
  reader.version(1);
  ExperimentConfig config;
  config.file = document.file;
  config.name = reader.text("name");
  config.data = read_data(reader.object("data", true));
  config.model = read_model(reader.object("model", true));
  config.units = read_units(reader.object("units"));
  if (reader.has("pretrain"))
    config.pretrain = read_pretrain(reader.object("pretrain"), config.data);
  if (reader.has("run")) config.run = read_run(reader.object("run"), names);
  reader.finish();
  return config;
}

ExperimentData load_experiment_data(const DataConfig& data) {
  ExperimentData result;
  result.config = data;
  result.manifest = data::load_data(data.folder, data.load);
  result.partition = data::make_partition(result.manifest, data.partition);
  return result;
}

ExperimentData load_experiment_data(const std::filesystem::path& experiment_file) {
  const auto document = load_experiment(experiment_file, {});
  ObjectReader reader(document);
  reader.version(1);
  return load_experiment_data(read_data(reader.object("data", true)));
}

const std::vector<std::string>& runner_algorithms() {
  static const std::vector<std::string> names = {"full", "none", "rotate", "dropout"};
  return names;
}

models::Blueprint with_peft(const ExperimentConfig& config, const models::Blueprint& foundation) {
  return peft::with_methods(foundation, config.model.peft, config.file + ": model.peft");
}

SelectedUnits select_units(const ExperimentConfig& config, const models::Blueprint& model) {
  std::vector<Unit> units;
  try {
    units = peft::scheme_units(model, config.units.scheme);
  } catch (const InputError& error) {
    throw InputError(config.file + ": units.scheme: " + error.what());
  }
  std::vector<Role> roles;
  for (const Unit& unit : units) roles.push_back(unit.role);
  const UnitChoice choice = choose_units(names_of(units), roles, config.units.wishes);
  SelectedUnits selected;
  for (const std::size_t unit : choice.competing) selected.selectable.push_back(units[unit]);
  for (const std::size_t unit : choice.always) selected.always.push_back(units[unit]);
  if (selected.selectable.empty())
    throw InputError(config.file + ": units.selectable: the scheme \"" + config.units.scheme +
                     "\" leaves no unit");
  return selected;
}

Json resolved_config(const ExperimentConfig& config, const SelectedUnits& units,
                     const Strategy& strategy, std::uint64_t seed) {
  return resolved(config, units, {strategy}, {seed});
}

Json resolved_config(const ExperimentConfig& config, const SelectedUnits& units) {
  return resolved(config, units, config.run->strategies, config.run->seeds);
}

Json to_json(const PretrainConfig& pretrain) {
  const auto& training = pretrain.training;
  Json json = Json::object();
  if (!pretrain.from.empty()) json["from"] = pretrain.from;
  if (pretrain.epochs == 0) {
    json.update({{"vocabulary", pretrain.vocabulary}, {"epochs", 0}, {"seed", pretrain.seed}});
    return json;
  }
  json.update({{"data", pretrain.data},
               {"vocabulary", pretrain.vocabulary},
               {"epochs", pretrain.epochs},
               {"batch_size", training.batch_size},
               {"learning_rate", training.learning_rate},
               {"weight_decay", training.weight_decay},
               {"warmup", training.warmup},
               {"schedule", training.schedule},
               {"flips", training.flips},
               {"clip_norm", training.clip_norm},
               {"evaluate_every", pretrain.evaluate_every},
               {"seed", pretrain.seed}});
  return json;
}

std::string to_yaml(const Json& value) {
  std::string out;
  block(value, "", out);
  return out;
}

}  // namespace strata::fedrunner
