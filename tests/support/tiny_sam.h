#pragma once
// A small SAM with classes.

#include <string>
#include <vector>

#include "models/architectures/sam.h"
#include "models/model.h"
#include "models/torch.h"

namespace strata::test {

inline models::SamConfig tiny_sam_config(std::vector<std::string> classes,
                                         std::int64_t upscaling_steps = 3) {
  models::SamConfig config;
  models::SamEncoderConfig& encoder = config.encoder;
  encoder.hidden_size = 16, encoder.num_attention_heads = 2, encoder.mlp_dim = 32;
  encoder.num_hidden_layers = 2, encoder.global_attn_indexes = {1};
  encoder.image_size = 32, encoder.patch_size = 8, encoder.window_size = 3;
  encoder.output_channels = 32, encoder.num_pos_feats = 16;
  models::SamDecoderConfig& decoder = config.decoder;
  decoder.hidden_size = 32, decoder.mlp_dim = 32, decoder.num_attention_heads = 2;
  decoder.iou_head_hidden_dim = 16, decoder.mask_input_channels = 4;
  decoder.num_multimask_outputs = static_cast<std::int64_t>(classes.size());
  decoder.upscaling_steps = upscaling_steps;
  config.classes = std::move(classes);
  return config;
}

inline models::Model tiny_sam(std::vector<std::string> classes, std::uint64_t seed = 3,
                              std::int64_t upscaling_steps = 3) {
  return {models::Blueprint(models::make_sam(tiny_sam_config(std::move(classes), upscaling_steps))),
          seed};
}

/// What it says of two stacks of two slices, the same in every call.
inline torch::Tensor masks(const models::Model& model) {
  const torch::NoGradGuard no_grad;
  torch::manual_seed(3);
  models::Batch batch;
  batch.pixels = torch::rand({2, 2, 3, 32, 32});
  return model.run(batch).values.at(models::kMaskLogits);
}

}  // namespace strata::test
