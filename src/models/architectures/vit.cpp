#include "models/architectures/vit.h"

#include <algorithm>

#include "models/architectures/config_limits.h"
#include "models/architectures/timm_vit.h"
#include "models/batch.h"
#include "models/pass.h"

namespace strata::models {
namespace {

using torch::Tensor;

/// What timm calls layers outside the blocks, and within.
struct TimmName {
  const char* own;
  const char* of_timm;
};
constexpr TimmName kTimmLayers[] = {
    {"vit.embeddings.cls_token", "cls_token"},
    {"vit.embeddings.position_embeddings", "pos_embed"},
    {"vit.embeddings.patch_embeddings.projection", "patch_embed.proj"},
    {"vit.norm_pre", "norm_pre"},
    {"vit.layernorm", "norm"},
    {"classifier", "head"}};
constexpr TimmName kTimmBlockLayers[] = {{"attention.output.dense", "attn.proj"},
                                         {"intermediate.dense", "mlp.fc1"},
                                         {"output.dense", "mlp.fc2"},
                                         {"layernorm_before", "norm1"},
                                         {"layernorm_after", "norm2"}};
/// In the order of the rows of timm's tensor.
constexpr const char* kFused[] = {"attention.attention.query", "attention.attention.key",
                                  "attention.attention.value"};

const std::string kPrefix = "vit.", kBlocks = "vit.encoder.layer.", kNormPre = "vit.norm_pre";

class Vit : public PatchTransformer {
 public:
  explicit Vit(VitConfig config) : PatchTransformer(config), config_(std::move(config)) {
    const std::int64_t hidden = config_.hidden_size;
    declared().begin_stage({"embeddings", Role::kEmbeddings});
    add_tokens("vit.embeddings.cls_token", 1, embedding());
    add_tokens("vit.embeddings.position_embeddings", config_.patches() + 1, embedding()).part =
        Part::kPositions;
    add_projection();
    if (config_.norm_before) declared().add_norm(kNormPre, hidden);
    add_place("vit.embeddings", LayerKind::kSequence).patch_numbers = patch_numbers();
    // transformers has no model of these, under either of a ViT's names.
    add_blocks(/*two_names=*/!config_.norm_before);
    declared().begin_stage({"head", Role::kHead});
    declared().add_norm("vit.layernorm", hidden);
    if (!labels_.empty())
      add_linear("classifier", static_cast<std::int64_t>(labels_.size()), hidden);
    for (Layer& layer : layers_) {
      if (config_.of_timm) name_as_timm(layer);
      if (config_.of_encoder && layer.name.starts_with(kPrefix))
        layer.aliases.push_back(layer.name.substr(kPrefix.size()));
    }
  }

  Batch example(std::int64_t) const override {
    const std::int64_t side = config_.image_size;
    return {Tensor(), Tensor(), torch::zeros({1, config_.num_channels, side, side}),
            torch::zeros({1}, torch::kInt64)};
  }
  ImageModel image_model() const override { return images_of(ImageSizes::kOne); }
  Json config() const override {
    return shared_config(labels_.empty() ? "ViTModel" : "ViTForImageClassification");
  }
  std::vector<std::string> passed_over() const override {
    if (!config_.of_encoder) return {};
    return {"decoder.", "pooler.", "vit.pooler."};
  }
  std::shared_ptr<const Architecture> with(std::vector<std::string> labels,
                                           std::int64_t) const override {
    VitConfig changed = config_;
    changed.labels = std::move(labels);
    return make_vit(std::move(changed));
  }

 protected:
  State run_embeddings(const Batch& batch, Pass& pass) const override {
    const Tensor image =
        pass.dropout(run_image(batch, Tensor(), pass), config_.hidden_dropout_prob);
    if (!config_.norm_before) return entered(batch, image, pass);
    const Tensor rows = image.reshape({-1, config_.hidden_size});
    const Tensor normed = pass.layer_norm(kNormPre, rows, config_.layer_norm_eps);
    return entered(batch, normed.view(image.sizes()), pass);
  }

  Tensor run_head(const Tensor& first, Pass& pass) const override {
    return labels_.empty() ? first : pass.linear("classifier", first);
  }

 private:
  static void name_as_timm(Layer& layer) {
    for (const TimmName& known : kTimmLayers)
      if (layer.name == known.own) layer.aliases.emplace_back(known.of_timm);
    if (!layer.name.starts_with(kBlocks)) return;
    const std::size_t dot = layer.name.find('.', kBlocks.size());
    if (dot == std::string::npos) return;  // the place behind a block
    const std::string at =
        "blocks." + layer.name.substr(kBlocks.size(), dot - kBlocks.size()) + ".";
    const std::string tail = layer.name.substr(dot + 1);
    for (const TimmName& known : kTimmBlockLayers)
      if (tail == known.own) layer.aliases.push_back(at + known.of_timm);
    const auto* fused = std::find(std::begin(kFused), std::end(kFused), tail);
    if (fused != std::end(kFused))
      layer.share = {at + "attn.qkv", fused - std::begin(kFused), std::ssize(kFused)};
  }

  VitConfig config_;
};

/// Whether `architectures` names the encoder alone first.
bool names_encoder(const Json& config) {
  const auto names = config.find("architectures");
  return names != config.end() && names->is_array() && !names->empty() &&
         names->front() == "ViTModel";
}

}  // namespace

VitConfig::VitConfig() {
  model_type = "vit";
  image_size = 224;
  patch_size = 16;
}

std::shared_ptr<const Architecture> make_vit(VitConfig config) {
  return std::make_shared<Vit>(std::move(config));
}

std::shared_ptr<const Architecture> read_vit(ObjectReader& reader) {
  if (!reader.has("model_type")) return make_vit(read_timm_vit(reader));
  VitConfig config;
  config.of_encoder = names_encoder(reader.whole());
  read_patch_transformer(reader, config);
  if (!config.of_encoder) config.labels = read_labels(reader);
  return make_vit(std::move(config));
}

std::shared_ptr<const Architecture> read_vit_mae(ObjectReader& reader) {
  VitConfig config;
  config.of_encoder = true;
  read_patch_transformer(reader, config);
  return make_vit(std::move(config));
}

std::shared_ptr<const Architecture> vit_from_yaml(ObjectReader& section) {
  VitConfig config;
  patch_transformer_from_yaml(section, config);
  return make_vit(std::move(config));
}

}  // namespace strata::models
