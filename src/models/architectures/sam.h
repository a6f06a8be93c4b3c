#pragma once
/// \file
/// Segment Anything (Kirillov et al., ICCV 2023, 2304.02643), weight for weight transformers'
/// SamModel: an image encoder of windowed and global blocks, a prompt encoder, a decoder of two
/// ways that makes masks. With classes its masks are background and classes, and its decoder may
/// go on to the image's own size, as FLAP-SAM has it (2407.21739). LibTorch's types do not show.
///
/// Units: `embeddings`, `block.N`, `neck`, `prompts` (the prompt encoder), `decoder.block.N` (the
/// last one is the attention behind the layers), `iou` (which no mask depends on), `upscale`, and
/// `tokens` (mask tokens and what turns them into masks), in the order of the forward pass.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "models/architecture.h"

namespace strata::models {

/// The fields of transformers' SamVisionConfig that shape the encoder, with their defaults.
struct SamEncoderConfig {
  std::int64_t hidden_size = 768, output_channels = 256, num_hidden_layers = 12;
  std::int64_t num_attention_heads = 12, image_size = 1024, patch_size = 16;
  std::int64_t mlp_dim = 3072, window_size = 14, num_pos_feats = 128;
  std::vector<std::int64_t> global_attn_indexes = {2, 5, 8, 11};
  bool qkv_bias = true, use_abs_pos = true, use_rel_pos = true;
  double layer_norm_eps = 1e-6, attention_dropout = 0;

  std::int64_t grid() const { return image_size / patch_size; }
  std::int64_t patches() const { return grid() * grid(); }
  bool is_global(std::int64_t block) const;
  /// Places along a side among which a block's queries look: its window's, or all.
  std::int64_t side_of(std::int64_t block) const { return is_global(block) ? grid() : window_size; }
};

/// Of SamPromptEncoderConfig and SamMaskDecoderConfig, likewise.
struct SamDecoderConfig {
  std::int64_t hidden_size = 256, mlp_dim = 2048, num_hidden_layers = 2, num_attention_heads = 8;
  std::int64_t attention_downsample_rate = 2, num_multimask_outputs = 3;
  std::int64_t iou_head_depth = 3, iou_head_hidden_dim = 256, mask_input_channels = 16;
  double layer_norm_eps = 1e-6;
  /// Each doubles both sides; transformers has two.
  std::int64_t upscaling_steps = 2;

  std::int64_t mask_tokens() const { return num_multimask_outputs + 1; }
  /// Numbers of a place behind `steps` of them: a quarter, then half of that each.
  std::int64_t upscaled_size(std::int64_t steps) const {
    return steps == 0 ? hidden_size : hidden_size >> (steps + 1);
  }
};

struct SamConfig {
  SamEncoderConfig encoder;
  SamDecoderConfig decoder;
  /// Of the masks behind the first one, which is the background; none of a SAM that segments
  /// anything.
  std::vector<std::string> classes = {};
};

inline constexpr const char* kSamType = "sam";  ///< its model_type

std::shared_ptr<const Architecture> make_sam(SamConfig config);
/// The same of sizes that are not known to fit. @throws InputError beginning with `file`
std::shared_ptr<const Architecture> checked_sam(SamConfig config, const std::string& file);
/// transformers' config.json, in which any key may be absent, and ours: `strata: {classes: […],
/// upscaling_steps: N}`. @throws InputError naming key, value and range
std::shared_ptr<const Architecture> read_sam(ObjectReader& config);
std::shared_ptr<const Architecture> sam_from_yaml(ObjectReader& section);
/// Its keys, for docs/runs.md.
inline constexpr const char* kSamKeys =
    "`image_size`, `patch_size`, `hidden_size`, `layers`, `heads`, `window_size`, `global_blocks`, "
    "`decoder_size`, `decoder_heads` (all optional: those of SAM ViT-B)";

}  // namespace strata::models
