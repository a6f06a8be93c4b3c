#include "strata/fedrunner/pretrain.h"

#include <chrono>
#include <cmath>
#include <set>

#include "core/console.h"
#include "experiment/experiment.h"
#include "fedrunner/evaluation.h"
#include "fedrunner/foundation.h"
#include "fedrunner/run_folder.h"
#include "fedrunner/staged_folder.h"
#include "fedrunner/training.h"
#include "models/device.h"
#include "models/thread_count.h"
#include "models/tokenizer_files.h"
#include "peft/files.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::fedrunner {

using namespace experiment;

namespace {

/// What a fresh model learns from.
struct PretrainData {
  data::Manifest manifest;
  std::vector<int> train, test;
};

std::vector<int> split(const data::Manifest& manifest, const std::string& name) {
  std::vector<int> indices;
  for (std::size_t i = 0; i < manifest.examples.size(); ++i) {
    if (manifest.examples[i].split == name) indices.push_back(static_cast<int>(i));
  }
  return indices;
}

PretrainData load_pretrain_data(const ExperimentConfig& config) {
  PretrainData data;
  if (config.pretrain->epochs == 0) return data;
  if (config.pretrain->data == kPublicData) {
    auto experiment = load_experiment_data(config.data);
    data.manifest = std::move(experiment.manifest);
    data.train = std::move(experiment.partition.public_train);
  } else {
    data.manifest = data::load_data(config.pretrain->data, config.data.load);
    data.train = split(data.manifest, "train");
  }
  data.test = split(data.manifest, "test");
  if (data.train.empty() || data.test.empty()) {
    throw InputError(config.file + ": pretrain.data: " + config.pretrain->data + " has no " +
                     (data.train.empty() ? "training" : "test") + " example");
  }
  return data;
}

/// Questions and first answers of a training split.
struct Language {
  std::set<std::string> questions, answers;

  void add(const data::Manifest& manifest, const std::vector<int>& indices) {
    for (const int i : indices) {
      const auto& example = manifest.examples[static_cast<std::size_t>(i)];
      questions.insert(example.question);
      answers.insert(example.answers.front());
    }
  }
};

Foundation fresh_model(const ExperimentConfig& config, const Language& language,
                       const std::vector<std::string>& labels, torch::Device device) {
  data::WordPiece tokenizer(
      data::build_vocabulary({language.questions.begin(), language.questions.end()}));
  const auto words = static_cast<std::int64_t>(tokenizer.vocabulary().size());
  const models::Blueprint blueprint(config.model.architecture->with(labels, words));
  return {models::Model(blueprint, config.pretrain->seed, device), std::move(tokenizer)};
}

Json to_json(const Evaluation& evaluation) {
  return {{"loss", number_or_null(evaluation.loss())},
          {"accuracy", number_or_null(evaluation.accuracy())},
          {"open_accuracy", number_or_null(evaluation.open_accuracy())},
          {"closed_accuracy", number_or_null(evaluation.closed_accuracy())}};
}

}  // namespace

