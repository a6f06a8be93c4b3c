#include "models/architectures/vision_language.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "data/text/learnt_tokenizer.h"
#include "models/architectures/activations.h"
#include "models/architectures/classifier_head.h"
#include "models/architectures/config_limits.h"
#include "models/architectures/connector.h"
#include "models/architectures/decoder.h"
#include "models/architectures/masks.h"
#include "models/architectures/token_rows.h"
#include "models/architectures/vision_tower.h"
#include "models/batch.h"

namespace strata::models {
namespace {

using torch::Tensor;

constexpr const char* kTowerRows = "image";
constexpr const char* kFeatures = "features";
constexpr const char* kTokenRows = "rows";

/// All that a kind of model says, resolved.
struct VisionLanguageConfig {
  std::string model_type;
  TowerConfig tower;
  DecoderConfig decoder;
  std::vector<std::string> tower_names;
  std::vector<DecoderNames> decoder_names;
  std::vector<std::vector<std::string>> connector_names;
  std::optional<Activation> connector_activation;
  bool connector_bias = true;
  std::int64_t shuffle = 1;  ///< see ConnectorConfig
  /// Outputs of the tower that the connector takes, beside one another: 0 is what enters the first
  /// block, k what block k - 1 leaves.
  std::vector<std::int64_t> features;
  bool tower_norm = false;  ///< the tower's last norm acts on the last of them
  bool drops_class_token = false;
  bool prompt_together = false;  ///< image and prompt see each other both ways
  std::int64_t image_token = 0, end_token = 2;
  std::string prompt;                                            ///< see Speech
  std::function<std::string(const data::TileGrid&)> image_text;  ///< likewise
  std::string processor;                                         ///< see ImageModel
  std::int64_t most_tokens = 0;
  bool pads = false;                        ///< images to squares
  std::optional<LentWeights> tower_folder;  ///< that may have the tower's weights
  std::vector<std::string> labels;          ///< of a classifier; none of one that answers in words
  Json json = Json::object();               ///< config.json
};

class VisionLanguage : public Architecture {
 public:
  explicit VisionLanguage(VisionLanguageConfig config)
      : config_(std::move(config)),
        tower_(config_.tower, *std::max_element(config_.features.begin(), config_.features.end()),
               config_.tower_norm, config_.tower_names),
        connector_(connector_config(config_), config_.connector_names),
        decoder_(config_.decoder, config_.decoder_names) {
    labels_ = config_.labels;
    declare();
  }

  const std::string& type() const override { return config_.model_type; }
  State run(std::int64_t stage, const Batch& batch, const State& input, Pass& pass) const override;
  Batch example(std::int64_t text_tokens) const override;
  Json config() const override { return config_.json; }
  ImageModel image_model() const override {
    return {ImageSizes::kOne, static_cast<int>(config_.tower.image_size),
            static_cast<int>(config_.tower.patch_size), config_.processor, config_.pads};
  }
  std::optional<LentWeights> lent_weights() const override { return config_.tower_folder; }
  std::int64_t text_tokens() const override { return config_.most_tokens - image_tokens(); }
  std::int64_t vocabulary_size() const override { return config_.decoder.vocab_size; }
  std::optional<Speech> speech() const override;
  bool keeps_file_names() const override { return true; }
  std::shared_ptr<const Architecture> as_stored(
      const std::function<bool(const std::string&)>& has) const override;
  std::shared_ptr<const Architecture> with(std::vector<std::string> labels,
                                           std::int64_t vocabulary_size) const override;

 private:
  static ConnectorConfig connector_config(const VisionLanguageConfig& config) {
    return {config.tower.hidden_size * static_cast<std::int64_t>(config.features.size()),
            config.decoder.hidden_size,
            config.connector_bias,
            config.connector_activation,
            config.decoder.initializer_range,
            config.shuffle,
            config.tower.grid()};
  }
  void declare();
  std::int64_t image_tokens() const {
    return (config_.tower.tokens() - (config_.drops_class_token ? 1 : 0)) /
           (config_.shuffle * config_.shuffle);
  }
  /// Of the stage that embeds the words.
  std::int64_t words_stage() const { return tower_.used() + 2; }
  bool is_feature(std::int64_t output) const {
    return std::find(config_.features.begin(), config_.features.end(), output) !=
           config_.features.end();
  }

