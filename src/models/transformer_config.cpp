#include "models/transformer_config.h"

#include <algorithm>
#include <limits>
#include <map>

#include "models/preprocessor_config.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::models {
namespace {

// Beyond what any model has, and small enough that every count of weights and operations is exact
// and that a few bytes of config.json cannot ask for more work than there is memory.
constexpr std::int64_t kMostLayers = 1000, kLargestWidth = 1 << 16, kLargestIntermediate = 1 << 18,
                       kLargestImage = 4096, kLongestText = 1 << 16, kLargestVocabulary = 1 << 22,
                       kMostTypes = 1024, kMostPatches = 1 << 24;

/// id2label as a list. Ids must be 0 … n-1, each once.
std::vector<std::string> read_labels(ObjectReader& reader) {
  const Json& map = reader.raw("id2label");
  if (!map.is_object() || map.empty()) {
    reader.fail("id2label", "must map the ids \"0\", \"1\", … to answers");
  }
  std::vector<std::string> labels(map.size());
  std::vector<bool> seen(map.size());
  for (const auto& [key, value] : map.items()) {
    const bool digits =
        !key.empty() && key.size() < 10 &&
        std::all_of(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; });
    const std::size_t id = digits ? std::stoul(key) : map.size();
    if (id >= map.size() || seen[id]) {
      reader.fail("id2label", "found the id \"" + key + "\", but the ids must be 0 to " +
                                  std::to_string(map.size() - 1) + ", each once");
    }
    if (!value.is_string()) reader.fail("id2label", "the label of \"" + key + "\" is not a text");
    seen[id] = true;
    labels[id] = value.get<std::string>();
  }
  return labels;
}

void check_divisible(const ObjectReader& reader, const std::string& key, std::int64_t value,
                     const std::string& divisor_key, std::int64_t divisor) {
  if (value % divisor != 0) {
    reader.fail(key, std::to_string(value) + " is not a multiple of " + divisor_key + " = " +
                         std::to_string(divisor));
  }
}

TransformerConfig lora_alone(TransformerConfig config) {
  config.peft.adapter_reduction = config.peft.prompt_length = 0;
  return config;
}

}  // namespace

TransformerConfig read_transformer_config(const std::filesystem::path& file) {
  const Document document = load_json(file);
  ObjectReader reader(document);
  TransformerConfig config;
  config.model_type = reader.choice("model_type", {"vilt", "vit"});
  reader.choice("hidden_act", {"gelu"}, "gelu");
  if (!config.has_text()) {
    config.image_size = 224;
    config.patch_size = 16;
  }
  const auto integer = [&](const char* key, std::int64_t low, std::int64_t high,
                           std::int64_t& field) { field = reader.integer(key, low, high, field); };
  if (config.has_text()) {
    integer("vocab_size", 1, kLargestVocabulary, config.vocab_size);
    integer("type_vocab_size", 1, kMostTypes, config.type_vocab_size);
    integer("modality_type_vocab_size", 2, kMostTypes, config.modality_type_vocab_size);
    integer("max_position_embeddings", 2, kLongestText, config.max_position_embeddings);
    config.max_image_length = reader.integer("max_image_length", -kMostPatches, kMostPatches, -1);
  }
  integer("hidden_size", 1, kLargestWidth, config.hidden_size);
  integer("num_hidden_layers", 1, kMostLayers, config.num_hidden_layers);
  integer("num_attention_heads", 1, kLargestWidth, config.num_attention_heads);
  integer("intermediate_size", 1, kLargestIntermediate, config.intermediate_size);
  integer("image_size", 1, kLargestImage, config.image_size);
  integer("patch_size", 1, kLargestImage, config.patch_size);
  config.num_channels = reader.integer("num_channels", 3, 3, config.num_channels);
  config.hidden_dropout_prob =
      reader.number("hidden_dropout_prob", 0, 0.999, config.hidden_dropout_prob);
  config.attention_probs_dropout_prob =
      reader.number("attention_probs_dropout_prob", 0, 0.999, config.attention_probs_dropout_prob);
  config.initializer_range = reader.number("initializer_range", 0, 10, config.initializer_range);
  config.layer_norm_eps = reader.number("layer_norm_eps", 0, 1, config.layer_norm_eps);
  config.qkv_bias = reader.boolean("qkv_bias", config.qkv_bias);
  config.labels = read_labels(reader);
  check_divisible(reader, "hidden_size", config.hidden_size, "num_attention_heads",
                  config.num_attention_heads);
  check_divisible(reader, "image_size", config.image_size, "patch_size", config.patch_size);
  if (config.max_image_length >= 0 && config.max_image_length < config.patches()) {
    reader.fail("max_image_length",
                "of the " + std::to_string(config.patches()) + " patches of an image only " +
                    std::to_string(config.max_image_length) +
                    " would be read, which transformers draws at random; -1 reads all of them");
  }
  return config;
}

