#include "models/architectures/clip.h"

#include <cmath>

#include "models/architectures/config_limits.h"
#include "models/architectures/layer_list.h"
#include "models/architectures/patch_tokens.h"
#include "models/architectures/vision_tower.h"
#include "models/batch.h"
#include "models/pass.h"

namespace strata::models {
namespace {

using torch::Tensor;

constexpr const char* kClipRows = "rows";
constexpr const char* kVisionType = "clip_vision_model";
const std::string kClipClass = "CLIPForImageClassification", kVisionModel = "vision_model.";
const std::string kClipEmbeddings = kVisionModel + "embeddings";
const std::string kClassEmbedding = kClipEmbeddings + ".class_embedding";
const std::string kPatchEmbedding = kClipEmbeddings + ".patch_embedding";
const std::string kPositionEmbedding = kClipEmbeddings + ".position_embedding";
const std::string kNormBefore = kVisionModel + "pre_layrnorm";  // so it is called

std::string clip_block(std::int64_t block) {
  return kVisionModel + "encoder.layers." + std::to_string(block);
}

class Clip : public Architecture {
 public:
  Clip(TowerConfig config, std::vector<std::string> labels) : config_(std::move(config)) {
    labels_ = std::move(labels);
    declare_embeddings();
    for (std::int64_t block = 0; block < config_.num_hidden_layers; ++block) declare_block(block);
    list_.begin_stage({"head", Role::kHead});
    // It reads the class token, which the classifier does not.
    list_.add_norm(kVisionModel + "post_layernorm", config_.hidden_size).frozen = true;
    if (!labels_.empty()) {
      list_.add_linear("classifier", static_cast<std::int64_t>(labels_.size()), config_.hidden_size,
                       {Init::Kind::kNormal, 1 / std::sqrt(config_.hidden_size)});
    }
    for (Layer& layer : layers_)
      if (layer.name.starts_with(kVisionModel))
        layer.aliases = {layer.name.substr(kVisionModel.size())};
  }

  const std::string& type() const override {
    static const std::string name = "clip";
    return name;
  }
  State run(std::int64_t stage, const Batch& batch, const State& input, Pass& pass) const override {
    if (stage == 0) return {{{kClipRows, embed(batch, pass)}}, {}};
    const Tensor& rows = input.values.at(kClipRows);
    if (stage <= config_.num_hidden_layers)
      return {{{kClipRows, run_block(stage - 1, rows, batch.size(), pass)}}, {}};
    const std::int64_t before = pass.blueprint().prefix_tokens() + 1;
    const Tensor tokens = rows.view({batch.size(), -1, config_.hidden_size});
    const Tensor mean = tokens.narrow(1, before, config_.patches()).mean(1);
    return {{{kLogits, labels_.empty() ? mean : pass.linear("classifier", mean)}}, {}};
  }
  Batch example(std::int64_t) const override {
    const std::int64_t side = config_.image_size;
    return {Tensor(), Tensor(), torch::zeros({1, 3, side, side}), torch::zeros({1}, torch::kInt64)};
  }
  ImageModel image_model() const override {
    return {ImageSizes::kOne, static_cast<int>(config_.image_size),
            static_cast<int>(config_.patch_size), "CLIP"};
  }
  Json config() const override;
  std::vector<std::string> passed_over() const override {
    return {"text_model.", "text_projection.", "visual_projection.", "logit_scale"};
  }
  std::shared_ptr<const Architecture> with(std::vector<std::string> labels,
                                           std::int64_t) const override {
    return std::make_shared<Clip>(config_, std::move(labels));
  }

 private:
  void declare_embeddings();
  void declare_block(std::int64_t block);
  Tensor embed(const Batch& batch, Pass& pass) const;
  Tensor run_block(std::int64_t block, const Tensor& rows, std::int64_t n, Pass& pass) const;