  State run_tower(std::int64_t stage, const Batch& batch, const State& input, Pass& pass) const;
  State run_connector(const State& input, Pass& pass) const;
  State run_words(const Batch& batch, const State& input, Pass& pass) const;
  Tensor placed(const Batch& batch, const Tensor& words, const State& input, Pass& pass) const;
  State run_head(const Batch& batch, const State& input, Pass& pass) const;

  VisionLanguageConfig config_;
  VisionTower tower_;
  Connector connector_;
  Decoder decoder_;
};

void VisionLanguage::declare() {
  LayerList list(stages_, layers_);
  tower_.declare_stages(list);
  list.begin_stage({"connector", Role::kConnector});
  tower_.declare_rest(list);
  connector_.declare(list);
  list.begin_stage({"embeddings", Role::kEmbeddings});
  decoder_.declare_words(list);
  list.add_place(config_.decoder_names.front().model + "embed_tokens.sequence",
                 LayerKind::kSequence, config_.decoder.hidden_size);
  for (std::int64_t block = 0; block < config_.decoder.num_hidden_layers; ++block) {
    list.begin_stage({"block." + std::to_string(block), Role::kBody});
    decoder_.declare_block(block, list);
  }
  list.begin_stage({"head", labels_.empty() ? Role::kOutput : Role::kHead});
  decoder_.declare_head(list);
}

std::shared_ptr<const Architecture> VisionLanguage::with(std::vector<std::string> labels,
                                                         std::int64_t) const {
  VisionLanguageConfig changed = config_;
  changed.json = with_classes(std::move(changed.json), labels);
  changed.decoder.labels = static_cast<std::int64_t>(labels.size());
  changed.labels = std::move(labels);
  return std::make_shared<VisionLanguage>(std::move(changed));
}

std::shared_ptr<const Architecture> VisionLanguage::as_stored(
    const std::function<bool(const std::string&)>& has) const {
  if (!labels_.empty()) return nullptr;
  const auto& names = config_.decoder_names;
  const bool head = std::any_of(names.begin(), names.end(), [&](const DecoderNames& each) {
    return has(each.head + ".weight");
  });
  if (head != config_.decoder.tied) return nullptr;
  VisionLanguageConfig changed = config_;
  changed.decoder.tied = !head;
  return std::make_shared<VisionLanguage>(std::move(changed));
}

std::optional<Speech> VisionLanguage::speech() const {
  return Speech{.image_token = config_.image_token,
                .image_tokens = image_tokens(),
                .end_token = config_.end_token,
                .prompt = config_.prompt,
                .special_tokens = !config_.prompt_together,
                .image_text = config_.image_text,
                .words_stage = words_stage()};
}

Batch VisionLanguage::example(std::int64_t text_tokens) const {
  const std::int64_t side = config_.tower.image_size, tokens = image_tokens() + text_tokens;
  Tensor ids = torch::zeros({1, tokens}, torch::kInt64);
  if (config_.image_token == 0) ids.fill_(1);
  ids.narrow(1, 0, image_tokens()).fill_(config_.image_token);
  Batch batch{ids, torch::ones({1, tokens}), torch::zeros({1, 3, side, side}), Tensor()};
  if (labels_.empty()) batch.outputs = torch::tensor({std::int64_t{0}, tokens - 1}).view({1, 2});
  return batch;
}

State VisionLanguage::run(std::int64_t stage, const Batch& batch, const State& input,
                          Pass& pass) const {
  if (stage <= tower_.used()) return run_tower(stage, batch, input, pass);
  if (stage == tower_.used() + 1) return run_connector(input, pass);
  if (stage == words_stage()) return run_words(batch, input, pass);
  const std::int64_t block = stage - words_stage() - 1;
  if (block == config_.decoder.num_hidden_layers) return run_head(batch, input, pass);
  return {
      {{kTokenRows, decoder_.run_block(block, input.values.at(kTokenRows), input.constants, pass)}},
      input.constants};
}

State VisionLanguage::run_tower(std::int64_t stage, const Batch& batch, const State& input,
                                Pass& pass) const {
  const Tensor below = stage == 0 ? Tensor() : input.values.at(kTowerRows);
  const Tensor rows = tower_.run_stage(stage, batch.pixels, below, pass);
  State output{input.values, {}};
  output.values[kTowerRows] = rows;
  // The last one is what the tower leaves.
  if (is_feature(stage) && stage < tower_.used())
    output.values[kFeatures + std::to_string(stage)] = rows;
  return output;
}

State VisionLanguage::run_connector(const State& input, Pass& pass) const {
  std::vector<Tensor> features;
  for (const std::int64_t output : config_.features) {
    Tensor rows = output < tower_.used() ? input.values.at(kFeatures + std::to_string(output))
                                         : input.values.at(kTowerRows);
    if (config_.tower_norm && output == config_.tower.num_hidden_layers)
      rows = tower_.last_norm(rows, pass);
    if (config_.drops_class_token) {
      const std::int64_t tokens = config_.tower.tokens(), width = rows.size(1);
      rows = rows.view({-1, tokens, width}).narrow(1, 1, tokens - 1).reshape({-1, width});
    }
    features.push_back(rows);
  }
  const Tensor all = features.size() == 1 ? features.front() : torch::cat(features, 1);
  return {{{kFeatures, connector_.run(all, pass)}}, {}};
}

/// The images' rows in the places of their tokens.
Tensor VisionLanguage::placed(const Batch& batch, const Tensor& words, const State& input,
                              Pass& pass) const {
  const auto features = input.values.find(kFeatures);
  if (features == input.values.end()) return words;  // a text that goes on
  return with_images(words, batch.input_ids, features->second,
                     {config_.image_token, image_tokens()}, pass);
}

State VisionLanguage::run_words(const Batch& batch, const State& input, Pass& pass) const {
  // An image's tokens may have a number that no word has.
  const Tensor ids = batch.input_ids.masked_fill(batch.input_ids == config_.image_token, 0);
  const Tensor words = decoder_.words(ids, pass);
  const Tensor rows = pass.sequence(config_.decoder_names.front().model + "embed_tokens.sequence",
                                    placed(batch, words, input, pass));
  const std::int64_t prefix = rows.size(1) - words.size(1);
  const auto before = [&](const Tensor& mask) { return with_ones_before(mask, prefix); };
  Tensor together;
  if (config_.prompt_together) {
    together = batch.answers.defined() ? batch.answers.logical_not()
                                       : torch::ones_like(batch.attention_mask, torch::kBool);
    together = before(together);
  }
  const Tensor attended = before(batch.attention_mask);
  return {{{kTokenRows, rows.reshape({-1, config_.decoder.hidden_size})}},
          decoder_.constants(attended, rows.size(1), together,
                             continuations_of(batch.continuations, attended.size(1)),
                             rows.scalar_type(), pass)};
}

State VisionLanguage::run_head(const Batch& batch, const State& input, Pass& pass) const {
  const Tensor& rows = input.values.at(kTokenRows);
  if (!labels_.empty()) return {{{kLogits, decoder_.logits(last_rows(batch, rows), pass)}}, {}};
  const Tensor asked = asked_rows(batch, rows, batch.input_ids.size(1));
  return {{{kTokenLogits, decoder_.logits(asked, pass)}}, {}};
}

/// With what all kinds of configurations have in common.
std::shared_ptr<const Architecture> vision_language_of(ObjectReader& reader,
                                                       VisionLanguageConfig config) {
  config.labels = read_classes(reader);
  config.decoder.labels = static_cast<std::int64_t>(config.labels.size());
  if (config.processor.empty())
    config.processor = config.tower.model_type == "clip_vision_model" ? "CLIP" : "Siglip";
  const Json further = std::exchange(config.json, reader.whole());
  config.json.update(further);
  return std::make_shared<VisionLanguage>(std::move(config));
}

/// A tower's outputs as numbers of outputs: negative ones count from the last.
std::vector<std::int64_t> read_features(ObjectReader& reader, const char* key,
                                        std::int64_t blocks) {
  const Json& value = reader.raw(key);
  std::vector<std::int64_t> found = {-2};
  if (value.is_array()) {
    found = read_sizes(reader, key, -blocks - 1, blocks, {});
  } else if (!value.is_null()) {
    found = {reader.integer(key, -blocks - 1, blocks)};
  }
  for (std::int64_t& output : found)
    if (output < 0) output += blocks + 1;
  return found;
}

/// The names that files of transformers have for a tower: before and since 4.52, and since 5.
const std::vector<std::string> kTowerNames = {"vision_tower.vision_model.",
                                              "model.vision_tower.vision_model.", "vision_tower.",
                                              "model.vision_tower."};
const std::vector<DecoderNames> kDecoderNames = {
    {"language_model.model.", "language_model.lm_head"}, {"model.language_model.", "lm_head"}};

std::vector<std::string> projector_names(const std::string& layer) {
  return {"multi_modal_projector." + layer, "model.multi_modal_projector." + layer};
}

void read_parts(ObjectReader& reader, VisionLanguageConfig& config, const TowerConfig& tower,
                const std::string& decoder, const std::vector<std::string>& towers = kOpenTowers) {
  ObjectReader vision = reader.object("vision_config"), text = reader.object("text_config");
  config.tower = read_tower(vision, tower, towers);
  config.decoder = read_decoder(text, decoder_type(text, decoder));
  config.most_tokens = std::min(config.decoder.max_position_embeddings, kLongestText);
}

/// That the original program has for an image in its prompts.
constexpr std::int64_t kOriginalImageToken = -200;

/// CLIP's large tower for images of so many pixels.
TowerConfig large_clip(std::int64_t side) {
  TowerConfig tower = tower_defaults("clip_vision_model");
  tower.hidden_size = 1024, tower.intermediate_size = 4096, tower.num_hidden_layers = 24;
  tower.num_attention_heads = 16, tower.image_size = side, tower.patch_size = 14;
  return tower;
}

constexpr const char* kTowerKey = "mm_vision_tower";
constexpr const char* kOriginalTower = "model.vision_tower.vision_tower.vision_model.";

/// The folder of the tower that the original program would load by its name: absolute, or beside
/// config.json.
LentWeights original_tower(ObjectReader& reader) {
  const std::string name = reader.filled_text(kTowerKey);
  const std::filesystem::path beside = std::filesystem::path(reader.file()).parent_path();
  // transformers 5 writes an encoder of CLIP without the inner name.
  return {beside / name, name, kOriginalTower, {"vision_model.", ""}};
}

/// The tower's sizes: those of one of CLIP's on the hub, or of a folder, of an image encoder or a
/// whole CLIP, which are put into `config`, so that a saved model needs no other folder.
TowerConfig named_tower(ObjectReader& reader, const LentWeights& tower, Json& config) {
  const TowerConfig defaults = tower_defaults("clip_vision_model");
  const char* key = "vision_config";
  if (reader.has(key)) {
    ObjectReader own = reader.object(key);
    return read_tower(own, defaults);
  }
  if (tower.name == "openai/clip-vit-large-patch14-336") return large_clip(336);
  if (tower.name == "openai/clip-vit-large-patch14") return large_clip(224);
  const std::filesystem::path file = tower.folder / "config.json";
  if (!std::filesystem::exists(file)) {
    reader.fail(kTowerKey,
                "\"" + tower.name +
                    "\" is none of \"openai/clip-vit-large-patch14-336\", "
                    "\"openai/clip-vit-large-patch14\", and there is no " +
                    file.string() +
                    ": put the folder of the tower there, with its config.json and weights");
  }
  const Document document = load_json(file);
  ObjectReader whole(document);
  ObjectReader sizes = whole.has(key) ? whole.object(key) : whole;
  config[key] = sizes.whole();
  return read_tower(sizes, defaults);
}

/// Whether images are padded to squares, as the original program does.
bool pads_images(ObjectReader& reader) {
  const char* key = "image_aspect_ratio";
  if (reader.raw(key).is_null()) return false;
  return reader.choice(key, {"pad", "square"}) == "pad";  // "anyres": several tiles
}

/// Sizes of one of the two transformers of a fresh model, under transformers' names.
struct FreshSizes {
  std::int64_t hidden = 0, intermediate = 0, layers = 0, heads = 0;

