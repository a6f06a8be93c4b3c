#pragma once
/// \file
/// Federated runs: an experiment file in, run folders out (docs/runs.md).
/// \code
/// // `data` is a folder as `strata data make` writes it, `foundation` one of a model.
/// write_file("tiny.yaml", R"(version: 1
/// name: tiny
/// data: {folder: data}
/// model: {folder: foundation}
/// run: {rounds: 2, budget: 1, strategies: [f3ocus], local: {learning_rate: 0.001}}
/// )");
/// RunTools tools;
/// tools.names = {{"lntk"}, {"exact"}, {"knee"}};
/// tools.score = [](const models::Model&, const tasks::Dataset&,
///                  const std::vector<std::string>& units, const ScoreRequest&) {
///   return std::vector<double>(units.size(), 1.0);  // every unit is as important
/// };
/// tools.plan = [](const PlanningProblem& problem, const PlanOptions& options) {
///   return optimizers::make_plan(problem, options);
/// };
/// const std::vector<RunSummary> runs =
///     run_experiment("tiny.yaml", {"run.rounds=1"}, "run", tools, {});
/// assert(runs.size() == 1 && runs[0].rounds == 1 && runs[0].up_mbit_per_round > 0);
/// assert(std::filesystem::exists("run/model/model.safetensors"));
/// \endcode

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "strata/core/plan.h"
#include "strata/core/plan_options.h"
#include "strata/core/planning_problem.h"
#include "strata/core/unit.h"
#include "strata/experiment/tool_names.h"

namespace strata::models {
class Model;   // src/models/model.h
struct Batch;  // src/models/batch.h
}  // namespace strata::models

namespace strata::tasks {
class Dataset;  // src/tasks/dataset.h
class Task;     // src/tasks/task.h
}  // namespace strata::tasks

namespace strata::fedrunner {

/// What the runner asks of a scorer: the value, before normalisation, of each of `units` for one
/// client. With RunOptions::parallel it is called by several threads at once, each with a model of
/// its own.
struct ScoreRequest {
  std::string metric;
  int samples = 0;
  std::uint64_t seed = 0;
  std::string client;                     ///< for messages
  std::vector<std::string> answers = {};  ///< as ntk::ScoreOptions has them
  int top_answers = 8;                    ///< likewise
  int random_outputs = 0;                 ///< likewise
};
using Scorer = std::function<std::vector<double>(
    const models::Model& model, const tasks::Dataset& data, const std::vector<std::string>& units,
    const ScoreRequest& request)>;

/// What the runner asks of a planner. Without `gap` where the importance is a stand-in, because the
/// strategy scores nothing; with `plan.warm`, the search's warm start is the archive of the run's
/// last plan (plan_archive.h).
using Planner = std::function<Plan(const PlanningProblem& problem, const PlanOptions& options)>;

/// What of a plan goes to each client beside it: paths under the given folder, and contents.
/// `peft_config` is the model's adapter_config.json.
using ClientFiles = std::function<std::vector<std::pair<std::filesystem::path, std::string>>(
    const Plan& plan, const std::filesystem::path& folder,
    const std::filesystem::path& peft_config)>;

/// What private training asks for (run.local.private): ⟨gᵢ, gⱼ⟩ of the gradients of the batch's
/// samples' losses over the units' weights together, n × n.
using GradientGram =
    std::function<Eigen::MatrixXd(const models::Model& model, const tasks::Task& task,
                                  const models::Batch& batch, const std::vector<Unit>& units)>;

/// The least noise, over what one client can change, with which a release is (ε, δ)-private.
using NoiseMultiplier = std::function<double(double epsilon, double delta)>;

using experiment::ToolNames;

class Courier;  // fedrunner/courier.h

/// Scorer and planner, handed in so that the runner depends on neither.
struct RunTools {
  ToolNames names;
  Scorer score;
  Planner plan;
  GradientGram gram = {};            ///< asked where clients train privately
  NoiseMultiplier score_noise = {};  ///< asked at sites that count privacy
  ClientFiles client_files = {};     ///< asked where the units hold adapters or LoRA pairs
};

struct RunOptions {
  std::string device = "cpu";
  bool resume = false;
  /// LibTorch's threads, on which the last bits of results depend. 0: as many as the run began with
  /// where it resumes; otherwise, as many as the model and the batch feed (models/thread_count.h),
  /// of the cores that `parallel` leaves to each client.
  int threads = 0;
  /// Clients that score, train and are evaluated at the same time, each with so many threads.
  /// Changes no result for given threads, but with 2 or more peak memory is not measured. 0: 1
  /// where threads are given, and otherwise as many as the threads leave cores.
  int parallel = 1;
  /// A folder for what enters the blocks of a model that are run twice (scores, and training with
  /// gradient_checkpointing), in place of memory; empty: memory. Changes no result.
  std::filesystem::path spill = {};
  /// Orders and replies go through their bytes, as between machines, which changes no result.
  bool encode_messages = false;
  bool log_clients = true;  ///< who holds what
  /// How clients are reached that are not threads of this process (couriers.h); none: they are.
  std::shared_ptr<Courier> remote = nullptr;
  /// Called when a round of a run has been written; round 0 is the evaluation of the foundation.
  /// What it throws ends the experiment, which can then be resumed.
  std::function<void(const std::filesystem::path& run_folder, int round)> after_round;
};

/// The result of one run. Accuracies are values of the task's main metric, NaN where no client has
/// test examples.
struct RunSummary {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

  std::string strategy;
  std::uint64_t seed = 0;
  std::filesystem::path folder;
  std::int64_t trained_parameters = 0;  ///< of the units that its rounds may train
  double learning_rate = kNone;  ///< local; of several, the one that the strategy's trials chose
  int rounds = 0;
  std::string metric = "accuracy";     ///< the task's main one
  double foundation_accuracy = kNone;  ///< "all", round 0
  double final_accuracy = kNone;       ///< "all", last round
  double final_mean_accuracy = kNone;  ///< "mean", last round
  double best_accuracy = kNone;        ///< "all", best round
  int best_round = 0;
  double up_mbit_per_round = 0, down_mbit_per_round = 0;  ///< over all clients
  double seconds = 0;  ///< local training, all clients and rounds
};

/// Runs every strategy × seed of the experiment file, changed by `set` ("run.rounds=10"). One pair:
/// `out` is the run folder. Several: `out` holds one run folder a pair, `<strategy>-seed<seed>`.
///
/// Where `run.local.learning_rate` names several, every strategy first gets the one with which a
/// trial on held-out training examples reached most: `out/trials/` and `out/learning_rates.json`.
///
/// With `model.peft`, every run adds fresh weights from its own seed to the foundation.
///
/// The model, plans, scores and metrics.csv (but for its two measured columns) depend only on the
/// experiment file, the foundation, the data, the device and the number of threads; an interrupted
/// and resumed run ends with the same bytes as an uninterrupted one.
/// @throws InputError before anything is written: a wrong experiment file, data or model, a folder
/// `out` that holds another run, or this one without `resume`. @throws WorkError: a loss that is
/// not finite, a full disk.
std::vector<RunSummary> run_experiment(const std::filesystem::path& experiment_file,
                                       const std::vector<std::string>& set,
                                       const std::filesystem::path& out, const RunTools& tools,
                                       const RunOptions& options);

}  // namespace strata::fedrunner
