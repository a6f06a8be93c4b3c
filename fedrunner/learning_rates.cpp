#include "fedrunner/learning_rates.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/console.h"
#include "core/csv.h"
#include "core/document.h"
#include "fedrunner/publish.h"
#include "fedrunner/round_updates.h"
#include "fedrunner/run_folder.h"
#include "fedrunner/setup.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/fedrunner/metrics.h"

namespace strata::fedrunner {

using namespace experiment;

namespace {

/// NaN: diverged, or there was nothing to evaluate on.
struct Trial {
  double learning_rate = 0;
  std::string folder;  ///< under the experiment's
  double score = std::numeric_limits<double>::quiet_NaN();
  double loss = std::numeric_limits<double>::quiet_NaN();

  bool is_better_than(const Trial& other) const {
    if (std::isnan(score) || std::isnan(other.score)) return !std::isnan(score);
    if (score != other.score) return score > other.score;
    return loss < other.loss;
  }
};

struct Search {
  std::string strategy, by;
  std::vector<Trial> trials;  ///< by ascending rate
  std::size_t best = 0;
};

ExperimentConfig trial_of(const ExperimentConfig& config, const Strategy& strategy, double rate) {
  ExperimentConfig trial = config;
  trial.data.partition.evaluate_on = data::EvaluateOn::kValidation;
  RunConfig& run = *trial.run;
  run.strategies = {strategy};
  run.strategies.front().learning_rate = rate;
  run.local = local_of(run, run.strategies.front());
  run.seeds.resize(1);
  run.evaluate_every = run.rounds;
  run.save = SaveModel::kNever;
  return trial;
}

bool is_complete(const ExperimentConfig& wanted, const std::filesystem::path& folder) {
  const auto run_json = folder / "run.json";
  if (!std::filesystem::exists(run_json)) return false;
  ExperimentConfig trial =
      config_of(wanted, wanted.run->strategies.front(), wanted.run->seeds.front());
  const Wanted selected = select_wanted(trial);
  settle_metrics(*trial.run, selected.blueprint);
  const RunConfig& run = *trial.run;
  check_run_file(folder / "config.yaml",
                 resolved_config(trial, selected.units, run.strategies.front(), run.seeds.front()),
                 true);
  const Document document = load_json(run_json);
  return document.root.value("status", "") == kDone;
}

/// What the trial reached in the end, and by which metric.
std::string read_trial(const std::filesystem::path& folder, const std::string& by, Trial& trial) {
  const RoundTable table = read_metrics(folder / "metrics.csv");
  const std::string metric = by.empty() ? table.metrics.front() : by;
  for (const RoundMetrics& row : table.rows) {
    if (row.client != kAllRow || row.round == 0) continue;
    trial.score = row.values[table.column(metric)];
    trial.loss = row.test_loss;
  }
  return metric;
}

Search search(const ExperimentConfig& config, const Strategy& strategy,
              const std::filesystem::path& out, bool resume, const RunTrial& run_trial) {
  Search result{strategy.name, config.run->local.chosen_by, {}};
  for (const double rate : config.run->local.learning_rates) {
    Trial trial{rate, std::string(kTrials) + "/" + strategy.name + "-" + format_double(rate)};
    const ExperimentConfig trial_config = trial_of(config, strategy, rate);
    const auto folder = out / trial.folder;
    try {
      if (!resume || !is_complete(trial_config, folder)) run_trial(trial_config, folder);
      result.by = read_trial(folder, config.run->local.chosen_by, trial);
    } catch (const Diverged& error) {
      log_info("learning rate " + format_double(rate) + ": " + error.what());
    }
    result.trials.push_back(trial);
    if (trial.is_better_than(result.trials[result.best])) result.best = result.trials.size() - 1;
  }
  if (std::isnan(result.trials[result.best].score))
    throw Diverged(config.file + ": run.local.learning_rate: no training of the strategy " +
                   strategy.name + " stayed finite with any of " +
                   std::to_string(result.trials.size()) + " learning rates");
  return result;
}

Json to_json(const Search& search) {
  Json trials = Json::array();
  for (const Trial& trial : search.trials)
    trials.push_back({{"learning_rate", trial.learning_rate},
                      {search.by, number_or_null(trial.score)},
                      {"loss", number_or_null(trial.loss)},
                      {"folder", trial.folder}});
  return {{"strategy", search.strategy},
          {"learning_rate", search.trials[search.best].learning_rate},
          {"by", search.by},
          {"trials", trials}};
}

void log_choice(const Search& search) {
  const Trial& best = search.trials[search.best];
  const bool at_edge = search.best == 0 || search.best + 1 == search.trials.size();
  log_info("strategy " + search.strategy + ": learning rate " + format_double(best.learning_rate) +
           " of " + std::to_string(search.trials.size()) + ", " + search.by + " " +
           fixed(best.score, 4) + " on validation examples" +
           (at_edge ? "; it is the " + std::string(search.best == 0 ? "lowest" : "highest") +
                          " of them, so that others beyond may be better"
                    : ""));
}

}  // namespace

bool searches_learning_rates(const RunConfig& run) {
  return std::any_of(run.strategies.begin(), run.strategies.end(),
                     [&](const Strategy& strategy) { return is_undecided(run, strategy); });
}

void choose_learning_rates(ExperimentConfig& config, const std::filesystem::path& out, bool resume,
                           const RunTrial& run_trial) {
  const auto file = out / kLearningRates;
  if (resume && !std::filesystem::exists(file) && !std::filesystem::exists(out / kTrials) &&
      (std::filesystem::exists(out / "config.yaml") ||
       std::filesystem::exists(out / "experiment.yaml")))
    throw InputError(
        out.string() +
        ": the folder holds a run whose learning rate was not chosen by trials; choose "
        "another --out");
  Json searches = Json::array();
  std::vector<Strategy> decided = config.run->strategies;
  for (Strategy& strategy : decided) {
    if (!is_undecided(*config.run, strategy)) continue;
    const Search found = search(config, strategy, out, resume, run_trial);
    log_choice(found);
    strategy.learning_rate = found.trials[found.best].learning_rate;
    strategy.rate_chosen = true;
    searches.push_back(to_json(found));
  }
  config.run->strategies = std::move(decided);
  write_file(
      file,
      Json{{"version", 1}, {"seed", config.run->seeds.front()}, {"strategies", searches}}.dump(1) +
          "\n");
}

}  // namespace strata::fedrunner
