// What federated rounds and partial training cost, on phantoms and a ViLT with fresh weights.
//
// Rounds: seconds of a whole round of run_experiment over those of its bare training steps:
// forward, cross-entropy, backward, clipping and AdamW as LibTorch has them, on batches made
// beforehand and from the same weights. After every round the run waits while its steps are
// repeated bare and by train(), in turns as to which goes first. A round is held against the mean
// of the repetitions before and after it, so that a machine that slows down steadily is no
// overhead; the median of the rounds counts. The first round, which scores, and the last, which is
// evaluated, are left out: these are work of their own and listed beside.
//
// Steps: seconds and memory of a training step by the lowest trained unit (a block with the head,
// the head, everything) beside what training_cost predicts, shares in processor time. Memory is
// what the process grows by at most from what it holds idle; the prediction leaves out the weights,
// which it holds anyway. It is measured twice: as it is, and with every block of 128 KiB or more
// mapped and returned on its own (mallopt), which is slower but leaves no holes in glibc's heap:
// the latter is what the tensors take.
//
// Clients: seconds of a round with one client after another, on one thread and on all cores, and
// with as many clients side by side as there are cores, on one thread each. Three runs in turns,
// twice; their first round, which scores, and their last, which is evaluated, are left out.
//
// `bench_round --folder FOLDER --prepare` writes data, foundation and the batches of the steps for
// bench/peers/round.py; `--folder FOLDER --only steps` then takes the same.

#include <malloc.h>
#include <torch/nn/utils/clip_grad.h>
#include <torch/optim/adamw.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <thread>

#include "cli/report_errors.h"
#include "core/console.h"
#include "core/provenance.h"
#include "data/phantoms/phantoms.h"
#include "experiment/experiment.h"
#include "fedrunner/aggregation.h"
#include "fedrunner/run_folder.h"
#include "fedrunner/training.h"
#include "models/cost.h"
#include "models/device.h"
#include "models/tokenizer_files.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "strata/core/safetensors.h"
#include "strata/fedrunner/metrics.h"
#include "strata/fedrunner/round_folder.h"
#include "strata/fedrunner/run.h"
#include "strata/ntk/score.h"
#include "strata/optimizers/make_plan.h"
#include "support/tiny_model.h"
#include "tasks/dataset.h"
#include "tasks/task.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::cli;
using namespace strata::data;
using namespace strata::experiment;
using namespace strata::fedrunner;
using namespace strata::models;
using namespace strata::ntk;
using namespace strata::optimizers;
using Row = nlohmann::ordered_json;

