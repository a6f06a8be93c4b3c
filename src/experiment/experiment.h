#pragma once
/// \file
/// The experiment file (docs/runs.md), read, checked and resolved. A file a section; each section
/// has one list of its keys (core/fields.h).

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/document.h"
#include "experiment/answering_section.h"
#include "experiment/data_section.h"
#include "experiment/model_section.h"
#include "experiment/pretrain_section.h"
#include "experiment/run_section.h"
#include "experiment/units_section.h"
#include "strata/core/unit.h"
#include "strata/experiment/tool_names.h"

namespace strata::experiment {

struct ExperimentConfig {
  std::string file;
  std::string name;
  std::string task = "auto";          ///< one of tasks::task_names()
  tasks::AnsweringOptions answering;  ///< of a model that speaks
  DataConfig data;
  ModelConfig model;
  UnitsConfig units;
  std::optional<PretrainConfig> pretrain;
  std::optional<RunConfig> run;
};

/// Reads and checks all that can be checked without data and model. @throws InputError
ExperimentConfig read_experiment_file(const std::filesystem::path& file,
                                      const std::vector<std::string>& set, const ToolNames& names);

/// The same of a file that has been parsed. @throws InputError
ExperimentConfig read_experiment(Document document, const ToolNames& names);

/// The data of an experiment file of which only `data` is read and checked, as `strata score` needs
/// it. @throws InputError
ExperimentData load_experiment_data(const std::filesystem::path& experiment_file);

/// Puts the metric that is the model's default in the place of kAutoMetric.
void settle_metrics(RunConfig& run, const models::Blueprint& model);

/// The foundation with the experiment's PEFT methods. @throws InputError where it has one of them
/// already, or one does not fit.
models::Blueprint with_peft(const ExperimentConfig& config, const models::Blueprint& foundation);

/// The units of a model as the experiment names them, bottom to top.
struct SelectedUnits {
  std::vector<Unit> selectable, always;
  /// Names of those always trained that every client keeps to itself: all that they hold is in
  /// Unit::local, and Unit::bytes is 0 (FedPer: Arivazhagan et al., arXiv 1912.00818).
  std::vector<std::string> personal = {};
};
/// Makes units with these names personal.
void keep_personal(const std::vector<std::string>& names, std::vector<Unit>& units);
/// @throws InputError: a scheme that the model cannot have, an unknown unit (with the nearest), one
/// that is both selectable and always trained or personal, nothing selectable.
SelectedUnits select_units(const ExperimentConfig& config, const models::Blueprint& model);

/// The experiment file of one strategy and one seed, with every default filled in and the units
/// spelled out: what a run folder's config.yaml holds. `config` has a `run`.
Json resolved_config(const ExperimentConfig& config, const SelectedUnits& units,
                     const Strategy& strategy, std::uint64_t seed);
/// The same of a whole experiment.
Json resolved_config(const ExperimentConfig& config, const SelectedUnits& units);
/// The same where strategies have units of their own: what the configuration says of others stays.
Json resolved_config(const ExperimentConfig& config);

/// Whether a strategy has units of its own (Strategy::mode).
bool has_modes(const RunConfig& run);
/// One strategy's configuration, with one seed: `units` are its own, `model.peft` and `server.lora`
/// have LoRA pairs where its mode does, and no strategy has a mode.
ExperimentConfig config_of(const ExperimentConfig& config, const Strategy& strategy,
                           std::uint64_t seed);

/// The keys of an experiment file in Markdown, a table a section: what docs/runs.md holds.
std::string documented_keys();

}  // namespace strata::experiment