ImageModel image_model(const TransformerConfig& config) {
  return {config.model_type, static_cast<int>(config.image_size),
          static_cast<int>(config.patch_size)};
}

data::ImageProcessor TransformerConfig::image_processor() const {
  data::ImageProcessor processor = images ? *images : default_image_processor(image_model(*this));
  processor.most_patches = max_image_length;
  return processor;
}

TransformerConfig read_model_config(const std::filesystem::path& folder) {
  TransformerConfig config = read_transformer_config(folder / "config.json");
  config.images = read_image_processor(folder, image_model(config));
  config.peft = read_peft_configs(folder, config.hidden_size);
  if (config.peft.lora_rank > 0 && peft_weights(lora_alone(config)).empty()) {
    throw InputError((folder / kPeftConfigFile).string() +
                     ": target_modules: no layer of the model is called " +
                     quoted_list(config.peft.lora_targets));
  }
  return config;
}

void write_transformer_config(const TransformerConfig& config, const std::filesystem::path& file) {
  Json id2label = Json::object();
  Json label2id = Json::object();
  for (std::int64_t id = 0; id < config.label_count(); ++id) {
    id2label[std::to_string(id)] = config.labels[id];
    label2id[config.labels[id]] = id;
  }
  Json json;
  json["architectures"] = {config.has_text() ? "ViltForQuestionAnswering"
                                             : "ViTForImageClassification"};
  json["attention_probs_dropout_prob"] = config.attention_probs_dropout_prob;
  json["hidden_act"] = "gelu";
  json["hidden_dropout_prob"] = config.hidden_dropout_prob;
  json["hidden_size"] = config.hidden_size;
  json["id2label"] = std::move(id2label);
  json["image_size"] = config.image_size;
  json["initializer_range"] = config.initializer_range;
  json["intermediate_size"] = config.intermediate_size;
  json["label2id"] = std::move(label2id);
  json["layer_norm_eps"] = config.layer_norm_eps;
  if (config.has_text()) {
    json["max_image_length"] = config.max_image_length;
    json["max_position_embeddings"] = config.max_position_embeddings;
    json["modality_type_vocab_size"] = config.modality_type_vocab_size;
  }
  json["model_type"] = config.model_type;
  json["num_attention_heads"] = config.num_attention_heads;
  json["num_channels"] = config.num_channels;
  json["num_hidden_layers"] = config.num_hidden_layers;
  if (config.has_text()) json["num_images"] = -1;
  json["patch_size"] = config.patch_size;
  json["qkv_bias"] = config.qkv_bias;
  json["torch_dtype"] = "float32";
  if (config.has_text()) {
    json["type_vocab_size"] = config.type_vocab_size;
    json["vocab_size"] = config.vocab_size;
  }
  write_file(file, json.dump(2) + "\n");
}

TransformerConfig transformer_config_from_yaml(ObjectReader reader) {
  TransformerConfig config;
  config.hidden_size = reader.integer("hidden_size", 1, kLargestWidth);
  config.num_hidden_layers = reader.integer("layers", 1, kMostLayers);
  config.num_attention_heads = reader.integer("heads", 1, kLargestWidth);
  config.intermediate_size =
      reader.integer("intermediate_size", 1, kLargestIntermediate, 4 * config.hidden_size);
  config.image_size = reader.integer("image_size", 1, kLargestImage);
  config.patch_size = reader.integer("patch_size", 1, kLargestImage);
  config.max_position_embeddings =
      reader.integer("max_text", 2, 4096, config.max_position_embeddings);
  config.hidden_dropout_prob = reader.number("dropout", 0, 0.999, 0.0);
  config.attention_probs_dropout_prob = config.hidden_dropout_prob;
  config.scaled_initialization =
      reader.choice("initialization", {"huggingface", "scaled"}, "huggingface") == "scaled";
  config.initializer_range = reader.number("initializer_range", 0, 10, config.initializer_range);
  reader.finish();
  check_divisible(reader, "hidden_size", config.hidden_size, "heads", config.num_attention_heads);
  check_divisible(reader, "image_size", config.image_size, "patch_size", config.patch_size);
  return config;
}

}  // namespace strata::models
