#include "models/architectures/patch_transformer.h"

#include <cmath>
#include <limits>

#include "models/architectures/config_limits.h"
#include "models/architectures/patch_tokens.h"
#include "models/batch.h"
#include "models/pass.h"

namespace strata::models {
namespace {

using torch::Tensor;

constexpr const char* kRows = "rows";
constexpr const char* kMask = "mask";

/// (n, tokens), see PatchTransformer::entered.
Tensor attention_mask(const Batch& batch, const Tensor& rows, std::int64_t prefix) {
  const std::int64_t n = batch.size(), tokens = rows.size(0) / n;
  Tensor mask = torch::zeros({n, tokens}, rows.options().requires_grad(false));
  const double lowest = rows.scalar_type() == torch::kDouble ? std::numeric_limits<double>::lowest()
                                                             : std::numeric_limits<float>::lowest();
  if (batch.grids.defined()) {
    const Tensor own = batch.grids.prod(1, /*keepdim=*/true);
    const std::int64_t longest = own.max().item<std::int64_t>();
    const Tensor padding = torch::arange(longest).unsqueeze(0) >= own;
    mask.narrow(1, tokens - longest, longest).masked_fill_(padding.to(mask.device()), lowest);
  }
  if (!batch.attention_mask.defined()) return mask;
  mask.narrow(1, prefix, batch.attention_mask.size(1))
      .copy_((1 - batch.attention_mask.to(rows.scalar_type())) * lowest);
  return mask;
}

/// The names that transformers has for the linear layers of a ViT block since 5.9; its files keep
/// the others.
struct BlockLinear {
  const char* name;
  const char* renamed;
};
constexpr BlockLinear kQuery{"attention.attention.query", "attention.q_proj"};
constexpr BlockLinear kKey{"attention.attention.key", "attention.k_proj"};
constexpr BlockLinear kValue{"attention.attention.value", "attention.v_proj"};
constexpr BlockLinear kOutput{"attention.output.dense", "attention.o_proj"};
constexpr BlockLinear kUp{"intermediate.dense", "mlp.fc1"};
constexpr BlockLinear kDown{"output.dense", "mlp.fc2"};

}  // namespace

void read_patch_transformer(ObjectReader& reader, PatchTransformerConfig& config) {
  reader.choice("hidden_act", {"gelu"}, "gelu");
  const auto integer = [&](const char* key, std::int64_t low, std::int64_t high,
                           std::int64_t& field) { field = reader.integer(key, low, high, field); };
  const auto number = [&](const char* key, double high, double& field) {
    field = reader.number(key, 0, high, field);
  };
  integer("hidden_size", 1, kLargestWidth, config.hidden_size);
  integer("num_hidden_layers", 1, kMostLayers, config.num_hidden_layers);
  integer("num_attention_heads", 1, kLargestWidth, config.num_attention_heads);
  integer("intermediate_size", 1, kLargestIntermediate, config.intermediate_size);
  integer("image_size", 1, kLargestImage, config.image_size);
  integer("patch_size", 1, kLargestImage, config.patch_size);
  integer("num_channels", 3, 3, config.num_channels);
  number("hidden_dropout_prob", 0.999, config.hidden_dropout_prob);
  number("attention_probs_dropout_prob", 0.999, config.attention_probs_dropout_prob);
  number("initializer_range", 10, config.initializer_range);
  number("layer_norm_eps", 1, config.layer_norm_eps);
  config.qkv_bias = reader.boolean("qkv_bias", config.qkv_bias);
  check_divisible(reader, "hidden_size", config.hidden_size, "num_attention_heads",
                  config.num_attention_heads);
  check_divisible(reader, "image_size", config.image_size, "patch_size", config.patch_size);
}

void patch_transformer_from_yaml(ObjectReader& reader, PatchTransformerConfig& config) {
  config.hidden_size = reader.integer("hidden_size", 1, kLargestWidth);
  config.num_hidden_layers = reader.integer("layers", 1, kMostLayers);
  config.num_attention_heads = reader.integer("heads", 1, kLargestWidth);
  config.intermediate_size =
      reader.integer("intermediate_size", 1, kLargestIntermediate, 4 * config.hidden_size);
  config.image_size = reader.integer("image_size", 1, kLargestImage);
  config.patch_size = reader.integer("patch_size", 1, kLargestImage);
  config.hidden_dropout_prob = reader.number("dropout", 0, 0.999, 0.0);
  config.attention_probs_dropout_prob = config.hidden_dropout_prob;
  config.scaled_initialization =
      reader.choice("initialization", {"huggingface", "scaled"}, "huggingface") == "scaled";
  config.initializer_range = reader.number("initializer_range", 0, 10, config.initializer_range);
  check_divisible(reader, "hidden_size", config.hidden_size, "heads", config.num_attention_heads);
  check_divisible(reader, "image_size", config.image_size, "patch_size", config.patch_size);
}

PatchTransformer::PatchTransformer(PatchTransformerConfig config) : shared_(std::move(config)) {
  labels_ = shared_.labels;
}

ImageModel PatchTransformer::images_of(ImageSizes sizes) const {
  return {sizes, static_cast<int>(shared_.image_size), static_cast<int>(shared_.patch_size)};
}

Init PatchTransformer::matrix(std::int64_t out, std::int64_t in, bool ends_branch) const {
  if (!shared_.scaled_initialization) return {Init::Kind::kNormal, shared_.initializer_range};
  const double depth = 2.0 * static_cast<double>(shared_.num_hidden_layers);
  const double limit = std::sqrt(6 / (static_cast<double>(in) + static_cast<double>(out)));
  return {Init::Kind::kUniform, limit / (ends_branch ? std::sqrt(depth) : 1)};
}

Init PatchTransformer::embedding() const {
  return {Init::Kind::kNormal, shared_.scaled_initialization ? 0.5 : shared_.initializer_range};
}

Layer& PatchTransformer::add_projection() {
  const std::int64_t out = shared_.hidden_size, in = shared_.num_channels, p = shared_.patch_size;
  return declared_.add_patches(prefix() + "embeddings.patch_embeddings.projection", out, in, p,
                               matrix(out, in * p * p, false), shared_.patch_bias);
}

void PatchTransformer::add_blocks(bool two_names) {
  const std::int64_t hidden = shared_.hidden_size, inner = shared_.intermediate_size;
  for (std::int64_t i = 0; i < shared_.num_hidden_layers; ++i) {
    declared_.begin_stage({"block." + std::to_string(i), Role::kBody});
    const std::string block = prefix() + "encoder.layer." + std::to_string(i) + ".";
    const std::string other = prefix() + "layers." + std::to_string(i) + ".";
    const auto linear = [&](const BlockLinear& layer, std::int64_t out, std::int64_t in, Part part,
                            bool bias = true) {
      const bool ends_branch = part == Part::kAttentionOutput || part == Part::kMlpOutput;
      Layer& added = add_linear(block + layer.name, out, in, ends_branch, bias);
      added.renamed = other + layer.renamed;
      added.two_names = two_names;
      added.part = part;
    };
    for (const BlockLinear& projection : {kQuery, kKey, kValue})
      linear(projection, hidden, hidden, Part::kAttention, shared_.qkv_bias);
    linear(kOutput, hidden, hidden, Part::kAttentionOutput);
    linear(kUp, inner, hidden, Part::kOther);
    linear(kDown, hidden, inner, Part::kMlpOutput);
    for (const char* name : {"layernorm_before", "layernorm_after"})
      declared_.add_norm(block + name, hidden).renamed = other + name;
    layers_.back().part = Part::kMlpNorm;
    add_place(prefix() + "encoder.layer." + std::to_string(i), LayerKind::kBlock).patch_numbers =
        patch_numbers();
  }
}

State PatchTransformer::run(std::int64_t stage, const Batch& batch, const State& input,
                            Pass& pass) const {
  if (stage == 0) return run_embeddings(batch, pass);
  if (stage <= shared_.num_hidden_layers) return run_block(stage - 1, batch, input, pass);
  const Tensor first =
      pass.layer_norm(prefix() + "layernorm", input.values.at(kRows), shared_.layer_norm_eps);
  return {{{kLogits, run_head(first, pass)}}, {}};
}

State PatchTransformer::entered(const Batch& batch, const Tensor& tokens, Pass& pass) const {
  const Tensor all = pass.sequence(prefix() + "embeddings", tokens);
  const Tensor rows = all.reshape({-1, shared_.hidden_size});
  return {{{kRows, rows}},
          {{kMask, attention_mask(batch, rows, pass.blueprint().prefix_tokens())}}};
}

Tensor PatchTransformer::run_image(const Batch& batch, const Tensor& modality, Pass& pass) const {
  const std::int64_t n = batch.size(), hidden = shared_.hidden_size;
  const bool mixed = batch.grids.defined();
  const ImageTokens tokens =
      mixed ? image_tokens(batch, shared_.patch_size, shared_.grid()) : ImageTokens();
  const std::int64_t patches = mixed ? tokens.longest : shared_.patches();
  const std::string name = prefix() + "embeddings.";
  const std::string cls = name + "cls_token", position = name + "position_embeddings";

  const Tensor cls_rows = pass.weight(cls).expand({n, 1, hidden});
  Tensor rows = patch_rows(batch.pixels.to(cls_rows.scalar_type()), shared_.patch_size);
  if (mixed) rows = rows.index_select(0, tokens.patches);
  const Tensor patch_vectors = pass.linear(name + "patch_embeddings.projection", rows);
  Tensor added = pass.weight(position);
  if (mixed) added = interpolated(added.squeeze(0), tokens);
  if (modality.defined()) added = added + modality;
  Tensor image = torch::cat({pass.used(Use::kAdded, cls, Tensor(), cls_rows),
                             patch_vectors.view({n, patches, hidden})},
                            1) +
                 added;
  if (mixed && pass.wants(position)) {
    const Tensor matrix = mixture(pass.weight(position).squeeze(0), tokens);
    return pass.used(Use::kMixture, position, matrix, image);
  }
  return pass.used(Use::kAdded, position, Tensor(), image);
}

State PatchTransformer::run_block(std::int64_t block, const Batch& batch, const State& input,
                                  Pass& pass) const {
  const std::int64_t n = batch.size(), hidden = shared_.hidden_size;
  const double eps = shared_.layer_norm_eps, dropout = shared_.hidden_dropout_prob;
  const std::string name = prefix() + "encoder.layer." + std::to_string(block);
  const Tensor rows = pass.block_begin(name, input.values.at(kRows), n);
  const Tensor& mask = input.constants.at(kMask);
  const std::int64_t tokens = rows.size(0) / n;

  // The classifier reads one token only, the first after those of attachments, so the last block
  // computes no other one beyond its keys and values.
  const bool last = block + 1 == shared_.num_hidden_layers;
  const auto queried = [&](const Tensor& all) {
    return last ? all.view({n, tokens, hidden}).select(1, pass.blueprint().prefix_tokens()) : all;
  };
  const auto linear = [&](const BlockLinear& layer, const Tensor& x) {
    return pass.linear(name + "." + layer.name, x);
  };
  const Tensor normed = pass.layer_norm(name + ".layernorm_before", rows, eps);
  const Tensor query = linear(kQuery, queried(normed));
  const Tensor key = linear(kKey, normed);
  const Tensor value = linear(kValue, normed);
  const Tensor context = pass.attention(query, key, value, mask, Heads{shared_.num_attention_heads},
                                        shared_.attention_probs_dropout_prob);
  const Tensor x = queried(rows) + pass.dropout(linear(kOutput, context), dropout);
  const Activation activation = shared_.quick_gelu ? Activation::kQuickGelu : Activation::kGelu;
  const Tensor inner =
      pass.activation(activation, linear(kUp, pass.layer_norm(name + ".layernorm_after", x, eps)));
  const Tensor sum = x + pass.dropout(linear(kDown, inner), dropout);
  State output{{{kRows, pass.block_end(name, sum)}}, {}};
  if (!last) output.constants.emplace(kMask, mask);
  return output;
}

Json PatchTransformer::shared_config(const char* class_name) const {
  Json json;
  json["architectures"] = {class_name};
  json["attention_probs_dropout_prob"] = shared_.attention_probs_dropout_prob;
  json["hidden_act"] = shared_.quick_gelu ? "quick_gelu" : "gelu";
  json["hidden_dropout_prob"] = shared_.hidden_dropout_prob;
  json["hidden_size"] = shared_.hidden_size;
  json["id2label"] = id2label(labels_);
  json["image_size"] = shared_.image_size;
  json["initializer_range"] = shared_.initializer_range;
  json["intermediate_size"] = shared_.intermediate_size;
  json["label2id"] = label2id(labels_);
  json["layer_norm_eps"] = shared_.layer_norm_eps;
  json["model_type"] = shared_.model_type;
  json["num_attention_heads"] = shared_.num_attention_heads;
  json["num_channels"] = shared_.num_channels;
  json["num_hidden_layers"] = shared_.num_hidden_layers;
  json["patch_size"] = shared_.patch_size;
  json["qkv_bias"] = shared_.qkv_bias;
  json["torch_dtype"] = "float32";
  return json;
}

}  // namespace strata::models
