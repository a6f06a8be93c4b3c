#pragma once
/// \file
/// SAM's prompt encoder, and its decoder: tokens and image attend to each other, the image is
/// enlarged, and every mask token becomes the weights of a mask. Part of an architecture (sam.h).

#include <string>

#include "models/architectures/layer_list.h"
#include "models/architectures/sam.h"
#include "models/batch.h"
#include "models/pass.h"

namespace strata::models {

class SamDecoder {
 public:
  /// For an image of `grid` by `grid` places, `image_size` pixels wide.
  SamDecoder(SamDecoderConfig config, std::int64_t grid, std::int64_t image_size,
             std::int64_t position_features)
      : config_(std::move(config)),
        grid_(grid),
        image_size_(image_size),
        features_(position_features) {}

  const SamDecoderConfig& config() const { return config_; }
  /// "prompts", "decoder.block.0", …, "iou", "upscale", "tokens".
  void declare(LayerList& list) const;
  /// Its stage `stage`; the first takes the encoder's rows, the last leaves kMaskLogits.
  State run(std::int64_t stage, const Batch& batch, const State& input, Pass& pass) const;

 private:
  void declare_prompts(std::int64_t tokens_stage, LayerList& list) const;
  void declare_layer(std::int64_t layer, LayerList& list) const;
  void declare_attention(const std::string& name, std::int64_t inner, LayerList& list) const;
  std::int64_t reduced() const { return config_.hidden_size / config_.attention_downsample_rate; }
  State enter(const Batch& batch, const torch::Tensor& rows, Pass& pass) const;
  torch::Tensor points(const Batch& batch, Pass& pass) const;
  torch::Tensor encoded(const torch::Tensor& places, Pass& pass) const;
  torch::Tensor image_positions(std::int64_t n, Pass& pass) const;
  State run_layer(std::int64_t layer, std::int64_t n, const State& input, Pass& pass) const;
  State run_final(std::int64_t n, const State& input, Pass& pass) const;
  torch::Tensor attend(const std::string& name, const torch::Tensor& query,
                       const torch::Tensor& key, const torch::Tensor& value, std::int64_t n,
                       Pass& pass) const;
  State upscale(std::int64_t n, const State& input, Pass& pass) const;
  torch::Tensor masks(std::int64_t n, const State& input, Pass& pass) const;

  SamDecoderConfig config_;
  std::int64_t grid_, image_size_, features_;
};

}  // namespace strata::models
