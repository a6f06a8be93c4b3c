#include "strata/fedrunner/pretrain.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>

#include "core/console.h"
#include "data/text/learnt_tokenizer.h"
#include "experiment/experiment.h"
#include "fedrunner/foundation.h"
#include "fedrunner/run_folder.h"
#include "fedrunner/staged_folder.h"
#include "fedrunner/training.h"
#include "models/device.h"
#include "models/thread_count.h"
#include "models/tokenizer_files.h"
#include "models/units.h"
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
    auto experiment = load_experiment_data(config.data, config.task, config.answering);
    data.manifest = std::move(experiment.manifest);
    data.train = std::move(experiment.partition.public_train);
  } else {
    data.manifest = load_manifest(config, config.pretrain->data);
    data.train = tasks::split_of(data.manifest, data::kTrainSplit).examples;
  }
  data.test = tasks::split_of(data.manifest, data::kTestSplit).examples;
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
      training.push_back(tasks::split_of(manifest, data::kTrainSplit));
    if (training.empty())
      throw InputError(config.file + ": pretrain.vocabulary: no data set, so no label");
    const data::Manifest& first = training.front().manifest;
    task = tasks::choose_task(config.task, first, config.answering);
    for (const data::Manifest& manifest : further) {
      if (manifest.has_labels() == first.has_labels()) continue;
      throw InputError(config.file + ": pretrain.vocabulary: " + manifest.folder.string() +
                       (first.has_labels() ? " has questions" : " has no questions") + ", unlike " +
                       first.folder.string() + "; `task` says which are read");
    }
  }

  std::vector<std::string> texts() const {
    std::set<std::string> texts;
    for (const tasks::Split& split : training) {
      for (const int i : split.examples) {
        const data::Example& example = split.manifest.examples[static_cast<std::size_t>(i)];
        texts.insert({example.question, example.text});
      }
    }
    return {texts.begin(), texts.end()};
  }

  bool has_examples() const {
    return std::any_of(training.begin(), training.end(),
                       [](const tasks::Split& split) { return !split.examples.empty(); });
  }

  /// Every training question in this prompt, and its first answer behind a space.
  std::vector<std::string> conversations(const std::string& prompt) const {
    const std::string place = "{question}";
    std::vector<std::string> texts;
    for (const tasks::Split& split : training) {
      for (const int i : split.examples) {
        const data::Example& example = split.manifest.examples[static_cast<std::size_t>(i)];
        std::string& text = texts.emplace_back(prompt);
        if (const std::size_t at = text.find(place); at != std::string::npos)
          text.replace(at, place.size(), example.question);
        text += " " + example.answers.front();
      }
    }
    return texts;
  }
};

/// tokenizer.json of a fresh model that answers in words.
std::string learnt_tokenizer(const ExperimentConfig& config, const Language& language) {
  const models::Architecture& architecture = *config.model.architecture;
  const std::string& own = config.data.prompt;
  return data::learn_tokenizer(
      language.conversations(own.empty() ? architecture.speech()->prompt : own),
      architecture.vocabulary_size());
}

Foundation fresh_model(const ExperimentConfig& config, const Language& language,
                       const std::vector<std::string>& labels, torch::Device device) {
  data::WordPiece tokenizer(data::build_vocabulary(language.texts()));
  const auto words = static_cast<std::int64_t>(tokenizer.vocabulary().size());
  const models::Blueprint blueprint(config.model.architecture->with(labels, words));
  return {models::Model(blueprint, config.pretrain->seed, device), std::move(tokenizer)};
}

Json to_json(const tasks::Task& task, const tasks::Tally& tally) {
  Json json = Json::object();
  for (const auto& [name, value] : task.values(tally)) json[name] = number_or_null(value);
  return json;
}

void check_model_keys(const ExperimentConfig& config) {
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
}

void refuse_model_folder(const std::filesystem::path& out) {
  for (const char* file : {"config.json", "model.safetensors", "pretrain.json"}) {
    if (std::filesystem::exists(out / file)) {
      throw InputError(out.string() + ": the folder already holds a model (" + file +
                       "); choose another --out");
    }
  }
}

