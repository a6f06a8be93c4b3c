#include "models/vqa_tensors.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "core/console.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata {

VqaTensors::VqaTensors(const Manifest& manifest, const std::vector<int>& indices,
                       const TransformerConfig& config, const WordPiece& tokenizer,
                       bool drop_unseen, std::shared_ptr<ImageStore> images)
    : images_(std::move(images)), asked_(static_cast<std::int64_t>(indices.size())) {
  const bool owned = !images_;
  if (owned) images_ = std::make_shared<ImageStore>(manifest, static_cast<int>(config.image_size));
  std::unordered_map<std::string, std::int64_t> label_ids;
  for (std::int64_t id = 0; id < config.label_count(); ++id) {
    label_ids.emplace(config.labels[id], id);
  }

  std::vector<std::vector<std::int64_t>> encoded;
  std::vector<std::int64_t> lengths, labels;
  for (const int index : indices) {
    const Example& example = manifest.examples.at(index);
    std::vector<std::int64_t> accepted;
    for (const std::string& answer : example.answers) {
      const auto label = label_ids.find(answer);
      if (label != label_ids.end()) accepted.push_back(label->second);
    }
    if (accepted.empty()) {
      if (!drop_unseen) {
        const std::string answer = example.answers.empty() ? "" : example.answers.front();
        throw InputError((manifest.folder / example.image).string() + ", question \"" +
                         example.question + "\": the answer \"" + answer +
                         "\" is not one of the model's " + std::to_string(config.label_count()) +
                         " labels" + did_you_mean(answer, config.labels) +
                         "; data.unseen_answers: drop (strata score: --unseen-answers drop) passes "
                         "over such questions, model.answers: "
                         "data makes a label of every training answer");
      }
      ++unseen_;
      if (example.split == "train") continue;
    }
    labels.push_back(accepted.empty() ? kNoTarget : accepted.front());
    accepted_.push_back(std::move(accepted));
    closed_.push_back(example.answer_type == "closed");

    image_index_.push_back(images_->add(example.image));
    if (config.has_text()) {
      encoded.push_back(
          tokenizer.encode(example.question, static_cast<int>(config.max_position_embeddings)));
      lengths.push_back(static_cast<std::int64_t>(encoded.back().size()));
    }
  }
  const std::int64_t n = static_cast<std::int64_t>(labels.size());
  if (n == 0 && asked_ > 0) {
    throw InputError("no training example is left, as none of " + std::to_string(asked_) +
                     " has an answer among the model's " + std::to_string(config.label_count()) +
                     " labels (data.unseen_answers: drop)");
  }

  if (config.has_text()) {
    const std::int64_t longest = n ? *std::max_element(lengths.begin(), lengths.end()) : 0;
    input_ids_ = torch::full({n, longest}, tokenizer.pad_id(), torch::kInt64);
    for (std::int64_t i = 0; i < n; ++i) {
      std::copy(encoded[i].begin(), encoded[i].end(),
                input_ids_.data_ptr<std::int64_t>() + i * longest);
    }
    lengths_ = torch::tensor(lengths, torch::kInt64);
  }
  labels_ = torch::tensor(labels, torch::kInt64);

  if (owned) images_->load();
}

Batch VqaTensors::batch(const std::vector<std::int64_t>& rows, torch::Device device,
                        const std::vector<int>& flips) const {
  const torch::Tensor index = torch::tensor(rows, torch::kInt64);
  const std::int64_t size = images_->size();
  torch::Tensor images =
      torch::empty({static_cast<std::int64_t>(rows.size()), 3, size, size}, torch::kUInt8);
  std::vector<std::size_t> indices;
  for (const std::int64_t row : rows)
    indices.push_back(image_index_.at(static_cast<std::size_t>(row)));
  images_->copy(indices, images.data_ptr<std::uint8_t>());
  for (std::size_t i = 0; i < flips.size(); ++i) {
    std::vector<std::int64_t> dimensions;
    if (flips[i] & 1) dimensions.push_back(2);
    if (flips[i] & 2) dimensions.push_back(1);
    if (!dimensions.empty()) images[i].copy_(images[i].flip(dimensions));
  }

  Batch batch;
  if (input_ids_.defined()) {
    const torch::Tensor lengths = lengths_.index_select(0, index);
    const std::int64_t longest = lengths.max().item<std::int64_t>();
    batch.input_ids = input_ids_.narrow(1, 0, longest).index_select(0, index).to(device);
    batch.attention_mask =
        (torch::arange(longest).unsqueeze(0) < lengths.unsqueeze(1)).to(torch::kFloat).to(device);
  }
  batch.pixels = images.to(device).to(torch::kFloat).div_(127.5).sub_(1);
  batch.labels = labels_.index_select(0, index).to(device);
  return batch;
}

