#include "models/architectures/vit.h"

#include <algorithm>

#include "models/architectures/config_limits.h"
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

const std::string kPrefix = "vit.", kBlocks = "vit.encoder.layer.";

class Vit : public PatchTransformer {
 public:
  explicit Vit(VitConfig config) : PatchTransformer(config), config_(std::move(config)) {
    const std::int64_t hidden = config_.hidden_size;
    declared().begin_stage({"embeddings", Role::kEmbeddings});
    add_tokens("vit.embeddings.cls_token", 1, embedding());
    add_tokens("vit.embeddings.position_embeddings", config_.patches() + 1, embedding()).part =
        Part::kPositions;
    add_projection();
    add_place("vit.embeddings", LayerKind::kSequence).patch_numbers = patch_numbers();
    add_blocks(true);
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
    const Tensor image = run_image(batch, Tensor(), pass);
    return entered(batch, pass.dropout(image, config_.hidden_dropout_prob), pass);
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

struct PublishedVit {
  const char* name;
  std::int64_t hidden_size, layers, heads, patch_size, image_size;
};
// timm 1.0.31's VisionTransformers that have no more than a ViT of transformers.
constexpr PublishedVit kPublishedVits[] = {
    {"vit_tiny_patch16_224", 192, 12, 3, 16, 224},
    {"vit_tiny_patch16_384", 192, 12, 3, 16, 384},
    {"vit_small_patch32_224", 384, 12, 6, 32, 224},
    {"vit_small_patch32_384", 384, 12, 6, 32, 384},
    {"vit_small_patch16_224", 384, 12, 6, 16, 224},
    {"vit_small_patch16_384", 384, 12, 6, 16, 384},
    {"vit_small_patch8_224", 384, 12, 6, 8, 224},
    {"vit_base_patch32_224", 768, 12, 12, 32, 224},
    {"vit_base_patch32_384", 768, 12, 12, 32, 384},
    {"vit_base_patch16_224", 768, 12, 12, 16, 224},
    {"vit_base_patch16_384", 768, 12, 12, 16, 384},
    {"vit_base_patch8_224", 768, 12, 12, 8, 224},
    {"vit_large_patch32_224", 1024, 24, 16, 32, 224},
    {"vit_large_patch32_384", 1024, 24, 16, 32, 384},
    {"vit_large_patch16_224", 1024, 24, 16, 16, 224},
    {"vit_large_patch16_384", 1024, 24, 16, 16, 384},
    {"vit_large_patch14_224", 1024, 24, 16, 14, 224},
    {"vit_huge_patch14_224", 1280, 32, 16, 14, 224},
    {"deit_tiny_patch16_224", 192, 12, 3, 16, 224},
    {"deit_small_patch16_224", 384, 12, 6, 16, 224},
    {"deit_base_patch16_224", 768, 12, 12, 16, 224},
    {"deit_base_patch16_384", 768, 12, 12, 16, 384},
};

/// `img_size`: a number, or that of the rows and the same of the columns.
std::int64_t read_timm_side(ObjectReader& arguments, std::int64_t fallback) {
  if (!arguments.raw("img_size").is_array())
    return arguments.integer("img_size", 1, kLargestImage, fallback);
  const auto sides = read_sizes(arguments, "img_size", 1, kLargestImage, {});
  if (sides.size() != 2 || sides[0] != sides[1])
    arguments.fail("img_size", "found " + excerpt(arguments.raw("img_size")) +
                                   ", but the size of a square is read: [224, 224]");
  return sides[0];
}

/// What create_model was told besides the network's name; anything else would make another
/// network.
void read_timm_arguments(ObjectReader& reader, VitConfig& config, double& mlp_ratio) {
  if (reader.raw("model_args").is_null()) return;
  ObjectReader arguments = reader.object("model_args");
  const auto integer = [&](const char* key, std::int64_t high, std::int64_t& field) {
    field = arguments.integer(key, 1, high, field);
  };
  const auto labels = static_cast<std::int64_t>(config.labels.size());
  arguments.integer("num_classes", labels, labels, labels);
  arguments.integer("in_chans", 3, 3, 3);
  arguments.choice("global_pool", {"token"}, "token");
  config.image_size = read_timm_side(arguments, config.image_size);
  integer("patch_size", kLargestImage, config.patch_size);
  integer("embed_dim", kLargestWidth, config.hidden_size);
  integer("depth", kMostLayers, config.num_hidden_layers);
  integer("num_heads", kLargestWidth, config.num_attention_heads);
  mlp_ratio = arguments.number("mlp_ratio", 0.01, 100, mlp_ratio);
  config.qkv_bias = arguments.boolean("qkv_bias", config.qkv_bias);
  check_divisible(arguments, "embed_dim", config.hidden_size, "num_heads",
                  config.num_attention_heads);
  check_divisible(arguments, "img_size", config.image_size, "patch_size", config.patch_size);
  arguments.finish();
}

VitConfig read_timm_vit(ObjectReader& reader) {
  const std::string name = reader.choice("architecture", vit_timm_names());
  VitConfig config;
  config.of_timm = true;
  config.layer_norm_eps = 1e-6;
  for (const PublishedVit& network : kPublishedVits) {
    if (network.name != name) continue;
    config.hidden_size = network.hidden_size;
    config.num_hidden_layers = network.layers;
    config.num_attention_heads = network.heads;
    config.patch_size = network.patch_size;
    config.image_size = network.image_size;
  }
  if (!reader.raw("pretrained_cfg").is_null()) {
    ObjectReader published = reader.object("pretrained_cfg");
    if (published.boolean("fixed_input_size", false))
      config.image_size = read_sizes(published, "input_size", 1, kLargestImage, {224}).back();
  }
  reader.choice("global_pool", {"token"}, "token");
  config.labels = read_timm_labels(reader, 0);
  double mlp_ratio = 4;
  read_timm_arguments(reader, config, mlp_ratio);
  config.intermediate_size =
      static_cast<std::int64_t>(static_cast<double>(config.hidden_size) * mlp_ratio);
  return config;
}

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

std::vector<std::string> vit_timm_names() {
  std::vector<std::string> names;
  for (const PublishedVit& network : kPublishedVits) names.emplace_back(network.name);
  return names;
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
