#include "models/architectures/vision_tower.h"

#include "models/architectures/activations.h"
#include "models/architectures/config_limits.h"
#include "models/architectures/patch_tokens.h"

namespace strata::models {
namespace {

using torch::Tensor;

TowerConfig clip() {
  TowerConfig config;
  config.model_type = "clip_vision_model";
  return config;
}

TowerConfig siglip() {
  TowerConfig config;
  config.model_type = "siglip_vision_model";
  config.layer_norm_eps = 1e-6;
  config.activation = Activation::kGeluTanh;
  config.class_token = config.norm_before = false;
  config.patch_bias = true;
  return config;
}

struct TowerRow {
  const char* type;
  TowerConfig (*defaults)();
};

// A further tower of this kind is a row.
constexpr TowerRow kTowers[] = {{"clip_vision_model", clip}, {"siglip_vision_model", siglip}};

std::vector<std::string> tower_names() {
  std::vector<std::string> names;
  for (const TowerRow& row : kTowers) names.emplace_back(row.type);
  return names;
}

std::string at_block(std::int64_t block) {
  return "encoder.layers." + std::to_string(block);
}

}  // namespace

TowerConfig tower_defaults(const std::string& model_type) {
  for (const TowerRow& row : kTowers)
    if (row.type == model_type) return row.defaults();
  throw std::out_of_range(model_type);
}

TowerConfig read_tower(ObjectReader& reader, const TowerConfig& fallback) {
  const std::string type = reader.choice("model_type", tower_names(), fallback.model_type);
  TowerConfig config = type == fallback.model_type ? fallback : tower_defaults(type);
  const auto integer = [&](const char* key, std::int64_t low, std::int64_t high,
                           std::int64_t& field) { field = reader.integer(key, low, high, field); };
  integer("hidden_size", 1, kLargestWidth, config.hidden_size);
  integer("intermediate_size", 1, kLargestIntermediate, config.intermediate_size);
  integer("num_hidden_layers", 1, kMostLayers, config.num_hidden_layers);
  integer("num_attention_heads", 1, kLargestWidth, config.num_attention_heads);
  integer("image_size", 1, kLargestImage, config.image_size);
  integer("patch_size", 1, kLargestImage, config.patch_size);
  std::int64_t channels = 3;
  integer("num_channels", 3, 3, channels);
  config.layer_norm_eps = reader.number("layer_norm_eps", 0, 1, config.layer_norm_eps);
  config.initializer_range = reader.number("initializer_range", 0, 10, config.initializer_range);
  config.activation = read_activation(reader, "hidden_act", config.activation);
  if (!config.class_token) config.pooling_head = reader.boolean("vision_use_head", true);
  check_divisible(reader, "hidden_size", config.hidden_size, "num_attention_heads",
                  config.num_attention_heads);
  // A rest at the right and at the bottom is not read, as the convolution has it.
  if (config.patch_size > config.image_size)
    reader.fail("patch_size", "found " + std::to_string(config.patch_size) +
                                  ", more than image_size = " + std::to_string(config.image_size));
  return config;
}

Layer& VisionTower::named(Layer& layer, const std::string& tail) const {
  for (std::size_t i = 1; i < names_.size(); ++i) layer.aliases.push_back(names_[i] + tail);
  return layer;
}

void VisionTower::declare_embeddings(LayerList& list) const {
  const std::int64_t hidden = config_.hidden_size, patch = config_.patch_size;
  const Init init{Init::Kind::kNormal, config_.initializer_range};
  if (config_.class_token)
    named(list.add_tokens(name("embeddings.class_embedding"), {hidden}, init),
          "embeddings.class_embedding");
  named(list.add_patches(name("embeddings.patch_embedding"), hidden, 3, patch, init,
                         config_.patch_bias),
        "embeddings.patch_embedding");
  // A table of which every image has all rows.
  Layer positions{
      .name = name("embeddings.position_embedding"),
      .kind = LayerKind::kTokens,
      .width = hidden,
      .parameters = {
          {name("embeddings.position_embedding.weight"), {config_.tokens(), hidden}, init}}};
  named(list.add(std::move(positions)), "embeddings.position_embedding");
  if (config_.norm_before) named(list.add_norm(name("pre_layrnorm"), hidden), "pre_layrnorm");
}

void VisionTower::declare_weights_of(std::int64_t block, bool frozen, LayerList& list) const {
  const std::int64_t hidden = config_.hidden_size, inner = config_.intermediate_size;
  const Init init{Init::Kind::kNormal, config_.initializer_range};
  const std::string at = at_block(block) + ".";
  const auto add = [&](Layer& layer, const char* tail) {
    named(layer, at + tail).frozen = frozen;
    layer.role = Role::kVision;  // also of a block that stands in the connector's stage
  };
  const auto linear = [&](const char* tail, std::int64_t out, std::int64_t in) {
    add(list.add_linear(name(at + tail), out, in, init), tail);
  };
  const auto norm = [&](const char* tail) { add(list.add_norm(name(at + tail), hidden), tail); };
  for (const char* projection :
       {"self_attn.k_proj", "self_attn.v_proj", "self_attn.q_proj", "self_attn.out_proj"})
    linear(projection, hidden, hidden);
  norm("layer_norm1");
  linear("mlp.fc1", inner, hidden);
  linear("mlp.fc2", hidden, inner);
  norm("layer_norm2");
}

void VisionTower::declare_block(std::int64_t block, LayerList& list) const {
  declare_weights_of(block, /*frozen=*/false, list);
  list.add_place(name(at_block(block)), LayerKind::kBlock, config_.hidden_size);
}

void VisionTower::declare_rest(LayerList& list) const {
  for (std::int64_t block = used_; block < config_.num_hidden_layers; ++block)
    declare_weights_of(block, /*frozen=*/true, list);
  named(list.add_norm(name("post_layernorm"), config_.hidden_size), "post_layernorm").frozen =
      !uses_last_norm_;
}

Tensor VisionTower::embed(const Tensor& pixels, Pass& pass) const {
  const std::int64_t n = pixels.size(0), hidden = config_.hidden_size;
  const std::int64_t side = config_.grid() * config_.patch_size;
  const std::string token = name("embeddings.class_embedding");
  const std::string positions = name("embeddings.position_embedding.weight");
  const Tensor added = pass.weight(positions);
  const Tensor read = pixels.narrow(2, 0, side).narrow(3, 0, side).to(added.scalar_type());
  Tensor rows =
      pass.linear(name("embeddings.patch_embedding"), patch_rows(read, config_.patch_size))
          .view({n, config_.patches(), hidden});
  if (config_.class_token) {
    const Tensor first = pass.weight(token).view({1, 1, hidden}).expand({n, 1, hidden});
    rows = torch::cat({pass.used(Use::kAdded, token, Tensor(), first), rows}, 1);
  }
  rows = pass.used(Use::kAdded, positions, Tensor(), rows + added).reshape({-1, hidden});
  if (!config_.norm_before) return rows;
  return pass.layer_norm(name("pre_layrnorm"), rows, config_.layer_norm_eps);
}

Tensor VisionTower::run_block(std::int64_t block, const Tensor& rows, Pass& pass) const {
  const double eps = config_.layer_norm_eps;
  const std::string at = name(at_block(block));
  const Tensor mask = torch::zeros({rows.size(0) / config_.tokens(), config_.tokens()},
                                   rows.options().requires_grad(false));
  const Tensor normed = pass.layer_norm(at + ".layer_norm1", rows, eps);
  const auto linear = [&](const char* layer, const Tensor& x) {
    return pass.linear(at + layer, x);
  };
  const Tensor context = pass.attention(
      linear(".self_attn.q_proj", normed), linear(".self_attn.k_proj", normed),
      linear(".self_attn.v_proj", normed), mask, Heads{config_.num_attention_heads}, 0);
  const Tensor x = rows + linear(".self_attn.out_proj", context);
  const Tensor inner = linear(".mlp.fc1", pass.layer_norm(at + ".layer_norm2", x, eps));
  const Tensor sum = x + linear(".mlp.fc2", pass.activation(config_.activation, inner));
  return pass.block_end(at, sum);
}

Tensor VisionTower::last_norm(const Tensor& rows, Pass& pass) const {
  return pass.layer_norm(name("post_layernorm"), rows, config_.layer_norm_eps);
}

}  // namespace strata::models