/// One pretraining, from its data to its folder.
class Pretraining {
 public:
  Pretraining(const ExperimentConfig& config, const models::Blueprint& wanted, torch::Device device,
              models::CoreShares shares)
      : config_(config),
        pretrain_(*config.pretrain),
        shares_(shares),
        data_(load_pretrain_data(config)),
        language_(config, data_),
        task_(*language_.task),
        foundation_(make_foundation(wanted.architecture(), device)) {
    models::Model& model = foundation_.model;
    model.set_units(models::stage_units(model.blueprint(), models::Buffers::kAverage));
    std::set<std::string> moving;  // which may not change a file's pages
    for (const Unit& unit : model.units()) moving.insert(unit.buffers.begin(), unit.buffers.end());
    model.own(moving);
    const models::Blueprint& blueprint = foundation_.model.blueprint();
    const auto images = std::make_shared<data::ImageStore>(
        data_.manifest, blueprint.image_processor(), config.data.cache);
    // Every training answer is a label, as the labels are made of them; test answers need not be.
    const tasks::Source source{data_.manifest,          blueprint, foundation_.tokenizer,
                               config.data.drop_unseen, images,    foundation_.language,
                               config.data.prompt};
    train_ = task_.encode(data_.train, source);
    test_ = task_.encode(data_.test, source);
    tasks::log_unseen({{"", test_.get()}}, "test examples are kept and counted as wrong");
    images->load();
    summary_.train_samples = train_->size();
    summary_.test_samples = test_->size();
    summary_.labels = static_cast<std::int64_t>(blueprint.architecture().labels().size());
    for (const auto& unit : foundation_.model.units()) summary_.parameters += unit.parameter_count;
  }

  void train_model() {
    announce();
    const auto start = std::chrono::steady_clock::now();
    const std::int64_t steps =
        pretrain_.epochs * steps_per_epoch(train_->size(), pretrain_.training.batch_size);
    Progress progress("pretrain", steps);
    std::string note;
    TrainingHooks hooks;
    hooks.after_step = [&](std::int64_t done) { progress.update(done, note); };
    hooks.after_epoch = [&](int epoch, double loss) { note = end_epoch(epoch, loss); };
    if (steps > 0)
      train(foundation_.model, *train_, names_of(foundation_.model.units()), steps,
            pretrain_.training, pretrain_.seed, hooks, shares_.parallel);
    progress.finish();
    summary_.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    summary_.metrics = task_.values(tally_);
    summary_.loss = summary_.metrics.front().second;
    summary_.metrics.erase(summary_.metrics.begin());
  }

  void write(const std::filesystem::path& out) const {
    // config.json is what calls a folder a model.
    StagedFolder stage(out, "config.json");
    save_foundation(foundation_.model, data_.manifest.multi_label, stage.path());
    save_language(stage.path());
    write_file(stage.path() / "pretrain.json", report().dump(1) + "\n");
    stage.commit();
  }

  const PretrainSummary& summary() const { return summary_; }

 private:
  Foundation make_foundation(const models::Architecture& wanted, torch::Device device) {
    const std::vector<std::string> labels = task_.labels(language_.training);
    const auto refuse = [&](const std::string& what) {
      throw InputError(config_.file + ": task: " + task_.name() + what + " \"" + wanted.type() +
                       "\"");
    };
    // A folder's model can get a classifier's head.
    if (wanted.speech() && (labels.empty() || pretrain_.from.empty())) {
      if (!labels.empty()) refuse(" is for models with labels; answer_generation is for a");
      return make_speaker(device);
    }
    if (labels.empty() && language_.has_examples())
      refuse(" is for models that answer in words, unlike a");
    if (labels.empty()) {
      throw InputError(config_.file +
                       ": pretrain.vocabulary: no training example in it, so no label");
    }
    if (pretrain_.from.empty()) return fresh_model(config_, language_, labels, device);
    return relabelled_foundation(pretrain_.from, labels, pretrain_.seed, device);
  }

  /// A model that answers in words.
  Foundation make_speaker(torch::Device device) {
    if (pretrain_.from.empty()) {
      learnt_tokenizer_ = learnt_tokenizer(config_, language_);
      return {models::Model(models::Blueprint(config_.model.architecture), pretrain_.seed, device),
              models::no_tokenizer(),
              std::make_shared<const data::Tokenizer>(learnt_tokenizer_, "tokenizer.json")};
    }
    if (pretrain_.epochs == 0) {
      throw InputError(config_.file + ": pretrain.epochs: 0 is for a new output layer, but " +
                       pretrain_.from + " answers in words and has none");
    }
    return load_foundation(pretrain_.from, device);
  }