  TowerConfig config_;
  LayerList list_{stages_, layers_};
};

void Clip::declare_embeddings() {
  const std::int64_t hidden = config_.hidden_size, patch = config_.patch_size;
  const Init init{Init::Kind::kNormal, config_.initializer_range};
  list_.begin_stage({"embeddings", Role::kEmbeddings});
  list_.add_tokens(kClassEmbedding, {hidden}, init);
  list_.add_patches(kPatchEmbedding, hidden, 3, patch, init, /*bias=*/false);
  // A table of which every image has all rows.
  list_.add({.name = kPositionEmbedding,
             .kind = LayerKind::kTokens,
             .width = hidden,
             .parameters = {{kPositionEmbedding + ".weight", {config_.tokens(), hidden}, init}},
             .part = Part::kPositions});
  list_.add_norm(kNormBefore, hidden);
  list_.add_place(kClipEmbeddings, LayerKind::kSequence, hidden).patch_numbers = 3 * patch * patch;
}

void Clip::declare_block(std::int64_t block) {
  const std::int64_t hidden = config_.hidden_size, inner = config_.intermediate_size;
  const Init init{Init::Kind::kNormal, config_.initializer_range};
  const std::string at = clip_block(block);
  const auto linear = [&](const char* tail, std::int64_t out, std::int64_t in, Part part) {
    list_.add_linear(at + tail, out, in, init).part = part;
  };
  list_.begin_stage({"block." + std::to_string(block), Role::kBody});
  for (const char* tail : {".self_attn.k_proj", ".self_attn.v_proj", ".self_attn.q_proj"})
    linear(tail, hidden, hidden, Part::kAttention);
  linear(".self_attn.out_proj", hidden, hidden, Part::kAttentionOutput);
  list_.add_norm(at + ".layer_norm1", hidden);
  linear(".mlp.fc1", inner, hidden, Part::kOther);
  linear(".mlp.fc2", hidden, inner, Part::kMlpOutput);
  list_.add_norm(at + ".layer_norm2", hidden).part = Part::kMlpNorm;
  list_.add_place(at, LayerKind::kBlock, hidden).patch_numbers =
      3 * config_.patch_size * config_.patch_size;
}

Tensor Clip::embed(const Batch& batch, Pass& pass) const {
  const std::int64_t n = batch.size(), hidden = config_.hidden_size;
  const std::int64_t side = config_.grid() * config_.patch_size;
  const std::string positions = kPositionEmbedding + ".weight";
  const Tensor added = pass.weight(positions);
  // A rest at the right and at the bottom is not read, as the convolution has it.
  const Tensor read = batch.pixels.narrow(2, 0, side).narrow(3, 0, side).to(added.scalar_type());
  const Tensor patches = pass.linear(kPatchEmbedding, patch_rows(read, config_.patch_size))
                             .view({n, config_.patches(), hidden});
  const Tensor first = pass.weight(kClassEmbedding).view({1, 1, hidden}).expand({n, 1, hidden});
  Tensor rows =
      torch::cat({pass.used(Use::kAdded, kClassEmbedding, Tensor(), first), patches}, 1) + added;
  rows = pass.used(Use::kAdded, positions, Tensor(), rows).reshape({-1, hidden});
  rows = pass.layer_norm(kNormBefore, rows, config_.layer_norm_eps);
  return pass.sequence(kClipEmbeddings, rows.view({n, -1, hidden})).reshape({-1, hidden});
}

Tensor Clip::run_block(std::int64_t block, const Tensor& input, std::int64_t n, Pass& pass) const {
  const double eps = config_.layer_norm_eps;
  const std::string at = clip_block(block);
  const auto linear = [&](const char* layer, const Tensor& x) {
    return pass.linear(at + layer, x);
  };
  const Tensor rows = pass.block_begin(at, input, n);
  const Tensor mask = torch::zeros({n, rows.size(0) / n}, rows.options().requires_grad(false));
  const Tensor normed = pass.layer_norm(at + ".layer_norm1", rows, eps);
  const Tensor context = pass.attention(
      linear(".self_attn.q_proj", normed), linear(".self_attn.k_proj", normed),
      linear(".self_attn.v_proj", normed), mask, Heads{config_.num_attention_heads}, 0);
  const Tensor x = pass.sum(rows, linear(".self_attn.out_proj", context));
  const Tensor inner = linear(".mlp.fc1", pass.layer_norm(at + ".layer_norm2", x, eps));
  return pass.block_end(
      at, pass.sum(x, linear(".mlp.fc2", pass.activation(config_.activation, inner))));
}

Json Clip::config() const {
  Json vision;
  vision["hidden_act"] = activation_name(config_.activation);
  vision["hidden_size"] = config_.hidden_size;
  vision["image_size"] = config_.image_size;
  vision["initializer_range"] = config_.initializer_range;
  vision["intermediate_size"] = config_.intermediate_size;
  vision["layer_norm_eps"] = config_.layer_norm_eps;
  vision["model_type"] = kVisionType;
  vision["num_attention_heads"] = config_.num_attention_heads;
  vision["num_channels"] = 3;
  vision["num_hidden_layers"] = config_.num_hidden_layers;
  vision["patch_size"] = config_.patch_size;
  Json json = labels_.empty() ? vision : Json();
  json["architectures"] = {labels_.empty() ? "CLIPVisionModel" : kClipClass};
  if (!labels_.empty()) {
    json["id2label"] = id2label(labels_);
    json["label2id"] = label2id(labels_);
    json["model_type"] = type();
    json["vision_config"] = vision;
  }
  json["torch_dtype"] = "float32";
  return json;
}

/// Whether `architectures` names the classifier first.
bool names_classifier(const Json& config) {
  const auto names = config.find("architectures");
  return names != config.end() && names->is_array() && !names->empty() &&
         names->front() == kClipClass;
}

}  // namespace

std::shared_ptr<const Architecture> read_clip(ObjectReader& reader) {
  const TowerConfig fallback = tower_defaults(kVisionType);
  if (reader.text("model_type") == kVisionType)
    return std::make_shared<Clip>(read_tower(reader, fallback, {kVisionType}),
                                  std::vector<std::string>());
  TowerConfig config = fallback;
  if (reader.has("vision_config")) {
    ObjectReader vision = reader.object("vision_config");
    config = read_tower(vision, fallback, {kVisionType});
  }
  const bool labelled = names_classifier(reader.whole());
  return std::make_shared<Clip>(std::move(config),
                                labelled ? read_labels(reader) : std::vector<std::string>());
}

}  // namespace strata::models