std::int64_t VqaTensors::label(std::int64_t row) const {
  return labels_.data_ptr<std::int64_t>()[row];
}

bool VqaTensors::accepts(std::int64_t row, std::int64_t label) const {
  const std::vector<std::int64_t>& accepted = accepted_.at(row);
  return std::find(accepted.begin(), accepted.end(), label) != accepted.end();
}

void log_unseen(const std::vector<std::pair<std::string, const VqaTensors*>>& sets,
                const std::string& what_became) {
  std::int64_t unseen = 0, asked = 0;
  std::string clients;
  for (const auto& [client, set] : sets) {
    unseen += set->unseen();
    asked += set->asked();
    if (set->unseen() == 0 || client.empty()) continue;
    clients += (clients.empty() ? " (" : ", ") + client + " " + std::to_string(set->unseen()) +
               " of " + std::to_string(set->asked());
  }
  if (unseen == 0) return;
  log_info("answers outside the model's labels: " + std::to_string(unseen) + " of " +
           std::to_string(asked) + " " + what_became + clients + (clients.empty() ? "" : ")"));
}

WordPiece load_tokenizer(const std::filesystem::path& model_folder) {
  const std::filesystem::path model = model_folder / "config.json";
  std::optional<std::int64_t> words;
  if (std::filesystem::exists(model)) {
    const TransformerConfig architecture = read_transformer_config(model);
    if (!architecture.has_text()) return WordPiece({"[PAD]", "[UNK]", "[CLS]", "[SEP]"});
    words = architecture.vocab_size;
  }
  bool lower_case = true;
  const std::filesystem::path config = model_folder / "tokenizer_config.json";
  if (std::filesystem::exists(config)) {
    const Document document = load_json(config);
    lower_case = ObjectReader(document).boolean("do_lower_case", true);
  }
  WordPiece tokenizer = WordPiece::from_file(model_folder / "vocab.txt", lower_case);
  const auto found = static_cast<std::int64_t>(tokenizer.vocabulary().size());
  if (words && found > *words) {
    throw InputError((model_folder / "vocab.txt").string() + ": " + std::to_string(found) +
                     " tokens, but the model has " + std::to_string(*words) +
                     " (vocab_size in config.json)");
  }
  return tokenizer;
}

void save_tokenizer(const WordPiece& tokenizer, const TransformerConfig& config,
                    const std::filesystem::path& model_folder) {
  if (config.has_text()) {
    std::string vocabulary;
    for (const std::string& token : tokenizer.vocabulary()) vocabulary += token + "\n";
    write_file(model_folder / "vocab.txt", vocabulary);

    Json json;
    json["do_lower_case"] = tokenizer.lower_case();
    json["model_max_length"] = config.max_position_embeddings;
    json["tokenizer_class"] = "BertTokenizer";
    write_file(model_folder / "tokenizer_config.json", json.dump(2) + "\n");
  }

  Json images;
  images["do_normalize"] = true;
  if (config.has_text()) images["do_pad"] = true;
  images["do_rescale"] = true;
  images["do_resize"] = true;
  images["image_mean"] = {0.5, 0.5, 0.5};
  images["image_processor_type"] = config.has_text() ? "ViltImageProcessor" : "ViTImageProcessor";
  images["image_std"] = {0.5, 0.5, 0.5};
  images["resample"] = 2;
  if (config.has_text()) {
    images["size"] = {{"shortest_edge", config.image_size}};
    images["size_divisor"] = config.patch_size;
  } else {
    images["size"] = {{"height", config.image_size}, {"width", config.image_size}};
  }
  write_file(model_folder / "preprocessor_config.json", images.dump(2) + "\n");
}

}  // namespace strata
