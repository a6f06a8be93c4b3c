#include "experiment/experiment.h"

#include <algorithm>

#include "experiment/unit_modes.h"
#include "peft/lora.h"
#include "peft/methods.h"
#include "strata/core/error.h"
#include "tasks/tasks.h"

namespace strata::experiment {
namespace {

constexpr int kVersion = 1;

/// Of a benchmark's file `run` and `pretrain` read what is an experiment's (benchmark_section.h).
void prepare(Document& document) {
  if (document.root.is_object()) document.root.erase("benchmark");
  resolve_references(document);
  expand_strategies(document.root);
}

Field<ExperimentConfig> version_field() {
  Field<ExperimentConfig> field{"version", "of the format", std::to_string(kVersion)};
  field.read = [](ObjectReader& reader, ExperimentConfig&, bool) { reader.version(kVersion); };
  field.write = [](const ExperimentConfig&) { return Json(kVersion); };
  return field.required();
}

/// Written only where it says something, so that a run folder of an earlier version resumes.
Field<ExperimentConfig> task_field() {
  return field("task", &ExperimentConfig::task, one_of(tasks::task_names()),
               "what the model is for; `auto`: to segment volumes with masks, to answer the data's "
               "questions, or to classify its images where they have labels and no questions")
      .written_if_changed();
}

void complete_experiment(ObjectReader& reader, ExperimentConfig& config) {
  const bool asked = config.pretrain && config.pretrain->data == kPublicData;
  if (asked && config.data.partition.public_fraction == 0)
    reader.object("pretrain")
        .fail("data", "there is no public share, as data.public_fraction is 0");
}

Fields<ExperimentConfig> experiment_fields(const ToolNames& names) {
  const auto vocabulary_of_data = [](ExperimentConfig& config) {
    config.pretrain.emplace();
    if (!config.data.folder.empty()) config.pretrain->vocabulary = {config.data.folder};
  };
  return Fields<ExperimentConfig>(
      {
          version_field(),
          field("name", &ExperimentConfig::name, text(), "shown in reports").required(),
          task_field(),
          section("answering", &ExperimentConfig::answering, answering_fields())
              .written_if_changed(),
          section("data", &ExperimentConfig::data, data_fields()).required(),
          section("model", &ExperimentConfig::model, model_fields()).required(),
          section("units", &ExperimentConfig::units, units_fields()),
          section("pretrain", &ExperimentConfig::pretrain, pretrain_fields())
              .default_of(vocabulary_of_data, ""),
          section("run", &ExperimentConfig::run, run_fields(names)),
      },
      complete_experiment);
}

}  // namespace

ExperimentConfig read_experiment_file(const std::filesystem::path& file,
                                      const std::vector<std::string>& set, const ToolNames& names) {
  auto document = load_yaml(file);
  for (const auto& assignment : set) set_value(document, assignment);
  return read_experiment(std::move(document), names);
}

ExperimentConfig read_experiment(Document document, const ToolNames& names) {
  prepare(document);
  ExperimentConfig config = experiment_fields(names).read(ObjectReader(document));
  config.file = document.file;
  return config;
}

ExperimentData load_experiment_data(const std::filesystem::path& experiment_file) {
  Document document = load_yaml(experiment_file);
  prepare(document);
  ObjectReader reader(document);
  reader.version(kVersion);
  ExperimentConfig config;
  task_field().read(reader, config, false);
  return load_experiment_data(data_fields().read(reader.object("data", true)), config.task);
}

void settle_metrics(RunConfig& run, const models::Blueprint& model) {
  const std::string metric = model.architecture().answers_in_words() ? "gradient" : "lntk";
  const auto settle = [&](std::string& name) {
    if (name == kAutoMetric) name = metric;
  };
  settle(run.score.metric);
  for (Strategy& strategy : run.strategies) settle(strategy.metric);
}

models::Blueprint with_peft(const ExperimentConfig& config, const models::Blueprint& foundation) {
  return peft::with_methods(foundation, config.model.peft, config.file + ": model.peft");
}

void keep_personal(const std::vector<std::string>& names, std::vector<Unit>& units) {
  for (Unit& unit : units) {
    if (std::find(names.begin(), names.end(), unit.name) == names.end()) continue;
    unit.local = state_of(unit);
    unit.bytes = 0;
  }
}

SelectedUnits select_units(const ExperimentConfig& config, const models::Blueprint& model) {
  std::vector<Unit> units = with_context(config.file + ": units.scheme", [&] {
    return peft::scheme_units(model, config.units.scheme, config.units.buffers);
  });
  std::vector<Role> roles;
  for (const Unit& unit : units) roles.push_back(unit.role);
  const UnitChoice choice = choose_units(names_of(units), roles, config.units.wishes);
  SelectedUnits selected;
  for (const std::size_t unit : choice.competing) selected.selectable.push_back(units[unit]);
  for (const std::size_t unit : choice.personal) selected.personal.push_back(units[unit].name);
  keep_personal(selected.personal, units);
  for (const std::size_t unit : choice.always) selected.always.push_back(units[unit]);
  if (selected.selectable.empty())
    throw InputError(config.file + ": units.selectable: the scheme \"" + config.units.scheme +
                     "\" leaves no unit");
  return selected;
}

Json resolved_config(const ExperimentConfig& config, const SelectedUnits& units,
                     const Strategy& strategy, std::uint64_t seed) {
  ExperimentConfig single = config;
  if (!is_undecided(*config.run, strategy)) single.run->local = local_of(*config.run, strategy);
  single.run->strategies = {strategy};
  single.run->strategies.front().learning_rate.reset();  // stands in `local`
  single.run->seeds = {seed};
  return resolved_config(single, units);
}

Json resolved_config(const ExperimentConfig& config, const SelectedUnits& units) {
  ExperimentConfig resolved = config;
  resolved.units.wishes.competing = names_of(units.selectable);
  resolved.units.wishes.always = names_of(units.always);
  resolved.units.wishes.personal = units.personal;
  resolved.pretrain.reset();  // says nothing about a run
  return experiment_fields({}).write(resolved);
}

Json resolved_config(const ExperimentConfig& config) {
  ExperimentConfig resolved = config;
  resolved.pretrain.reset();
  return experiment_fields({}).write(resolved);
}

bool has_modes(const RunConfig& run) {
  return std::any_of(run.strategies.begin(), run.strategies.end(),
                     [](const Strategy& strategy) { return !strategy.mode.empty(); });
}

ExperimentConfig config_of(const ExperimentConfig& config, const Strategy& strategy,
                           std::uint64_t seed) {
  ExperimentConfig single = config;
  single.run->strategies = {strategy};
  single.run->seeds = {seed};
  single.run->strategies.front().mode.clear();
  for (const UnitMode& mode : unit_modes()) {
    if (mode.name != strategy.mode) continue;
    single.units.scheme = mode.scheme;
    single.units.wishes.competing = mode.selectable;
    single.units.wishes.always = mode.always;
    if (mode.pairs) continue;
    std::erase_if(single.model.peft, [](const peft::MethodPtr& method) {
      return method->name() == peft::lora_type().name;
    });
    single.run->server.aggregation.lora = LoraAverage::kFactors;
  }
  return single;
}

std::string documented_keys() {
  std::vector<FieldRow> rows;
  std::string text, section;
  const auto flush = [&] {
    if (!section.empty()) text += "\n### `" + section + "`\n\n";
    text += markdown_table(rows);
    rows.clear();
  };
  for (FieldRow row : experiment_fields({}).rows()) {
    const auto dot = row.key.find('.');
    const std::string of = dot == std::string::npos ? "" : row.key.substr(0, dot);
    if (of != section) flush();
    section = of;
    if (dot != std::string::npos) row.key = row.key.substr(dot + 1);
    rows.push_back(std::move(row));
  }
  flush();
  return text;
}

}  // namespace strata::experiment
