#include <cmath>
#include <iostream>
#include <map>
#include <memory>
#include <optional>

#include "cli/command_line.h"
#include "cli/data_options.h"
#include "cli/mask_files.h"
#include "cli/output_files.h"
#include "core/console.h"
#include "core/document.h"
#include "data/image_store.h"
#include "data/manifest.h"
#include "models/device.h"
#include "models/model.h"
#include "models/thread_count.h"
#include "models/tokenizer_files.h"
#include "peft/files.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "tasks/dataset.h"
#include "tasks/tasks.h"

namespace strata::cli {
namespace {

/// One client's examples of the split, and what the model made of them.
struct Evaluated {
  std::string client;
  std::unique_ptr<tasks::Dataset> data;
  tasks::Tally tally;
};

data::Manifest load(const DataOptions& options) {
  data::LoadOptions load = data_config(options).load;
  load.reading = tasks::reading_of(options.task, "--task");
  return data::load_data(options.folder, load);
}

tasks::AnsweringOptions answering_of(const EvaluateArguments& arguments) {
  return {tasks::answering_methods().value(arguments.answering), arguments.beams,
          arguments.most_tokens, arguments.answer_list, arguments.candidates};
}

std::vector<Evaluated> encode(const EvaluateArguments& arguments, const data::Manifest& manifest,
                              const tasks::Task& task, const models::Model& model,
                              const data::WordPiece& tokenizer,
                              const std::shared_ptr<const data::Tokenizer>& language) {
  const auto images = std::make_shared<data::ImageStore>(
      manifest, model.blueprint().image_processor(), arguments.data.cache);
  const bool drop = data_config(arguments.data).drop_unseen;
  std::map<std::string, std::vector<int>> examples;
  for (const int i : tasks::split_of(manifest, arguments.split).examples)
    examples[manifest.examples[static_cast<std::size_t>(i)].client].push_back(i);
  if (examples.empty())
    throw InputError(arguments.data.folder + ": there is no example of --split " + arguments.split);
  std::vector<Evaluated> clients;
  for (const std::string& client : manifest.clients()) {
    const auto own = examples.find(client);
    if (own == examples.end()) continue;
    const tasks::Source source{manifest,
                               model.blueprint(),
                               tokenizer,
                               drop,
                               images,
                               language,
                               data_config(arguments.data).prompt};
    clients.push_back({client, task.encode(own->second, source), {}});
  }
  std::vector<std::pair<std::string, const tasks::Dataset*>> sets;
  for (const Evaluated& client : clients) sets.emplace_back(client.client, client.data.get());
  tasks::log_unseen(sets, "are counted as wrong");
  images->load();
  return clients;
}

/// A text where every example of the file has exactly one, or else a list.
Json texts(const std::vector<std::string>& texts, bool single) {
  return single ? Json(texts.front()) : Json(texts);
}

void write_masks(MaskFiles& files, const std::vector<std::vector<tasks::Prediction>>& predictions) {
  for (const auto& client : predictions)
    for (const tasks::Prediction& found : client) files.add(found.example->image, *found.mask);
}

/// A volume: its metrics by class, {"dice": {"kidney": 0.9, …}, …}.
Json volume_line(const tasks::Prediction& found, const EvaluateArguments& arguments) {
  Json line{{"image", found.example->image}, {"truth", found.example->mask}};
  line["prediction"] =
      arguments.masks.empty()
          ? Json()
          : Json((std::filesystem::path(arguments.masks) / found.example->image).string());
  for (const auto& [name, value] : found.values) {
    const std::size_t slash = name.find('/');
    line[name.substr(0, slash)][name.substr(slash + 1)] = number_or_null(value);
  }
  return line;
}

/// One JSON object a line, in the order of the clients and of their examples.
void write_predictions(AtomicFile& out, const std::vector<Evaluated>& clients,
                       const std::vector<std::vector<tasks::Prediction>>& predictions, bool several,
                       const EvaluateArguments& arguments) {
  bool one_truth = !several;
  for (const auto& client : predictions)
    for (const tasks::Prediction& found : client) one_truth = one_truth && found.truth.size() == 1;
  for (std::size_t c = 0; c < clients.size(); ++c) {
    for (std::size_t row = 0; row < predictions[c].size(); ++row) {
      const tasks::Prediction& found = predictions[c][row];
      if (found.mask) {
        out.stream() << volume_line(found, arguments).dump() << '\n';
        continue;
      }
      const data::Example& example = clients[c].data->example(static_cast<std::int64_t>(row));
      Json line{{"image", example.image}};
      if (!example.question.empty()) line["question"] = example.question;
      line["truth"] = texts(found.truth, one_truth);
      line["prediction"] = texts(found.prediction, !several);
      line["log_probability"] = number_or_null(found.log_probability);
      if (arguments.logits) {
        Json values = Json::array();
        for (const double value : found.logits) values.push_back(number_or_null(value));
        line["logits"] = std::move(values);
      }
      out.stream() << line.dump() << '\n';
    }
  }
}

/// Both are whole before either has its name.
void write_files(const std::vector<Evaluated>& clients,
                 const std::vector<std::vector<tasks::Prediction>>& predictions, bool several,
                 const EvaluateArguments& arguments) {
  std::optional<MaskFiles> masks;
  std::optional<AtomicFile> lines;
  if (!arguments.masks.empty()) write_masks(masks.emplace(arguments.masks), predictions);
  if (!arguments.predictions.empty())
    write_predictions(lines.emplace(arguments.predictions), clients, predictions, several,
                      arguments);
  if (masks) masks->commit();
  if (lines) lines->commit();
}

Json values_of(const tasks::Task& task, const tasks::Tally& tally, std::int64_t samples) {
  Json values{{"samples", samples}};
  for (const auto& [name, value] : task.values(tally)) values[name] = number_or_null(value);
  return values;
}

void print(const EvaluateArguments& arguments, const CommonArguments& common,
           const tasks::Task& task, const std::vector<Evaluated>& clients) {
  tasks::Tally everyone;
  std::int64_t samples = 0;
  std::vector<std::string> header = {"client", "samples"};
  for (const auto& [name, value] : task.values(everyone)) header.push_back(name);
  TextTable table(header);
  const auto row = [&](const std::string& name, const tasks::Tally& tally, std::int64_t size) {
    std::vector<std::string> cells = {name, std::to_string(size)};
    for (const auto& [metric, value] : task.values(tally))
      cells.push_back(std::isnan(value) ? "–" : fixed(value, 4));
    table.row(cells);
  };
  Json by_client = Json::object();
  for (const Evaluated& client : clients) {
    everyone += client.tally;
    samples += client.data->size();
    row(client.client, client.tally, client.data->size());
    by_client[client.client] = values_of(task, client.tally, client.data->size());
  }
  row("all", everyone, samples);
  if (common.json) {
    const Json root{{"version", 1},
                    {"model", arguments.model},
                    {"data", arguments.data.folder},
                    {"split", arguments.split},
                    {"task", task.name()},
                    {"all", values_of(task, everyone, samples)},
                    {"clients", by_client}};
    std::cout << printable_json(root.dump(1)) << std::endl;
  } else if (!common.quiet) {
    std::cout << table.str() << std::flush;
  }
}

}  // namespace

int run_evaluate(const EvaluateArguments& arguments, const CommonArguments& common) {
  check_writable(arguments.predictions);
  if (!arguments.masks.empty())
    check_writable(std::filesystem::path(arguments.masks) / "volume.nii.gz");
  const auto device = models::parse_device(arguments.device);
  const models::CoreShares shares = models::choose_shares(peft::read_blueprint(arguments.model),
                                                          128, 1, device, arguments.threads, 1);
  models::prepare_torch(shares.threads);
  const models::Model model = peft::load_model(arguments.model, device);
  const data::WordPiece tokenizer = models::load_tokenizer(model.architecture(), arguments.model);
  const data::Manifest manifest = load(arguments.data);
  const tasks::TaskPtr task =
      tasks::choose_task(arguments.data.task, manifest, answering_of(arguments));
  if (arguments.logits && model.architecture().labels().empty()) {
    throw InputError("--logits: a model of the type \"" + model.architecture().type() +
                     "\" answers in words and has no labels");
  }
  if (!manifest.has_masks() && !arguments.masks.empty())
    throw InputError("--masks is for volumes; " + arguments.data.folder + " has none");
  // Masks have the volumes' names.
  if (std::filesystem::exists(arguments.masks) &&
      std::filesystem::equivalent(arguments.masks, manifest.folder))
    throw InputError("--masks: " + arguments.masks +
                     " is the data's own folder, whose volumes the masks would replace");
  if (manifest.has_masks() && arguments.logits)
    throw InputError("--logits is for models that choose a label, not for volumes");
  std::vector<Evaluated> clients =
      encode(arguments, manifest, *task, model, tokenizer,
             models::load_language(model.architecture(), arguments.model));

  const bool wants_predictions = !arguments.predictions.empty() || !arguments.masks.empty();
  std::vector<std::vector<tasks::Prediction>> predictions(clients.size());
  Progress progress("evaluate", static_cast<std::int64_t>(clients.size()));
  for (std::size_t c = 0; c < clients.size(); ++c) {
    progress.update(static_cast<std::int64_t>(c), "client " + clients[c].client);
    clients[c].tally = task->evaluate(model, *clients[c].data, nullptr,
                                      wants_predictions ? &predictions[c] : nullptr);
  }
  progress.finish();
  write_files(clients, predictions, manifest.multi_label, arguments);
  print(arguments, common, *task, clients);
  return kExitDone;
}

}  // namespace strata::cli