  /// Those whose keys begin with `prefix`; the fallback's where there are none. @throws InputError
  FreshSizes(ObjectReader& section, const std::string& prefix, const FreshSizes* fallback) {
    const auto integer = [&](const char* key, std::int64_t high, std::int64_t FreshSizes::*field) {
      const auto otherwise = fallback ? std::optional(fallback->*field) : std::nullopt;
      this->*field = section.integer(prefix + key, 1, high, otherwise);
    };
    integer("hidden_size", kLargestWidth, &FreshSizes::hidden);
    integer("layers", kMostLayers, &FreshSizes::layers);
    integer("heads", kLargestWidth, &FreshSizes::heads);
    intermediate =
        section.integer(prefix + "intermediate_size", 1, kLargestIntermediate, 4 * hidden);
    check_divisible(section, prefix + "hidden_size", hidden, prefix + "heads", heads);
  }

  Json json(const char* model_type, double initializer_range) const {
    return {{"model_type", model_type},          {"hidden_size", hidden},
            {"intermediate_size", intermediate}, {"num_hidden_layers", layers},
            {"num_attention_heads", heads},      {"initializer_range", initializer_range}};
  }
};

/// What Idefics 3's and SmolVLM's prompts have for an image: its tiles row by row, a line each,
/// then the whole.
std::string tiles_text(const data::TileGrid& tiles) {
  const std::string around = "<fake_token_around_image>", image = "<image>";
  std::string text;
  for (int row = 1; row <= tiles.rows; ++row) {
    for (int column = 1; column <= tiles.columns; ++column) {
      text += around + "<row_" + std::to_string(row) + "_col_" + std::to_string(column) + ">";
      text += image;
    }
    text += "\n";
  }
  return text + (tiles.rows > 0 ? "\n" : "") + around + "<global-img>" + image + around;
}

std::int64_t read_image_token(ObjectReader& reader, std::int64_t fallback) {
  const char* key = reader.has("image_token_id") ? "image_token_id" : "image_token_index";
  return reader.integer(key, 0, kLargestVocabulary, fallback);
}

}  // namespace

std::int64_t read_end_token(ObjectReader& reader, std::int64_t fallback) {
  const char* key = "eos_token_id";
  const auto read_from = [&](ObjectReader& section, std::int64_t otherwise) {
    const Json& value = section.raw(key);
    if (value.is_null()) return otherwise;
    return value.is_array() ? read_sizes(section, key, 0, kLargestVocabulary, {}).front()
                            : section.integer(key, 0, kLargestVocabulary);
  };
  ObjectReader text = reader.object("text_config");
  return read_from(reader, read_from(text, fallback));
}

std::shared_ptr<const Architecture> read_llava(ObjectReader& reader) {
  VisionLanguageConfig config;
  config.model_type = "llava";
  read_parts(reader, config,
             reader.has("vision_config") ? tower_defaults("clip_vision_model") : large_clip(336),
             "llama");
  config.decoder.tied = reader.boolean("tie_word_embeddings", config.decoder.tied);
  config.tower_names = kTowerNames;
  config.decoder_names = kDecoderNames;
  config.connector_names = {projector_names("linear_1"), projector_names("linear_2")};
  config.connector_activation = read_activation(reader, "projector_hidden_act", Activation::kGelu);
  config.connector_bias = reader.boolean("multimodal_projector_bias", true);
  config.features = read_features(reader, "vision_feature_layer", config.tower.num_hidden_layers);
  config.drops_class_token =
      reader.choice("vision_feature_select_strategy", {"default", "full"}, "default") == "default";
  config.image_token = read_image_token(reader, 32000);
  config.end_token = read_end_token(reader, 2);
  config.prompt = config.decoder.model_type == "qwen2"
                      ? "<|im_start|>user <image>\n{question}<|im_end|><|im_start|>assistant\n"
                      : "USER: <image>\n{question} ASSISTANT:";
  return vision_language_of(reader, std::move(config));
}

std::shared_ptr<const Architecture> llava_from_yaml(ObjectReader& section) {
  const FreshSizes words(section, "", nullptr), vision(section, "vision_", &words);
  const std::int64_t side = section.integer("image_size", 1, kLargestImage);
  const std::int64_t patch = section.integer("patch_size", 1, kLargestImage);
  const double range = section.number("initializer_range", 0, 10, 0.02);
  const std::int64_t vocabulary =
      section.integer("vocabulary", data::kLeastLearntTokens, kLargestVocabulary, 512);
  check_divisible(section, "image_size", side, "patch_size", patch);
  const std::int64_t patches = side / patch * (side / patch);
  const std::int64_t most = section.integer("max_text", 2, kLongestText, 64) + patches;
  if (words.hidden / words.heads % 2 != 0) {
    section.fail("heads", "each has " + std::to_string(words.hidden / words.heads) +
                              " numbers of hidden_size; rotary positions turn pairs, so that "
                              "these must be even");
  }
  if (most > kLongestText) {
    section.fail("patch_size", "an image has " + std::to_string(patches) +
                                   " patches, which with max_text are more than " +
                                   std::to_string(kLongestText) + " tokens");
  }

  Json text = words.json("llama", range), tower = vision.json("clip_vision_model", range);
  text["vocab_size"] = vocabulary;
  text["max_position_embeddings"] = most;
  text["num_key_value_heads"] = words.heads;
  text["head_dim"] = words.hidden / words.heads;
  text["rms_norm_eps"] = 1e-5;
  text["tie_word_embeddings"] = false;
  text["bos_token_id"] = static_cast<std::int64_t>(data::kLearntBegin);
  text["eos_token_id"] = static_cast<std::int64_t>(data::kLearntEnd);
  text["pad_token_id"] = static_cast<std::int64_t>(data::kLearntPad);
  tower["image_size"] = side;
  tower["patch_size"] = patch;
  tower["projection_dim"] = vision.hidden;  // of CLIP's own head, which no LLaVA has
  const Document config{section.file(),
                        {{"architectures", Json::array({"LlavaForConditionalGeneration"})},
                         {"image_seq_length", patches},
                         {"image_token_index", static_cast<std::int64_t>(data::kLearntImage)},
                         {"model_type", "llava"},
                         {"multimodal_projector_bias", true},
                         {"pad_token_id", static_cast<std::int64_t>(data::kLearntPad)},
                         {"projector_hidden_act", "gelu"},
                         {"text_config", std::move(text)},
                         {"tie_word_embeddings", false},
                         {"torch_dtype", "float32"},
                         {"vision_config", std::move(tower)},
                         {"vision_feature_layer", -1},
                         {"vision_feature_select_strategy", "default"}},
                        {},
                        {}};
  ObjectReader reader(config);
  return read_llava(reader);
}

std::shared_ptr<const Architecture> read_original_llava(ObjectReader& reader) {
  VisionLanguageConfig config;
  config.model_type = reader.text("model_type");
  config.decoder = read_decoder(reader, config.model_type == "llava_llama" ? "llama" : "mistral");
  config.most_tokens = std::min(config.decoder.max_position_embeddings, kLongestText);
  config.tower_folder = original_tower(reader);
  config.tower = named_tower(reader, *config.tower_folder, config.json);
  config.tower_names = {kOriginalTower};
  config.pads = pads_images(reader);
  config.decoder_names = {{"model.", "lm_head"}};
  const bool two =
      reader.choice("mm_projector_type", {"linear", "mlp2x_gelu"}, "linear") == "mlp2x_gelu";
  config.connector_names = {{two ? "model.mm_projector.0" : "model.mm_projector"}};
  if (two) {
    config.connector_names.push_back({"model.mm_projector.2"});
    config.connector_activation = Activation::kGelu;
  }
  config.features = read_features(reader, "mm_vision_select_layer", config.tower.num_hidden_layers);
  config.drops_class_token =
      reader.choice("mm_vision_select_feature", {"patch", "cls_patch"}, "patch") == "patch";
  config.image_token = kOriginalImageToken;
  config.end_token = read_end_token(reader, 2);
  config.prompt =
      config.model_type == "llava_mistral"
          ? "[INST] <image>\n{question} [/INST]"
          : "A chat between a curious user and an artificial intelligence assistant. The "
            "assistant gives helpful, detailed, and polite answers to the user's "
            "questions. USER: <image>\n{question} ASSISTANT:";
  return vision_language_of(reader, std::move(config));
}

std::shared_ptr<const Architecture> read_paligemma(ObjectReader& reader) {
  VisionLanguageConfig config;
  config.model_type = "paligemma";
  read_parts(reader, config, tower_defaults("siglip_vision_model"), "gemma");
  config.decoder.tied = reader.boolean("tie_word_embeddings", true);
  config.tower_names = kTowerNames;
  config.decoder_names = kDecoderNames;
  config.connector_names = {projector_names("linear")};
  config.features = {config.tower.num_hidden_layers};
  config.tower_norm = config.prompt_together = true;
  config.image_token = read_image_token(reader, 256000);
  config.end_token = read_end_token(reader, 1);
  config.prompt = "<image><bos>answer en {question}\n";
  return vision_language_of(reader, std::move(config));
}

std::shared_ptr<const Architecture> read_idefics3(ObjectReader& reader) {
  VisionLanguageConfig config;
  config.model_type = reader.text("model_type");
  // Older files give the tower the model's own type.
  read_parts(reader, config, tower_defaults(config.model_type + "_vision"), "llama",
             {"idefics3_vision", "smolvlm_vision", "idefics3", "smolvlm"});
  if (!reader.has("text_config")) config.decoder.rms_norm_eps = 1e-5;
  config.decoder.tied = reader.boolean("tie_word_embeddings", false);
  config.tower_names = {"model.vision_model."};
  config.decoder_names = {{"model.text_model.", "lm_head"}};
  config.connector_names = {{"model.connector.modality_projection.proj"}};
  config.connector_bias = false;
  config.shuffle = reader.integer("scale_factor", 1, kLargestImage, 2);
  if (config.tower.grid() % config.shuffle != 0) {
    reader.fail("scale_factor", "found " + std::to_string(config.shuffle) + ", but an image has " +
                                    std::to_string(config.tower.grid()) +
                                    " patches along a side, no multiple of it");
  }
  config.processor = config.model_type == "smolvlm" ? "SmolVLM" : "Idefics3";
  config.features = {config.tower.num_hidden_layers};
  config.tower_norm = true;
  config.image_token = read_image_token(reader, 128257);
  config.end_token = read_end_token(reader, 2);
  config.image_text = tiles_text;
  // SmolVLM's own first word; Idefics 3 has LLaMA 3's, which the tokenizer writes.
  const std::string first = config.model_type == "smolvlm" ? "<|im_start|>" : "";
  config.prompt = first + "User:" + tiles_text({}) + "{question}<end_of_utterance>\nAssistant:";
  return vision_language_of(reader, std::move(config));
}

}  // namespace strata::models
