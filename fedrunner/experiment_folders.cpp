#include "fedrunner/experiment_folders.h"

#include <limits>

#include "core/document.h"
#include "core/folder_lock.h"
#include "core/yaml_text.h"
#include "fedrunner/run_folder.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::fedrunner {
namespace {

std::vector<PlannedRun> planned_runs(const RunConfig& run, const std::filesystem::path& out) {
  std::vector<PlannedRun> runs;
  for (const auto& strategy : run.strategies) {
    for (const auto seed : run.seeds)
      runs.push_back({strategy, seed, out / run_folder_name(strategy.name, seed)});
  }
  if (runs.size() == 1) runs.front().folder = out;
  return runs;
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

}  // namespace

ExperimentFolders::ExperimentFolders(const experiment::ExperimentConfig& config,
                                     const std::filesystem::path& out, bool resume)
    : config_(config), out_(out), resume_(resume), runs_(planned_runs(*config.run, out)) {
  if (resume) single_ = single_run(runs_, out);
  refuse_locked_folder(out);
  for (const auto& run : runs_) {
    folders_.push_back(is_single(run) ? out : run.folder);
    refuse_locked_folder(folders_.back());
  }
}

void ExperimentFolders::check(const SelectedUnits& units) const {
  if (runs_.size() > 1 && (!single_ || std::filesystem::exists(out_ / "experiment.yaml")))
    check_folder(out_, "experiment.yaml", resolved_config(config_, units), resume_);
  for (const auto& run : runs_) {
    const Json wanted = resolved_config(config_, units, run.strategy, run.seed);
    if (is_single(run) && std::filesystem::exists(out_ / "config.yaml")) {
      check_run_file(out_ / "config.yaml", wanted, true);
    } else {
      check_folder(run.folder, "config.yaml", wanted, resume_);
    }
  }
}

void ExperimentFolders::check_foundation(const models::Model& foundation,
                                         const std::string& fingerprint) const {
  for (const auto& folder : folders_) {
    const auto file = folder / "run.json";
    if (!std::filesystem::exists(file)) continue;
    const auto document = load_json(file);
    const std::string began = ObjectReader(document).text("foundation");
    if (began != fingerprint && began != foundation.earlier_fingerprint()) {
      throw InputError(file.string() +
                       ": the run started from another foundation than the one in " +
                       config_.model.folder + "; choose another --out");
    }
  }
}

int ExperimentFolders::recorded_threads() const {
  if (!resume_) return 0;
  for (const auto& folder : folders_) {
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

void ExperimentFolders::begin(const SelectedUnits& units) const {
  if (runs_.size() == 1) return;
  remove_temporaries(out_, /*below=*/false);
  write_file(out_ / "experiment.yaml", to_yaml(resolved_config(config_, units)));
  if (single_) move_run(out_, single_->folder);
}

}  // namespace strata::fedrunner
