#include "strata/fedrunner/run.h"

#include <cmath>
#include <iostream>

#include "cli/adapter_config.h"
#include "cli/command_line.h"
#include "cli/run_tools.h"
#include "cli/runner_names.h"
#include "core/console.h"
#include "core/document.h"
#include "core/interrupt.h"
#include "models/model.h"
#include "strata/core/error.h"
#include "strata/fedrunner/couriers.h"
#include "strata/ntk/private_scores.h"
#include "strata/ntk/score.h"
#include "strata/optimizers/algorithms.h"
#include "strata/optimizers/choose.h"
#include "strata/optimizers/make_plan.h"

namespace strata::cli {

fedrunner::RunTools run_tools() {
  fedrunner::RunTools tools;
  tools.names = runner_names();
  tools.score = [](const models::Model& model, const tasks::Dataset& data,
                   const std::vector<std::string>& units, const fedrunner::ScoreRequest& request) {
    ntk::ScoreOptions options;
    options.metric = request.metric;
    options.samples = request.samples;
    options.seed = request.seed;
    options.answers = request.answers;
    options.top_answers = request.top_answers;
    options.random_outputs = request.random_outputs;
    options.progress = [](std::int64_t, std::int64_t, const std::string&) {
      stop_if_interrupted();
    };
    std::vector<Unit> scored;
    for (const std::string& name : units) scored.push_back(model.unit(name));
    const auto scores = ntk::score_units(model, data, scored, options);
    std::vector<double> values;
    for (std::size_t unit = 0; unit < scores.size(); ++unit) {
      values.push_back(scores[unit].value);
      if (!scores[unit].ok()) {
        log_warning("client " + request.client + ": the " + request.metric + " of unit \"" +
                    units[unit] + "\": " + scores[unit].status);
      }
    }
    return values;
  };
  tools.gram = ntk::loss_gradient_gram;
  tools.score_noise = ntk::gaussian_multiplier;
  tools.plan = optimizers::make_plan;
  tools.client_files = [](const Plan& plan, const std::filesystem::path& folder,
                          const std::filesystem::path& peft_config) {
    const std::string model = peft_config.parent_path().string();
    if (!has_adapter_family(model))
      return std::vector<std::pair<std::filesystem::path, std::string>>();
    AdapterConfigOptions options;
    options.family = adapter_family(model);
    options.config = peft_config;
    options.warn = false;
    options.always = false;
    return adapter_configs(plan, folder, options);
  };
  return tools;
}

namespace {

std::string table(const std::vector<fedrunner::RunSummary>& summaries) {
  const std::string metric = summaries.empty() ? "accuracy" : summaries.front().metric;
  TextTable table({"strategy", "seed", "rounds", "start", metric, "mean", "best", "in round",
                   "MBit up/round", "MBit down/round", "seconds"});
  const auto shown = [](double value) { return std::isnan(value) ? "–" : fixed(value, 4); };
  for (const auto& run : summaries) {
    table.row({run.strategy, std::to_string(run.seed), std::to_string(run.rounds),
               shown(run.foundation_accuracy), shown(run.final_accuracy),
               shown(run.final_mean_accuracy), shown(run.best_accuracy),
               std::to_string(run.best_round), fixed(run.up_mbit_per_round, 2),
               fixed(run.down_mbit_per_round, 2), fixed(run.seconds, 1)});
  }
  return table.str();
}

Json to_json(const std::vector<fedrunner::RunSummary>& summaries) {
  Json runs = Json::array();
  for (const auto& run : summaries) {
    runs.push_back({{"strategy", run.strategy},
                    {"seed", run.seed},
                    {"learning_rate", run.learning_rate},
                    {"folder", run.folder.string()},
                    {"rounds", run.rounds},
                    {"foundation_accuracy", number_or_null(run.foundation_accuracy)},
                    {"accuracy", number_or_null(run.final_accuracy)},
                    {"mean_accuracy", number_or_null(run.final_mean_accuracy)},
                    {"best_accuracy", number_or_null(run.best_accuracy)},
                    {"best_round", run.best_round},
                    {"up_mbit_per_round", run.up_mbit_per_round},
                    {"down_mbit_per_round", run.down_mbit_per_round},
                    {"seconds", run.seconds}});
  }
  return {{"version", 1}, {"runs", runs}};
}

}  // namespace

fedrunner::ToolNames runner_names() {
  fedrunner::ToolNames names{ntk::metric_names(), optimizers::algorithm_names(),
                             optimizers::choice_rules(), optimizers::check_choice};
  for (const auto& name : names.algorithms) {
    const auto* algorithm = optimizers::find_algorithm(name);
    if (algorithm && algorithm->kind == AlgorithmKind::kExact) names.count_units.push_back(name);
    // auto takes what can.
    if (!algorithm || algorithm->ranks) names.plan_ranks.push_back(name);
    if (!algorithm || algorithm->rank_costs) names.plan_rank_costs.push_back(name);
  }
  return names;
}

fedrunner::RunOptions run_options(const RunArguments& arguments) {
  fedrunner::RunOptions options;
  options.device = arguments.device;
  options.resume = arguments.resume;
  options.threads = arguments.threads;
  options.parallel = arguments.parallel;
  options.spill = arguments.spill;
  return options;
}

int run_run(const RunArguments& arguments, const CommonArguments& common) {
  const fedrunner::RunTools tools = run_tools();
  auto options = run_options(arguments);
  const auto courier = fedrunner::open_courier(arguments.courier, tools, options);
  if (courier.only_works) return kExitDone;
  options.remote = courier.remote;
  const auto summaries =
      fedrunner::run_experiment(arguments.config, arguments.set, arguments.out, tools, options);
  if (courier.speaks) {
    std::cout << to_json(summaries).dump() << std::endl;  // one line, as those before it
  } else if (common.json) {
    std::cout << printable_json(to_json(summaries).dump(1)) << std::endl;
  } else if (!common.quiet) {
    std::cout << table(summaries) << std::flush;
  }
  return kExitDone;
}

}  // namespace strata::cli