PretrainSummary pretrain_model(const std::filesystem::path& experiment_file,
                               const std::vector<std::string>& set,
                               const std::filesystem::path& out, const std::string& device,
                               const ToolNames& names, int threads, int parallel) {
  const auto config = read_experiment_file(experiment_file, set, names);
  if (!config.pretrain) throw InputError(config.file + ": pretrain: the key is missing");
  if (!config.model.architecture && config.pretrain->from.empty()) {
    throw InputError(config.file +
                     ": model.architecture: the key is missing (or pretrain.from, a model to begin "
                     "with)");
  }
  if (config.model.architecture && !config.pretrain->from.empty()) {
    throw InputError(
        config.file +
        ": pretrain.from: the model has an architecture; leave out model.architecture");
  }
  remove_stale_stages(out, "config.json");
  for (const char* file : {"config.json", "model.safetensors", "pretrain.json"}) {
    if (std::filesystem::exists(out / file)) {
      throw InputError(out.string() + ": the folder already holds a model (" + file +
                       "); choose another --out");
    }
  }
  const auto torch_device = models::parse_device(device);
  const auto& pretrain = *config.pretrain;
  if (parallel > 1 && torch_device.is_cuda()) {
    throw InputError("--parallel " + std::to_string(parallel) +
                     ": a batch is split on the CPU alone");
  }
  const auto wanted = config.model.architecture ? models::Blueprint(config.model.architecture)
                                                : peft::read_blueprint(pretrain.from);
  const std::int64_t batch = pretrain.training.batch_size;
  const models::CoreShares shares =
      models::choose_shares(wanted, batch, batch / kRowsPerPart, torch_device, threads, parallel);
  models::prepare_torch(shares.threads);
  const auto data = load_pretrain_data(config);
  Language language;
  language.add(data.manifest, data.train);
  for (const auto& folder : pretrain.vocabulary) {
    const auto manifest = data::load_data(folder, config.data.load);
    language.add(manifest, split(manifest, "train"));
  }

  const std::vector<std::string> labels(language.answers.begin(), language.answers.end());
  if (labels.empty()) {
    throw InputError(config.file +
                     ": pretrain.vocabulary: no training question in it, so no label");
  }
  auto foundation = pretrain.from.empty()
                        ? fresh_model(config, language, labels, torch_device)
                        : relabelled_foundation(pretrain.from, labels, pretrain.seed, torch_device);
  models::Model& model = foundation.model;
  const data::WordPiece& tokenizer = foundation.tokenizer;
  const models::Blueprint& blueprint = model.blueprint();
  // Every training answer is a label, as the labels are made of them; test answers need not be.
  const bool drop = config.data.drop_unseen;
  const auto images = std::make_shared<data::ImageStore>(data.manifest, blueprint.image_processor(),
                                                         config.data.cache);
  const models::VqaTensors train_set(data.manifest, data.train, blueprint, tokenizer, drop, images);
  const models::VqaTensors test_set(data.manifest, data.test, blueprint, tokenizer, drop, images);
  models::log_unseen({{"", &test_set}}, "test examples are kept and counted as wrong");
  images->load();

  PretrainSummary summary;
  std::vector<std::string> units;
  for (const auto& unit : model.units()) {
    units.push_back(unit.name);
    summary.parameters += unit.parameter_count;
  }
  summary.train_samples = train_set.size();
  summary.test_samples = test_set.size();
  summary.labels = static_cast<std::int64_t>(blueprint.architecture().labels().size());
  if (pretrain.epochs == 0) {
    log_info(pretrain.from + " with an output layer for " + std::to_string(summary.labels) +
             " answers, not trained");
  } else {
    log_info("pretraining " + std::to_string(summary.parameters) + " weights on " +
             std::to_string(summary.train_samples) + " questions of " + data.manifest.name + ", " +
             std::to_string(summary.labels) + " answers");
  }

  const auto start = std::chrono::steady_clock::now();
  const std::int64_t steps =
      pretrain.epochs * steps_per_epoch(train_set.size(), pretrain.training.batch_size);
  Progress progress("pretrain", steps);
  Json epochs = Json::array();
  Evaluation evaluation;
  TrainingHooks hooks;
  std::string note;
  hooks.after_step = [&](std::int64_t done) { progress.update(done, note); };
  hooks.after_epoch = [&](int epoch, double loss) {
    const bool evaluated = epoch % pretrain.evaluate_every == 0 || epoch == pretrain.epochs;
    note = "epoch " + std::to_string(epoch) + ", loss " + fixed(loss, 4);
    Json entry{{"epoch", epoch}, {"train_loss", loss}};
    if (evaluated) {
      evaluation = evaluate(model, test_set);
      note += ", test accuracy " + fixed(evaluation.accuracy(), 4);
      entry["test"] = to_json(evaluation);
    }
    epochs.push_back(entry);
    log_info(note);
  };
  if (steps > 0)
    train(model, train_set, units, steps, pretrain.training, pretrain.seed, hooks, shares.parallel);
  progress.finish();
  summary.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  summary.loss = evaluation.loss();
  summary.accuracy = evaluation.accuracy();
  summary.open_accuracy = evaluation.open_accuracy();
  summary.closed_accuracy = evaluation.closed_accuracy();

  // config.json is what calls a folder a model.
  StagedFolder stage(out, "config.json");
  peft::save_model(model, stage.path());
  models::save_tokenizer(tokenizer, blueprint.architecture(), stage.path());
  auto provenance = provenance_json();
  provenance["threads"] = shares.threads;
  provenance["parallel"] = shares.parallel;
  const Json root{{"version", 1},
                  {"name", config.name},
                  {"synthetic", data.manifest.synthetic},
                  {"test", to_json(evaluation)},
                  {"train_samples", summary.train_samples},
                  {"test_samples", summary.test_samples},
                  {"labels", summary.labels},
                  {"parameters", summary.parameters},
                  {"seconds", summary.seconds},
                  {"fingerprint", model.fingerprint()},
                  {"pretrain", pretrain_fields().write(pretrain)},
                  {"epochs", epochs},
                  {"provenance", provenance}};
  write_file(stage.path() / "pretrain.json", root.dump(1) + "\n");
  stage.commit();
  return summary;
}

}  // namespace strata::fedrunner
