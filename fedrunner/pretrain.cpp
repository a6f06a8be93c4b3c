#include "strata/fedrunner/pretrain.h"

#include <chrono>
#include <cmath>
#include <set>

#include "core/console.h"
#include "experiment/experiment.h"
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
#include "tasks/dataset.h"
#include "tasks/tasks.h"

namespace strata::fedrunner {

using namespace experiment;

namespace {

data::Manifest load_manifest(const ExperimentConfig& config, const std::string& folder) {
  data::LoadOptions options = config.data.load;
  options.reading = tasks::reading_of(config.task, config.file + ": task");
  return data::load_data(folder, options);
}

/// What a fresh model learns from.
struct PretrainData {
  data::Manifest manifest;
  std::vector<int> train, test;
};

PretrainData load_pretrain_data(const ExperimentConfig& config) {
  PretrainData data;
  if (config.pretrain->epochs == 0) return data;
  if (config.pretrain->data == kPublicData) {
    auto experiment = load_experiment_data(config.data, config.task);
    data.manifest = std::move(experiment.manifest);
    data.train = std::move(experiment.partition.public_train);
  } else {
    data.manifest = load_manifest(config, config.pretrain->data);
    data.train = tasks::split_of(data.manifest, "train").examples;
  }
  data.test = tasks::split_of(data.manifest, "test").examples;
  if (data.train.empty() || data.test.empty()) {
    throw InputError(config.file + ": pretrain.data: " + config.pretrain->data + " has no " +
                     (data.train.empty() ? "training" : "test") + " example");
  }
  return data;
}

/// The training examples whose words and labels a fresh model is to know, and what for.
struct Language {
  std::vector<data::Manifest> further;
  std::vector<tasks::Split> training;
  tasks::TaskPtr task;

  /// `data` must outlive it.
  Language(const ExperimentConfig& config, const PretrainData& data) {
    for (const auto& folder : config.pretrain->vocabulary)
      further.push_back(load_manifest(config, folder));
    if (!data.train.empty()) training.push_back({data.manifest, data.train});
    for (const data::Manifest& manifest : further)
      training.push_back(tasks::split_of(manifest, "train"));
    if (training.empty())
      throw InputError(config.file + ": pretrain.vocabulary: no data set, so no label");
    const data::Manifest& first = training.front().manifest;
    task = tasks::choose_task(config.task, first);
    for (const data::Manifest& manifest : further) {
      if (manifest.has_labels() == first.has_labels()) continue;
      throw InputError(config.file + ": pretrain.vocabulary: " + manifest.folder.string() +
                       (first.has_labels() ? " has questions" : " has no questions") + ", unlike " +
                       first.folder.string() + "; `task` says which are read");
    }
  }

  std::vector<std::string> questions() const {
    std::set<std::string> questions;
    for (const tasks::Split& split : training) {
      for (const int i : split.examples)
        questions.insert(split.manifest.examples[static_cast<std::size_t>(i)].question);
    }
    return {questions.begin(), questions.end()};
  }
};

Foundation fresh_model(const ExperimentConfig& config, const Language& language,
                       const std::vector<std::string>& labels, torch::Device device) {
  data::WordPiece tokenizer(data::build_vocabulary(language.questions()));
  const auto words = static_cast<std::int64_t>(tokenizer.vocabulary().size());
  const models::Blueprint blueprint(config.model.architecture->with(labels, words));
  return {models::Model(blueprint, config.pretrain->seed, device), std::move(tokenizer)};
}

Json to_json(const tasks::Task& task, const tasks::Tally& tally) {
  Json json{{"loss", number_or_null(tally.of("loss").mean())}};
  for (const std::string& metric : task.metrics())
    json[metric] = number_or_null(task.value(metric, tally));
  return json;
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
  const Language language(config, data);
  const tasks::Task& task = *language.task;
  const std::vector<std::string> labels = task.labels(language.training);
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
  const tasks::Source source{data.manifest, blueprint, tokenizer, drop, images};
  const auto train_set = task.encode(data.train, source);
  const auto test_set = task.encode(data.test, source);
  tasks::log_unseen({{"", test_set.get()}}, "test examples are kept and counted as wrong");
  images->load();

  PretrainSummary summary;
  std::vector<std::string> units;
  for (const auto& unit : model.units()) {
    units.push_back(unit.name);
    summary.parameters += unit.parameter_count;
  }
  summary.train_samples = train_set->size();
  summary.test_samples = test_set->size();
  summary.labels = static_cast<std::int64_t>(blueprint.architecture().labels().size());
  if (pretrain.epochs == 0) {
    log_info(pretrain.from + " with an output layer for " + std::to_string(summary.labels) +
             " labels, not trained");
  } else {
    log_info("pretraining " + std::to_string(summary.parameters) + " weights on " +
             std::to_string(summary.train_samples) + " examples of " + data.manifest.name + ", " +
             std::to_string(summary.labels) + " labels");
  }

  const auto start = std::chrono::steady_clock::now();
  const std::int64_t steps =
      pretrain.epochs * steps_per_epoch(train_set->size(), pretrain.training.batch_size);
  Progress progress("pretrain", steps);
  Json epochs = Json::array();
  tasks::Tally tally;
  TrainingHooks hooks;
  std::string note;
  hooks.after_step = [&](std::int64_t done) { progress.update(done, note); };
  hooks.after_epoch = [&](int epoch, double loss) {
    const bool evaluated = epoch % pretrain.evaluate_every == 0 || epoch == pretrain.epochs;
    note = "epoch " + std::to_string(epoch) + ", loss " + fixed(loss, 4);
    Json entry{{"epoch", epoch}, {"train_loss", loss}};
    if (evaluated) {
      tally = task.evaluate(model, *test_set);
      note += ", test " + task.metrics().front() + " " +
              fixed(task.value(task.metrics().front(), tally), 4);
      entry["test"] = to_json(task, tally);
    }
    epochs.push_back(entry);
    log_info(note);
  };
  if (steps > 0)
    train(model, *train_set, units, steps, pretrain.training, pretrain.seed, hooks,
          shares.parallel);
  progress.finish();
  summary.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  summary.loss = tally.of("loss").mean();
  for (const std::string& metric : task.metrics())
    summary.metrics.emplace_back(metric, task.value(metric, tally));

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
                  {"test", to_json(task, tally)},
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
