#include "models/architectures/vilt.h"

#include "models/architectures/config_limits.h"
#include "models/batch.h"
#include "models/pass.h"

namespace strata::models {
namespace {

using torch::Tensor;

/// transformers' classifier has torch.nn.LayerNorm's default, not the configuration's epsilon.
constexpr double kClassifierNormEps = 1e-5;

class Vilt : public PatchTransformer {
 public:
  explicit Vilt(ViltConfig config) : PatchTransformer(config), config_(std::move(config)) {
    declare();
  }

  Batch example(std::int64_t text_tokens) const override {
    const std::int64_t side = config_.image_size;
    return {torch::zeros({1, text_tokens}, torch::kInt64), torch::ones({1, text_tokens}),
            torch::zeros({1, config_.num_channels, side, side}), torch::zeros({1}, torch::kInt64)};
  }
  ImageModel image_model() const override { return images_of(ImageSizes::kMultiples); }
  Json config() const override;
  std::int64_t most_patches() const override { return config_.max_image_length; }
  std::int64_t text_tokens() const override { return config_.max_position_embeddings; }
  std::int64_t vocabulary_size() const override { return config_.vocab_size; }
  std::shared_ptr<const Architecture> with(std::vector<std::string> labels,
                                           std::int64_t vocabulary_size) const override {
    ViltConfig changed = config_;
    changed.labels = std::move(labels);
    changed.vocab_size = vocabulary_size;
    return make_vilt(std::move(changed));
  }

 protected:
  State run_embeddings(const Batch& batch, Pass& pass) const override {
    const auto modality = pass.weight(kModality);
    const Tensor text = run_text(batch, modality, pass);
    Tensor image = run_image(batch, modality.select(0, 1), pass);
    const Tensor ones = torch::ones({batch.size(), image.size(1)}, batch.input_ids.options());
    image = pass.used(Use::kEmbedding, kModality, ones, image);
    image = pass.dropout(image, config_.hidden_dropout_prob);
    return entered(batch, torch::cat({text, image}, 1), pass);
  }

  Tensor run_head(const Tensor& first, Pass& pass) const override {
    const Tensor pooled =
        pass.activation(Activation::kTanh, pass.linear("vilt.pooler.dense", first));
    const Tensor classified =
        pass.layer_norm("classifier.1", pass.linear("classifier.0", pooled), kClassifierNormEps);
    return pass.linear("classifier.3", pass.activation(Activation::kGelu, classified));
  }

 private:
  void declare();
  Tensor run_text(const Batch& batch, const Tensor& modality, Pass& pass) const;

  static inline const std::string kText = "vilt.embeddings.text_embeddings.";
  static inline const std::string kModality = "vilt.embeddings.token_type_embeddings.weight";
  ViltConfig config_;
};

void Vilt::declare() {
  const std::int64_t hidden = config_.hidden_size;
  const Init token =
      config_.scaled_initialization ? embedding() : Init{};  // 0, as transformers has it
  declared().begin_stage({"embeddings", Role::kEmbeddings});
  add_tokens("vilt.embeddings.cls_token", 1, token);
  add_tokens("vilt.embeddings.position_embeddings", config_.patches() + 1, token).part =
      Part::kPositions;
  add_table(kText + "word_embeddings", config_.vocab_size).vocabulary = true;
  add_table(kText + "position_embeddings", config_.max_position_embeddings);
  add_table(kText + "token_type_embeddings", config_.type_vocab_size);
  declared().add_norm(kText + "LayerNorm", hidden);
  add_projection();
  add_table("vilt.embeddings.token_type_embeddings", config_.modality_type_vocab_size);
  add_place("vilt.embeddings", LayerKind::kSequence).patch_numbers = patch_numbers();
  add_blocks(false);
  declared().begin_stage({"head", Role::kHead});
  declared().add_norm("vilt.layernorm", hidden);
  add_linear("vilt.pooler.dense", hidden, hidden);
  add_linear("classifier.0", 2 * hidden, hidden);
  declared().add_norm("classifier.1", 2 * hidden);
  add_linear("classifier.3", static_cast<std::int64_t>(labels_.size()), 2 * hidden);
}

Tensor Vilt::run_text(const Batch& batch, const Tensor& modality, Pass& pass) const {
  const std::int64_t n = batch.size(), tokens = batch.input_ids.size(1);
  const auto ids = batch.input_ids.options();
  const std::string word = kText + "word_embeddings.weight";
  const std::string position = kText + "position_embeddings.weight";
  const std::string type = kText + "token_type_embeddings.weight";
  const Tensor none = torch::zeros({n, tokens}, ids);

  Tensor text = pass.lookup(word, batch.input_ids) +
                (pass.weight(position).narrow(0, 0, tokens) + pass.weight(type).select(0, 0));
  text = pass.used(Use::kEmbedding, word, batch.input_ids, text);
  text = pass.used(Use::kEmbedding, position, torch::arange(tokens, ids).expand({n, tokens}), text);
  text = pass.used(Use::kEmbedding, type, none, text);
  text = pass.dropout(pass.layer_norm(kText + "LayerNorm", text, config_.layer_norm_eps),
                      config_.hidden_dropout_prob);
  return pass.used(Use::kEmbedding, kModality, none, text + modality.select(0, 0));
}

Json Vilt::config() const {
  const Json shared = shared_config("ViltForQuestionAnswering");
  Json json;
  for (const auto& [key, value] : shared.items()) {
    json[key] = value;
    // transformers sorts its keys.
    if (key == "layer_norm_eps") {
      json["max_image_length"] = config_.max_image_length;
      json["max_position_embeddings"] = config_.max_position_embeddings;
      json["modality_type_vocab_size"] = config_.modality_type_vocab_size;
    } else if (key == "num_hidden_layers") {
      json["num_images"] = -1;
    }
  }
  json["type_vocab_size"] = config_.type_vocab_size;
  json["vocab_size"] = config_.vocab_size;
  return json;
}

}  // namespace

ViltConfig::ViltConfig() {
  model_type = "vilt";
}

std::shared_ptr<const Architecture> make_vilt(ViltConfig config) {
  return std::make_shared<Vilt>(std::move(config));
}

std::shared_ptr<const Architecture> read_vilt(ObjectReader& reader) {
  ViltConfig config;
  config.vocab_size = reader.integer("vocab_size", 1, kLargestVocabulary, config.vocab_size);
  config.type_vocab_size = reader.integer("type_vocab_size", 1, kMostTypes, config.type_vocab_size);
  config.modality_type_vocab_size =
      reader.integer("modality_type_vocab_size", 2, kMostTypes, config.modality_type_vocab_size);
  config.max_position_embeddings =
      reader.integer("max_position_embeddings", 2, kLongestText, config.max_position_embeddings);
  config.max_image_length = reader.integer("max_image_length", -kMostPatches, kMostPatches, -1);
  read_patch_transformer(reader, config);
  config.labels = read_labels(reader);
  if (config.max_image_length >= 0 && config.max_image_length < config.patches()) {
    reader.fail("max_image_length",
                "of the " + std::to_string(config.patches()) + " patches of an image only " +
                    std::to_string(config.max_image_length) +
                    " would be read, which transformers draws at random; -1 reads all of them");
  }
  return make_vilt(std::move(config));
}

std::shared_ptr<const Architecture> vilt_from_yaml(ObjectReader& section) {
  ViltConfig config;
  patch_transformer_from_yaml(section, config);
  config.max_position_embeddings =
      section.integer("max_text", 2, 4096, config.max_position_embeddings);
  return make_vilt(std::move(config));
}

}  // namespace strata::models