namespace {

constexpr double kMiB = 1 << 20;
constexpr std::int64_t kImageSize = 64;

struct Shape {
  std::int64_t hidden, layers, heads, intermediate, patch, clients;
  std::int64_t steps;  ///< of a client in a round, or in one measurement of steps
};

struct Options {
  int budget = 4, batch = 32, repetitions = 5, threads = 1;
};

/// Seconds since it was made: by the clock, and of this process on the processors.
struct Stopwatch {
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
  std::clock_t cpu_begin = std::clock();

  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
  double cpu_seconds() const {
    return static_cast<double>(std::clock() - cpu_begin) / CLOCKS_PER_SEC;
  }
};

double least(const std::vector<double>& values) {
  return *std::min_element(values.begin(), values.end());
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

TrainingOptions training_options(const Options& options) {
  TrainingOptions training;
  training.batch_size = options.batch;
  training.learning_rate = 1e-3;
  return training;
}

/// Data, a foundation with fresh weights and an experiment file.
void prepare(const std::filesystem::path& folder, const Shape& shape, const Options& options) {
  PhantomOptions phantoms;
  phantoms.images_per_modality = 40;
  phantoms.shapes_images = 10;
  phantoms.size = kImageSize;
  phantoms.threads = options.threads;
  const Manifest manifest = make_phantoms(folder / "data", phantoms);
  std::vector<std::string> questions;
  for (const Example& example : manifest.examples) questions.push_back(example.question);
  const WordPiece tokenizer(build_vocabulary(questions));
  test::ModelShape config;
  config.vocab_size = static_cast<std::int64_t>(tokenizer.vocabulary().size());
  config.max_position_embeddings = 16;
  config.hidden_size = shape.hidden;
  config.num_hidden_layers = shape.layers;
  config.num_attention_heads = shape.heads;
  config.intermediate_size = shape.intermediate;
  config.image_size = kImageSize;
  config.patch_size = shape.patch;
  config.scaled_initialization = true;
  config.labels = manifest.answers();
  peft::save_model(test::make_model(config, 1), folder / "foundation");
  save_tokenizer(tokenizer, *config.architecture(), folder / "foundation");

  const auto text = [](std::int64_t number) { return std::to_string(number); };
  // The number of rounds is set with the run. Scores are taken in the first round alone, and only
  // the last is evaluated.
  write_file(
      folder / "experiment.yaml",
      "version: 1\nname: bench\ndata: {folder: " + (folder / "data").string() +
          ", partition: iid, clients: " + text(shape.clients) +
          "}\nmodel: {folder: " + (folder / "foundation").string() +
          "}\nunits: {selectable: blocks, always: [head]}\nrun:\n  strategies: [f3ocus]\n" +
          "  rounds: 1\n  budget: " + text(options.budget) +
          "\n  score: {samples: 4, every: 99999}\n  plan: {algorithm: exact, choose: knee}\n" +
          "  local: {steps: " + text(shape.steps) + ", batch_size: " + text(options.batch) +
          ", learning_rate: 0.001}\n  evaluate_every: 99999\n");
}

/// The batches that train() takes from `data` with this seed.
std::vector<Batch> batches_of(const tasks::Dataset& data, std::int64_t steps,
                              std::int64_t batch_size, std::uint64_t seed) {
  Random random(seed);
  std::vector<std::int64_t> order(static_cast<std::size_t>(data.size()));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  const std::int64_t epoch = steps_per_epoch(data.size(), batch_size);
  std::vector<Batch> batches;
  for (std::int64_t step = 0; step < steps; ++step) {
    if (step % epoch == 0) random.shuffle(order);
    const std::int64_t first = step % epoch * batch_size;
    const std::int64_t last = std::min(data.size(), first + batch_size);
    batches.push_back(data.batch({order.begin() + first, order.begin() + last}, torch::kCPU));
  }
  return batches;
}

/// The mean loss of training steps as LibTorch's users write them.
double bare_steps(Model& model, const std::vector<Batch>& batches,
                  const std::vector<std::string>& units, const TrainingOptions& options) {
  model.train_only(units);
  std::vector<torch::Tensor> weights;
  for (const std::string& name : units) {
    for (const auto& weight : model.weights_of(model.unit(name))) weights.push_back(weight);
  }
  torch::optim::AdamW optimizer(
      weights,
      torch::optim::AdamWOptions(options.learning_rate).weight_decay(options.weight_decay));
  torch::Tensor total = torch::zeros({}, torch::kFloat64);
  for (const Batch& batch : batches) {
    optimizer.zero_grad();
    const auto loss = torch::cross_entropy_loss(model.forward(batch), batch.labels);
    loss.backward();
    torch::nn::utils::clip_grad_norm_(weights, options.clip_norm);
    optimizer.step();
    total += loss.detach();
  }
  model.train_only({});
  return total.item<double>() / static_cast<double>(batches.size());
}

/// What the run spends in scorer and planner.
struct ToolSeconds {
  double score = 0, score_cpu = 0, plan = 0;
};

RunTools timed_tools(ToolSeconds& seconds) {
  RunTools tools;
  tools.names = {{"lntk"}, {"exact"}, {"knee"}};
  tools.score = [&](const Model& model, const tasks::Dataset& data,
                    const std::vector<std::string>& units, const ScoreRequest& request) {
    const Stopwatch watch;
    ScoreOptions options;
    options.samples = request.samples;
    options.seed = request.seed;
    std::vector<Unit> scored;
    for (const std::string& name : units) scored.push_back(model.unit(name));
    std::vector<double> values;
    for (const UnitScore& score : score_units(model, data, scored, options))
      values.push_back(score.value);
    static std::mutex mutex;  // clients side by side score at the same time
    const std::lock_guard<std::mutex> lock(mutex);
    seconds.score += watch.seconds();
    seconds.score_cpu += watch.cpu_seconds();
    return values;
  };
  tools.plan = [&](const PlanningProblem& problem, const PlanOptions& request) {
    const Stopwatch watch;
    Plan plan = make_plan(problem, request);
    seconds.plan += watch.seconds();
    return plan;
  };
  return tools;
}

Row describe(const test::ModelShape& config, std::int64_t text_tokens, const Shape& shape,
             const Options& options) {
  return {{"hidden", config.hidden_size},
          {"layers", config.num_hidden_layers},
          {"tokens", config.patches() + 1 + text_tokens},
          {"batch", options.batch},
          {"steps", shape.steps},
          {"threads", options.threads},
          {"repetitions", options.repetitions}};
}

/// The rounds of one run and, after each, its training steps once more.
class RoundBench {
 public:
  RoundBench(const std::filesystem::path& folder, const Shape& shape, const Options& options)
      : folder_(folder),
        shape_(shape),
        options_(options),
        training_(training_options(options)),
        model_(peft::load_model(folder / "foundation")),
        start_(model_.state()) {
    const ExperimentData data = load_experiment_data(folder / "experiment.yaml");
    const WordPiece tokenizer = load_tokenizer(folder / "foundation");
    for (const auto& part : data.partition.clients) {
      const tasks::Source source{data.manifest, model_.blueprint(), tokenizer};
      train_.push_back(data.task->encode(part.train, source));
      test_.push_back(data.task->encode(part.test, source));
    }
  }

  Row run() {
    RunOptions run_options;
    run_options.threads = at::get_num_threads();
    run_options.after_round = [&](const std::filesystem::path& run_folder, int round) {
      Repetition repetition;
      repetition.round = watch_.seconds() - tools_.score;
      repetition.round_cpu = watch_.cpu_seconds() - tools_.score_cpu;
      repetition.plan = tools_.plan;
      if (round == 1) score_seconds_ = tools_.score;
      if (round >= 1 && round <= options_.repetitions + 1) {
        repeat(read_plan(round_folder(run_folder, round) / "plan.json"), round, repetition);
        repetitions_.push_back(repetition);
        const RunState state = read_state(run_folder, trained()).value();
        for (const auto& [name, weight] : state.weights) start_[name] = weight;
      }
      tools_ = {};
      watch_ = {};
    };
    std::filesystem::remove_all(folder_ / "run");
    run_experiment(folder_ / "experiment.yaml",
                   {"run.rounds=" + std::to_string(options_.repetitions + 2)}, folder_ / "run",
                   timed_tools(tools_), run_options);
    return result();
  }

 private:
  /// Seconds of a round, and of the same work once more.
  struct Repetition {
    double round = 0, round_cpu = 0, plan = 0, bare = 0, bare_cpu = 0, train = 0, batches = 0,
           aggregation = 0;
  };

  /// What the run's units, blocks and head, begin a round with.
  ModelState trained() const {
    ModelState state;
    for (const Unit& unit : model_.units()) {
      if (unit.role == Role::kEmbeddings) continue;
      for (const std::string& name : unit.parameters) state[name] = start_.at(name);
    }
    return state;
  }

  /// Trains what the round trained, bare and by train(), in turns as to which goes first.
  void repeat(const Plan& plan, int round, Repetition& repetition) {
    std::vector<ClientUpdate> updates;
    for (std::size_t i = 0; i < train_.size(); ++i) {
      auto units = plan.units_of(static_cast<int>(i));
      units.push_back("head");
      const auto seed = static_cast<std::uint64_t>(1000 * round) + i;
      const Stopwatch making;
      const auto batches = batches_of(*train_[i], shape_.steps, options_.batch, seed);
      repetition.batches += making.seconds();
      double losses[2] = {};
      for (int turn = 0; turn < 2; ++turn) {
        const bool is_bare = (turn + round) % 2 == 0;
        model_.load_state(start_);
        const Stopwatch watch;
        losses[is_bare] = is_bare ? bare_steps(model_, batches, units, training_)
                                  : train(model_, *train_[i], units, shape_.steps, training_, seed);
        (is_bare ? repetition.bare : repetition.train) += watch.seconds();
        if (is_bare) repetition.bare_cpu += watch.cpu_seconds();
      }
      if (std::abs(losses[0] - losses[1]) > 1e-3 * losses[1])
        throw WorkError("bare steps and train() do not do the same: losses " +
                        std::to_string(losses[1]) + " and " + std::to_string(losses[0]));
      ClientUpdate update;
      update.client = plan.clients[i];
      update.samples = train_[i]->size();
      update.units = units;
      for (const std::string& name : units) {
        for (const std::string& weight : model_.unit(name).parameters)
          update.weights[weight] = model_.weight(weight).detach().clone();
      }
      updates.push_back(std::move(update));
    }
    ModelState global = start_;
    const Stopwatch watch;
    ServerMoments moments;
    aggregate(global, model_.units(), updates, {}, {}, moments);
    repetition.aggregation = watch.seconds();
  }

  Row result() const {
    std::vector<double> locals;
    for (const RoundMetrics& row : read_metrics(folder_ / "run" / "metrics.csv").rows) {
      if (row.client == "all" && row.round >= 1) locals.push_back(row.seconds);
    }
    std::vector<Row> rounds;
    std::map<std::string, std::vector<double>> parts;
    for (std::size_t k = 1; k < repetitions_.size(); ++k) {
      const Repetition &before = repetitions_[k - 1], &now = repetitions_[k];
      const double bare = (before.bare + now.bare) / 2;
      const double bare_cpu = (before.bare_cpu + now.bare_cpu) / 2;
      Row row = {{"round", k + 1},
                 {"round_seconds", now.round},
                 {"bare_seconds", bare},
                 {"overhead", now.round / bare - 1},
                 {"cpu_overhead", now.round_cpu / bare_cpu - 1},
                 {"train_overhead", (before.train + now.train) / 2 / bare - 1}};
      for (const auto& [key, value] : row.items()) parts[key].push_back(value.get<double>());
      rounds.push_back(std::move(row));
      parts["local_seconds"].push_back(locals.at(k));
      parts["train_seconds"].push_back((before.train + now.train) / 2);
      parts["batch_seconds"].push_back(now.batches);
      parts["plan_seconds"].push_back(now.plan);
      parts["aggregation_seconds"].push_back(now.aggregation);
      parts["rest_seconds"].push_back(now.round - locals[k] - now.plan - now.aggregation);
    }
    const Stopwatch watch;
    for (const auto& test : test_) test->task().evaluate(model_, *test);
    const double evaluation = watch.seconds();
    std::int64_t tokens = 0;
    for (const auto& train : train_) tokens = std::max(tokens, train->max_tokens());
    Row row = describe(test::shape_of(model_), tokens, shape_, options_);
    row["clients"] = shape_.clients;
    row["budget"] = options_.budget;
    for (const char* key : {"round_seconds", "bare_seconds", "overhead", "cpu_overhead",
                            "train_overhead", "local_seconds", "train_seconds", "batch_seconds",
                            "plan_seconds", "aggregation_seconds", "rest_seconds"})
      row[key] = median(parts.at(key));
    row["score_seconds"] = score_seconds_;
    row["evaluation_seconds"] = evaluation;
    row["rounds"] = rounds;
    return row;
  }

  const std::filesystem::path folder_;
  const Shape shape_;
  const Options options_;
  const TrainingOptions training_;
  Model model_;
  ModelState start_;  ///< the weights that the next round begins with
  std::vector<std::shared_ptr<const tasks::Dataset>> train_, test_;
  ToolSeconds tools_;
  Stopwatch watch_;
  double score_seconds_ = 0;
  std::vector<Repetition> repetitions_;  ///< of rounds 1, 2, …
};

/// Every block with the head, the head alone, and every unit.
std::vector<std::pair<std::string, std::vector<std::string>>> unit_sets(const Model& model) {
  std::vector<std::pair<std::string, std::vector<std::string>>> sets;
  std::vector<std::string> everything;
  for (const Unit& unit : model.units()) {
    everything.push_back(unit.name);
    if (unit.name.rfind("block.", 0) == 0) sets.push_back({unit.name, {unit.name, "head"}});
  }
  sets.push_back({"head", {"head"}});
  sets.push_back({"everything", everything});
  return sets;
}

std::unique_ptr<tasks::Dataset> first_client(const std::filesystem::path& folder,
                                             const Blueprint& blueprint) {
  const ExperimentData data = load_experiment_data(folder / "experiment.yaml");
  const data::WordPiece tokenizer = load_tokenizer(folder / "foundation");
  return data.task->encode(data.partition.clients.front().train,
                           {data.manifest, blueprint, tokenizer});
}

std::vector<Row> measure_steps(const std::filesystem::path& folder, const Shape& shape,
                               const Options& options) {
  Model model = peft::load_model(folder / "foundation");
  const ModelState fresh = model.state();
  const auto data = first_client(folder, model.blueprint());
  const auto sets = unit_sets(model);
  const TrainingOptions training = training_options(options);
  // The warm-up brings what the libraries keep.
  train(model, *data, sets.back().second, 1, training, 1);

  std::vector<std::vector<double>> seconds(sets.size()), cpu_seconds(sets.size()),
      growth(sets.size());
  std::vector<double> losses(sets.size());
  for (int repetition = 0; repetition < options.repetitions; ++repetition) {
    for (std::size_t k = 0; k < sets.size(); ++k) {
      model.load_state(fresh);
      malloc_trim(0);
      reset_peak_memory(torch::kCPU);
      const std::int64_t idle = peak_memory(torch::kCPU);
      const Stopwatch watch;
      losses[k] = train(model, *data, sets[k].second, shape.steps, training, 1);
      seconds[k].push_back(watch.seconds() / static_cast<double>(shape.steps));
      cpu_seconds[k].push_back(watch.cpu_seconds() / static_cast<double>(shape.steps));
      growth[k].push_back(static_cast<double>(peak_memory(torch::kCPU) - idle) / kMiB);
    }
  }

  // Last, as there is no way back to what malloc does by itself.
  mallopt(M_MMAP_THRESHOLD, 1 << 17);
  std::vector<double> tensors;
  for (const auto& [lowest, units] : sets) {
    model.load_state(fresh);
    malloc_trim(0);
    reset_peak_memory(torch::kCPU);
    const std::int64_t idle = peak_memory(torch::kCPU);
    train(model, *data, units, 2, training, 1);
    tensors.push_back(static_cast<double>(peak_memory(torch::kCPU) - idle) / kMiB);
  }

  std::vector<TrainingCost> costs;
  for (const auto& [lowest, units] : sets) {
    std::set<std::string> trained;
    for (const std::string& name : units) {
      const auto& parameters = model.unit(name).parameters;
      trained.insert(parameters.begin(), parameters.end());
    }
    costs.push_back(training_cost(model.blueprint(), data->max_tokens(), trained));
  }
  const auto flops = [](const TrainingCost& cost) {
    return cost.forward_flops + cost.backward_flops;
  };
  std::vector<Row> rows;
  for (std::size_t k = 0; k < sets.size(); ++k) {
    Row row = describe(test::shape_of(model), data->max_tokens(), shape, options);
    row["lowest"] = sets[k].first;
    row["parameters"] = costs[k].parameters;
    row["seconds"] = least(seconds[k]);
    row["cpu_seconds"] = least(cpu_seconds[k]);
    row["over_everything"] = least(cpu_seconds[k]) / least(cpu_seconds.back());
    row["predicted_over_everything"] = flops(costs[k]) / flops(costs.back());
    row["peak_mib"] = median(growth[k]);
    row["tensors_mib"] = tensors[k];
    row["predicted_mib"] =
        (costs[k].peak_bytes(options.batch) - 4 * static_cast<double>(costs[k].all_parameters)) /
        kMiB;
    row["loss"] = losses[k];
    rows.push_back(row);
  }
  return rows;
}

std::vector<Row> measure_clients(const std::filesystem::path& folder, const Shape& shape,
                                 const Options& options) {
  struct Way {
    int parallel, threads;
    std::vector<double> seconds;
  };
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  std::vector<Way> ways = {{1, 1, {}}, {1, cores, {}}, {cores, 1, {}}};
  ToolSeconds tools;
  for (int turn = 0; turn < 2; ++turn) {
    for (Way& way : ways) {
      at::set_num_threads(way.threads);
      Stopwatch watch;
      RunOptions run_options;
      run_options.threads = way.threads;
      run_options.parallel = way.parallel;
      run_options.after_round = [&](const std::filesystem::path&, int round) {
        if (round > 1 && round <= options.repetitions + 1) way.seconds.push_back(watch.seconds());
        watch = {};
      };
      const auto place = folder / "clients";
      std::filesystem::remove_all(place);
      run_experiment(folder / "experiment.yaml",
                     {"run.rounds=" + std::to_string(options.repetitions + 2)}, place,
                     timed_tools(tools), run_options);
    }
  }
  at::set_num_threads(options.threads);
  const Model model = peft::load_model(folder / "foundation");
  const std::int64_t tokens = first_client(folder, model.blueprint())->max_tokens();
  std::vector<Row> rows;
  for (const Way& way : ways) {
    Row row = describe(test::shape_of(model), tokens, shape, options);
    row["threads"] = way.threads;
    row["clients"] = shape.clients;
    row["parallel"] = way.parallel;
    row["round_seconds"] = median(way.seconds);
    row["times_faster"] = median(ways.front().seconds) / median(way.seconds);
    rows.push_back(row);
  }
  return rows;
}

void write_batches(const std::filesystem::path& folder, const Shape& shape,
                   const Options& options) {
  const Blueprint blueprint = peft::read_blueprint(folder / "foundation");
  const auto batches = batches_of(*first_client(folder, blueprint), shape.steps, options.batch, 1);
  std::vector<TensorView> tensors;
  for (std::size_t k = 0; k < batches.size(); ++k) {
    const auto add = [&](const std::string& name, Dtype dtype, const torch::Tensor& tensor) {
      tensors.push_back({name + "." + std::to_string(k),
                         dtype,
                         tensor.sizes().vec(),
                         {static_cast<const char*>(tensor.data_ptr()), tensor.nbytes()}});
    };
    add("input_ids", Dtype::kI64, batches[k].input_ids);
    add("attention_mask", Dtype::kF32, batches[k].attention_mask);
    add("pixels", Dtype::kF32, batches[k].pixels);
    add("labels", Dtype::kI64, batches[k].labels);
  }
  write_safetensors(folder / "batches.safetensors", tensors);
}

void print_round(const Row& row) {
  const auto number = [&](const std::string& key) { return row[key].get<double>(); };
  double lowest = row["rounds"].front()["overhead"].get<double>(), highest = lowest;
  for (const auto& round : row["rounds"]) {
    lowest = std::min(lowest, round["overhead"].get<double>());
    highest = std::max(highest, round["overhead"].get<double>());
  }
  std::printf(
      "rounds  %.0f x %.0f, %.0f tokens: %.3f s, bare steps %.3f s, overhead %.1f %% (round by "
      "round %.1f to %.1f), in processor time %.1f %%, of train() alone %.1f %%\n",
      number("hidden"), number("layers"), number("tokens"), number("round_seconds"),
      number("bare_seconds"), 100 * number("overhead"), 100 * lowest, 100 * highest,
      100 * number("cpu_overhead"), 100 * number("train_overhead"));
  std::printf(
      "        local training %.3f s (train() alone %.3f, batches %.3f), plan %.4f, "
      "aggregation %.4f, checkpoint and rest %.4f; scoring %.3f, evaluation %.3f\n",
      number("local_seconds"), number("train_seconds"), number("batch_seconds"),
      number("plan_seconds"), number("aggregation_seconds"), number("rest_seconds"),
      number("score_seconds"), number("evaluation_seconds"));
}

void print_steps(const std::vector<Row>& rows) {
  std::printf("steps   %-12s %10s %9s %9s %9s %9s %9s\n", "lowest", "s/step", "of all", "predicted",
              "peak MiB", "tensors", "predicted");
  for (const Row& row : rows) {
    std::printf("        %-12s %10.4f %9.2f %9.2f %9.0f %9.0f %9.0f\n",
                row["lowest"].get<std::string>().c_str(), row["seconds"].get<double>(),
                row["over_everything"].get<double>(),
                row["predicted_over_everything"].get<double>(), row["peak_mib"].get<double>(),
                row["tensors_mib"].get<double>(), row["predicted_mib"].get<double>());
  }
}

void print_clients(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    std::printf("clients %2d at a time, %2d threads each: %.3f s a round, %.2f times as fast\n",
                row["parallel"].get<int>(), row["threads"].get<int>(),
                row["round_seconds"].get<double>(), row["times_faster"].get<double>());
  }
}

Shape parse_shape(const std::string& text) {
  Shape shape;
  char end;
  if (std::sscanf(text.c_str(), "%ld,%ld,%ld,%ld,%ld,%ld,%ld%c", &shape.hidden, &shape.layers,
                  &shape.heads, &shape.intermediate, &shape.patch, &shape.clients, &shape.steps,
                  &end) != 7) {
    throw InputError("--shape: found \"" + text +
                     "\", HIDDEN,LAYERS,HEADS,INTERMEDIATE,PATCH,CLIENTS,STEPS is needed");
  }
  return shape;
}

int run(int argc, char** argv) {
  std::vector<std::string> shape_texts{"64,12,4,128,16,9,10", "192,12,3,768,8,3,5"};
  std::string folder, only;
  Options options;
  bool only_prepare = false, json = false;
  CLI::App app("Cost of federated rounds over bare training steps, and of partial training");
  app.add_option(
      "--shape", shape_texts,
      "HIDDEN,LAYERS,HEADS,INTERMEDIATE,PATCH,CLIENTS,STEPS; several are measured in turn");
  app.add_option("--budget", options.budget, "blocks a client")->check(CLI::PositiveNumber);
  app.add_option("--batch", options.batch)->check(CLI::PositiveNumber);
  app.add_option("--repetitions", options.repetitions)->check(CLI::PositiveNumber);
  app.add_option("--threads", options.threads)->check(CLI::PositiveNumber);
  app.add_option("--only", only)->check(CLI::IsMember({"rounds", "steps", "clients"}));
  app.add_option("--folder", folder, "where data and model are, or are put; of the first shape");
  app.add_flag("--prepare", only_prepare, "write --folder and end");
  app.add_flag("--json", json, "one JSON object a row");
  CLI11_PARSE(app, argc, argv);
  if (only_prepare && folder.empty()) throw InputError("--prepare: --folder is missing");

  set_command_line(argc, argv);
  set_quiet(true);
  prepare_torch(options.threads);
  if (!folder.empty()) shape_texts.resize(1);
  for (const std::string& text : shape_texts) {
    std::optional<test::TempDir> temporary;
    if (folder.empty()) temporary.emplace();
    const std::filesystem::path place =
        temporary ? temporary->path() : std::filesystem::path(folder);
    const Shape shape = parse_shape(text);
    if (!std::filesystem::exists(place / "experiment.yaml")) {
      prepare(place, shape, options);
      if (only_prepare) write_batches(place, shape, options);
    }
    if (only_prepare) continue;
    std::vector<Row> rows;
    const auto wanted = [&](const char* part) { return only.empty() || only == part; };
    if (wanted("rounds")) {
      rows.push_back(RoundBench(place, shape, options).run());
      if (!json) print_round(rows.back());
    }
    if (wanted("steps")) {
      const auto steps = measure_steps(place, shape, options);
      if (!json) print_steps(steps);
      rows.insert(rows.end(), steps.begin(), steps.end());
    }
    if (wanted("clients")) {
      const auto clients = measure_clients(place, shape, options);
      if (!json) print_clients(clients);
      rows.insert(rows.end(), clients.begin(), clients.end());
    }
    for (Row& row : rows) {
      row["torch"] = describe_torch();
      for (const auto& [key, value] : provenance()) row[key] = value;
      if (json) std::printf("%s\n", row.dump().c_str());
    }
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return report_errors([&] { return run(argc, argv); }, "bench_round");
}
