#include "models/architectures/sam_encoder.h"

#include <cmath>

#include "models/architectures/patch_tokens.h"
#include "models/architectures/sam_layers.h"

namespace strata::models {
namespace {

using torch::Tensor;

const std::string kSamPatches = "vision_encoder.patch_embed.projection";
const std::string kPositionOfPatches = "vision_encoder.pos_embed";
const std::string kNeck = "vision_encoder.neck.";
constexpr std::int64_t kNeckWindow = 3;

std::string block_at(std::int64_t block) {
  return "vision_encoder.layers." + std::to_string(block);
}

/// Rows of an image as those of its windows, (n·windows·side², width), with zeros at the right and
/// at the bottom where they are no whole number.
Tensor in_windows(const Tensor& rows, std::int64_t grid, std::int64_t side) {
  const std::int64_t width = rows.size(-1), rest = (side - grid % side) % side;
  const std::int64_t across = (grid + rest) / side;
  const Tensor padded =
      torch::constant_pad_nd(rows.view({-1, grid, grid, width}), {0, 0, 0, rest, 0, rest});
  return padded.view({-1, across, side, across, side, width})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({-1, width});
}

Tensor out_of_windows(const Tensor& rows, std::int64_t grid, std::int64_t side) {
  const std::int64_t width = rows.size(-1), across = (grid + side - 1) / side;
  return rows.view({-1, across, across, side, side, width})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({-1, across * side, across * side, width})
      .narrow(1, 0, grid)
      .narrow(2, 0, grid)
      .reshape({-1, width});
}

}  // namespace

void SamEncoder::declare(LayerList& list) const {
  const std::int64_t hidden = config_.hidden_size, patch = config_.patch_size;
  list.begin_stage({"embeddings", Role::kEmbeddings});
  if (config_.use_abs_pos)
    list.add_tokens(kPositionOfPatches, {1, config_.grid(), config_.grid(), hidden}, {}).part =
        Part::kPositions;
  add_sam_convolution(kSamPatches, hidden, 3, patch, true, list);
  for (std::int64_t block = 0; block < config_.num_hidden_layers; ++block) {
    list.begin_stage({"block." + std::to_string(block), Role::kBody});
    declare_block(block, list);
  }
  list.begin_stage({"neck", Role::kConnector});
  const std::int64_t out = config_.output_channels;
  add_sam_convolution(kNeck + "conv1", out, hidden, 1, false, list);
  list.add_norm(kNeck + "layer_norm1", out);
  add_sam_convolution(kNeck + "conv2", out, out, kNeckWindow, false, list).padding =
      kNeckWindow / 2;
  list.add_norm(kNeck + "layer_norm2", out);
}

void SamEncoder::declare_block(std::int64_t block, LayerList& list) const {
  const std::int64_t hidden = config_.hidden_size;
  const std::string at = block_at(block) + ".";
  list.add_norm(at + "layer_norm1", hidden);
  if (config_.use_rel_pos) {
    const std::int64_t places = 2 * config_.side_of(block) - 1;
    for (const char* way : {"attn.rel_pos_h", "attn.rel_pos_w"})
      list.add_tokens(at + way, {places, hidden / config_.num_attention_heads}, {}).part =
          Part::kPositions;
  }
  // One tensor in files.
  std::int64_t part = 0;
  for (const char* name : {"query", "key", "value"}) {
    Layer& layer = add_sam_linear(at + "attn." + name, hidden, hidden, config_.qkv_bias, list);
    layer.part = Part::kAttention;
    layer.share = {.name = at + "attn.qkv", .part = part++, .parts = 3, .only = true};
  }
  add_sam_linear(at + "attn.proj", hidden, hidden, true, list).part = Part::kAttentionOutput;
  list.add_norm(at + "layer_norm2", hidden).part = Part::kMlpNorm;
  add_sam_linear(at + "mlp.lin1", config_.mlp_dim, hidden, true, list);
  add_sam_linear(at + "mlp.lin2", hidden, config_.mlp_dim, true, list).part = Part::kMlpOutput;
  list.add_place(block_at(block), LayerKind::kBlock, hidden);
}

Tensor SamEncoder::run(std::int64_t stage, const Tensor& pixels, const Tensor& rows,
                       Pass& pass) const {
  if (stage == 0) return embed(pixels, pass);
  if (stage <= config_.num_hidden_layers) return run_block(stage - 1, rows, pass);
  return run_neck(rows, pass);
}

Tensor SamEncoder::embed(const Tensor& pixels, Pass& pass) const {
  const std::int64_t hidden = config_.hidden_size, n = pixels.size(0);
  const auto type = pass.weight(kSamPatches + ".weight").scalar_type();
  const Tensor images = pixels.dim() == 5 ? pixels.flatten(0, 1) : pixels;
  Tensor rows = pass.linear(kSamPatches, patch_rows(images.to(type), config_.patch_size))
                    .view({n, -1, config_.patches(), hidden});
  // Every image of a sample has them.
  if (config_.use_abs_pos)
    rows = rows + pass.each(kPositionOfPatches).view({-1, 1, config_.patches(), hidden});
  return rows.reshape({-1, hidden});
}

Tensor SamEncoder::run_block(std::int64_t block, const Tensor& rows, Pass& pass) const {
  const std::string at = block_at(block) + ".";
  const Tensor normed = pass.layer_norm(at + "layer_norm1", rows, config_.layer_norm_eps);
  const Tensor x = pass.sum(rows, attend(block, normed, pass));
  const Tensor inner = pass.activation(
      Activation::kGelu,
      pass.linear(at + "mlp.lin1", pass.layer_norm(at + "layer_norm2", x, config_.layer_norm_eps)));
  return pass.block_end(block_at(block), pass.sum(x, pass.linear(at + "mlp.lin2", inner)));
}

Tensor SamEncoder::attend(std::int64_t block, const Tensor& normed, Pass& pass) const {
  const std::string at = block_at(block) + ".attn.";
  const std::int64_t grid = config_.grid(), side = config_.side_of(block);
  const bool windows = !config_.is_global(block);
  const Tensor rows = windows ? in_windows(normed, grid, side) : normed;
  const Tensor query = pass.linear(at + "query", rows), key = pass.linear(at + "key", rows);
  const Tensor value = pass.linear(at + "value", rows);
  const Heads heads{config_.num_attention_heads};
  const Tensor mask =
      config_.use_rel_pos
          ? pass.relative_scores(query, at + "rel_pos_h", at + "rel_pos_w", heads.queries, side)
          : torch::zeros({rows.size(0) / (side * side), side * side}, rows.options());
  const Tensor looked = pass.linear(
      at + "proj", pass.attention(query, key, value, mask, heads, config_.attention_dropout));
  return windows ? out_of_windows(looked, grid, side) : looked;
}

Tensor SamEncoder::run_neck(const Tensor& rows, Pass& pass) const {
  const std::int64_t grid = config_.grid(), width = config_.output_channels;
  const Tensor narrow =
      pass.layer_norm(kNeck + "layer_norm1", pass.linear(kNeck + "conv1", rows), kSamMapEps);
  const Tensor maps = narrow.view({-1, grid, grid, width}).permute({0, 3, 1, 2});
  const Tensor found =
      pass.convolution(kNeck + "conv2", maps).permute({0, 2, 3, 1}).reshape({-1, width});
  return pass.layer_norm(kNeck + "layer_norm2", found, kSamMapEps);
}

}  // namespace strata::models