  void save_language(const std::filesystem::path& folder) const {
    const models::Architecture& architecture = foundation_.model.architecture();
    if (!foundation_.language) {
      models::save_tokenizer(foundation_.tokenizer, architecture, folder);
    } else if (learnt_tokenizer_.empty()) {
      models::copy_language(pretrain_.from, folder);
    } else {
      models::save_learnt_language(learnt_tokenizer_, architecture, folder);
    }
  }

  void announce() const {
    if (pretrain_.epochs == 0) {
      log_info(pretrain_.from + " with an output layer for " + std::to_string(summary_.labels) +
               " labels, not trained");
      return;
    }
    const std::string gives = foundation_.language
                                  ? std::to_string(foundation_.language->size()) + " tokens"
                                  : std::to_string(summary_.labels) + " labels";
    log_info("pretraining " + std::to_string(summary_.parameters) + " weights on " +
             std::to_string(summary_.train_samples) + " examples of " + data_.manifest.name + ", " +
             gives);
  }

  std::string end_epoch(int epoch, double loss) {
    std::string note = "epoch " + std::to_string(epoch) + ", loss " + fixed(loss, 4);
    Json entry{{"epoch", epoch}, {"train_loss", loss}};
    if (epoch % pretrain_.evaluate_every == 0 || epoch == pretrain_.epochs) {
      tally_ = task_.evaluate(foundation_.model, *test_);
      const std::string main = task_.metrics().front();
      note += ", test " + main + " " + fixed(task_.value(main, tally_), 4);
      entry["test"] = to_json(task_, tally_);
    }
    epochs_.push_back(entry);
    log_info(note);
    return note;
  }

  Json report() const {
    auto provenance = provenance_json();
    provenance["threads"] = shares_.threads;
    provenance["parallel"] = shares_.parallel;
    return {{"version", 1},
            {"name", config_.name},
            {"synthetic", data_.manifest.synthetic},
            {"test", to_json(task_, tally_)},
            {"train_samples", summary_.train_samples},
            {"test_samples", summary_.test_samples},
            {"labels", summary_.labels},
            {"parameters", summary_.parameters},
            {"seconds", summary_.seconds},
            {"fingerprint", foundation_.model.fingerprint()},
            {"pretrain", pretrain_fields().write(pretrain_)},
            {"epochs", epochs_},
            {"provenance", provenance}};
  }

  const ExperimentConfig& config_;
  const PretrainConfig& pretrain_;
  const models::CoreShares shares_;
  const PretrainData data_;
  const Language language_;
  const tasks::Task& task_;
  std::string learnt_tokenizer_;  ///< tokenizer.json of a fresh model that answers in words
  Foundation foundation_;
  std::unique_ptr<tasks::Dataset> train_, test_;
  PretrainSummary summary_;
  tasks::Tally tally_;  ///< of the last epoch that was evaluated
  Json epochs_ = Json::array();
};

}  // namespace

PretrainSummary pretrain_model(const std::filesystem::path& experiment_file,
                               const std::vector<std::string>& set,
                               const std::filesystem::path& out, const std::string& device,
                               const ToolNames& names, int threads, int parallel) {
  const auto config = read_experiment_file(experiment_file, set, names);
  check_model_keys(config);
  remove_stale_stages(out, "config.json");
  refuse_model_folder(out);
  const auto torch_device = models::parse_device(device);
  if (parallel > 1 && torch_device.is_cuda()) {
    throw InputError("--parallel " + std::to_string(parallel) +
                     ": a batch is split on the CPU alone");
  }
  const auto wanted = config.model.architecture ? models::Blueprint(config.model.architecture)
                                                : peft::read_blueprint(config.pretrain->from);
  const std::int64_t batch = config.pretrain->training.batch_size;
  const models::CoreShares shares =
      models::choose_shares(wanted, batch, batch / kRowsPerPart, torch_device, threads, parallel);
  models::prepare_torch(shares.threads);
  Pretraining pretraining(config, wanted, torch_device, shares);
  pretraining.train_model();
  pretraining.write(out);
  return pretraining.summary();
}

}  // namespace strata::fedrunner
