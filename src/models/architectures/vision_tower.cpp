#include "models/architectures/vision_tower.h"

#include "models/architectures/activations.h"
#include "models/architectures/config_limits.h"
#include "models/architectures/patch_tokens.h"

namespace strata::models {
namespace {

using torch::Tensor;

TowerConfig clip() {
  return {};
}

TowerConfig siglip() {
  TowerConfig config;
  config.layer_norm_eps = 1e-6;
  config.activation = Activation::kGeluTanh;
  config.class_token = config.norm_before = false;
  config.patch_bias = true;
  return config;
}

/// SigLIP, as Idefics 3 and SmolVLM name it.
TowerConfig idefics3() {
  TowerConfig config = siglip();
  config.hidden_size = 1152;
  config.num_attention_heads = 16;
  return config;
}

TowerConfig eva() {
  TowerConfig config;
  config.hidden_size = 1408, config.intermediate_size = 6144, config.num_hidden_layers = 39;
  config.num_attention_heads = 16, config.image_size = 224, config.patch_size = 14;
  config.layer_norm_eps = 1e-6;
  config.initializer_range = 1e-10;
  config.activation = Activation::kGelu;
  config.norm_before = false;
  config.patch_bias = config.together = true;
  return config;
}

struct TowerRow {
  const char* type;
  TowerConfig (*defaults)();
};

// A further tower of this kind is a row.
constexpr TowerRow kTowers[] = {{"clip_vision_model", clip},   {"siglip_vision_model", siglip},
                                {"idefics3_vision", idefics3}, {"smolvlm_vision", idefics3},
                                {"idefics3", idefics3},        {"smolvlm", idefics3},
                                {"blip_2_vision_model", eva}};

std::string at_block(std::int64_t block) {
  return "encoder.layers." + std::to_string(block);
}

}  // namespace

TowerConfig tower_defaults(const std::string& model_type) {
  for (const TowerRow& row : kTowers)
    if (row.type == model_type) {
      TowerConfig config = row.defaults();
      config.model_type = model_type;
      return config;
    }
  throw std::out_of_range(model_type);
}

TowerConfig read_tower(ObjectReader& reader, const TowerConfig& fallback,
                       const std::vector<std::string>& types) {
  const std::string type = reader.choice("model_type", types, fallback.model_type);
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
  if (config.together) config.qkv_bias = reader.boolean("qkv_bias", true);
  if (!config.class_token) reader.boolean("vision_use_head", true);  // no such head is computed
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

void VisionTower::declare_stages(LayerList& list) const {
  list.begin_stage({"vision.embeddings", Role::kVision});
  declare_embeddings(list);
  for (std::int64_t block = 0; block < used_; ++block) {
    list.begin_stage({"vision.block." + std::to_string(block), Role::kVision, "vision."});
    declare_block(block, list);
  }
}

void VisionTower::declare_embeddings(LayerList& list) const {
  const std::int64_t hidden = config_.hidden_size, patch = config_.patch_size;
  const Init init{Init::Kind::kNormal, config_.initializer_range};
  if (config_.class_token)
    named(list.add_tokens(name("embeddings.class_embedding"),
                          config_.together ? Shape{1, 1, hidden} : Shape{hidden}, init),
          "embeddings.class_embedding");
  named(list.add_patches(name("embeddings.patch_embedding"), hidden, 3, patch, init,
                         config_.patch_bias),
        "embeddings.patch_embedding");
  // A table of which every image has all rows.
  Layer table{.name = name("embeddings.position_embedding"),
              .kind = LayerKind::kTokens,
              .width = hidden,
              .parameters = {{positions(),
                              config_.together ? Shape{1, config_.tokens(), hidden}
                                               : Shape{config_.tokens(), hidden},
                              init}}};
  named(list.add(std::move(table)), "embeddings.position_embedding");
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
  Part part = Part::kAttention;
  const auto linear = [&](const char* tail, std::int64_t out, std::int64_t in, bool bias = true) {
    Layer& layer = list.add_linear(name(at + tail), out, in, init, bias);
    layer.part = part;
    add(layer, tail);
  };
  const auto norm = [&](const char* tail) { add(list.add_norm(name(at + tail), hidden), tail); };
  if (config_.together) {
    linear("self_attn.qkv", 3 * hidden, hidden, config_.qkv_bias);
    linear("self_attn.projection", hidden, hidden);
  } else {
    for (const char* projection :
         {"self_attn.k_proj", "self_attn.v_proj", "self_attn.q_proj", "self_attn.out_proj"})
      linear(projection, hidden, hidden);
  }
  norm("layer_norm1");
  part = Part::kOther;
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

Tensor VisionTower::run_stage(std::int64_t stage, const Tensor& pixels, const Tensor& rows,
                              Pass& pass) const {
  return stage == 0 ? embed(pixels, pass) : run_block(stage - 1, rows, pass);
}

Tensor VisionTower::embed(const Tensor& pixels, Pass& pass) const {
  const std::int64_t n = pixels.size(0), hidden = config_.hidden_size;
  if (pixels.dim() == 5) return embed_tiles(pixels, pass);
  const std::int64_t side = config_.grid() * config_.patch_size;
  const std::string token = name("embeddings.class_embedding");
  const Tensor added = pass.weight(positions());
  const Tensor read = pixels.narrow(2, 0, side).narrow(3, 0, side).to(added.scalar_type());
  Tensor rows =
      pass.linear(name("embeddings.patch_embedding"), patch_rows(read, config_.patch_size))
          .view({n, config_.patches(), hidden});
  if (config_.class_token) {
    const Tensor first = pass.weight(token).view({1, 1, hidden}).expand({n, 1, hidden});
    rows = torch::cat({pass.used(Use::kAdded, token, Tensor(), first), rows}, 1);
  }
  rows = pass.used(Use::kAdded, positions(), Tensor(), rows + added).reshape({-1, hidden});
  if (!config_.norm_before) return rows;
  return pass.layer_norm(name("pre_layrnorm"), rows, config_.layer_norm_eps);
}

Tensor VisionTower::embed_tiles(const Tensor& pixels, Pass& pass) const {
  const std::int64_t n = pixels.size(0), tiles = pixels.size(1), hidden = config_.hidden_size;
  const std::int64_t side = config_.grid() * config_.patch_size;
  // Every tile of a sample has them.
  const Tensor added = pass.each(positions()).view({-1, 1, config_.patches(), hidden});
  const Tensor read =
      pixels.flatten(0, 1).narrow(2, 0, side).narrow(3, 0, side).to(added.scalar_type());
  const Tensor rows =
      pass.linear(name("embeddings.patch_embedding"), patch_rows(read, config_.patch_size));
  return (rows.view({n, tiles, config_.patches(), hidden}) + added).reshape({-1, hidden});
}

Tensor VisionTower::attend(const std::string& at, const Tensor& normed, Pass& pass) const {
  const Tensor mask = torch::zeros({normed.size(0) / config_.tokens(), config_.tokens()},
                                   normed.options().requires_grad(false));
  const Heads heads{config_.num_attention_heads};
  if (config_.together) {
    const Tensor all = pass.linear(at + ".qkv", normed);
    const auto part = [&](std::int64_t i) {
      return all.narrow(1, i * config_.hidden_size, config_.hidden_size);
    };
    return pass.linear(at + ".projection",
                       pass.attention(part(0), part(1), part(2), mask, heads, 0));
  }
  const Tensor context =
      pass.attention(pass.linear(at + ".q_proj", normed), pass.linear(at + ".k_proj", normed),
                     pass.linear(at + ".v_proj", normed), mask, heads, 0);
  return pass.linear(at + ".out_proj", context);
}

Tensor VisionTower::run_block(std::int64_t block, const Tensor& rows, Pass& pass) const {
  const double eps = config_.layer_norm_eps;
  const std::string at = name(at_block(block));
  const auto linear = [&](const char* layer, const Tensor& x) {
    return pass.linear(at + layer, x);
  };
  const Tensor x = pass.sum(
      rows, attend(at + ".self_attn", pass.layer_norm(at + ".layer_norm1", rows, eps), pass));
  const Tensor inner = linear(".mlp.fc1", pass.layer_norm(at + ".layer_norm2", x, eps));
  const Tensor output = linear(".mlp.fc2", pass.activation(config_.activation, inner));
  return pass.block_end(at, pass.sum(x, output));
}

Tensor VisionTower::last_norm(const Tensor& rows, Pass& pass) const {
  return pass.layer_norm(name("post_layernorm"), rows, config_.layer_norm_eps);
}

}  // namespace strata::models
