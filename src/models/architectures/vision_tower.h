#pragma once
/// \file
/// The image encoders of CLIP's kind: CLIP, SigLIP, and the EVA of BLIP-2. A further one is a row
/// of settings. Part of an architecture (vision_language.h, blip2.h).

#include <cstdint>
#include <string>
#include <vector>

#include "core/document.h"
#include "models/architectures/layer_list.h"
#include "models/pass.h"

namespace strata::models {

/// Fields of transformers' CLIPVisionConfig, SiglipVisionConfig, Blip2VisionConfig and their like.
struct TowerConfig {
  std::string model_type;
  std::int64_t hidden_size = 768, intermediate_size = 3072, num_hidden_layers = 12;
  std::int64_t num_attention_heads = 12, image_size = 224, patch_size = 32;
  double layer_norm_eps = 1e-5, initializer_range = 0.02;
  Activation activation = Activation::kQuickGelu;
  bool class_token = true;  ///< before the patches
  bool patch_bias = false;  ///< of the convolution over patches
  bool norm_before = true;  ///< a LayerNorm before the first block (pre_layrnorm)
  /// Queries, keys and values are from one linear layer, and class token and positions have names
  /// and shapes of their own, as in EVA (Fang et al. 2022, 2211.07636).
  bool together = false;
  bool qkv_bias = true;

  std::int64_t grid() const { return image_size / patch_size; }
  std::int64_t patches() const { return grid() * grid(); }
  std::int64_t tokens() const { return patches() + (class_token ? 1 : 0); }
};

/// The model_types of towers that models of LLaVA's kind may have.
inline const std::vector<std::string> kOpenTowers = {"clip_vision_model", "siglip_vision_model"};

/// `vision_config` with the defaults of its model_type, which is one of `types`. @throws InputError
/// naming key, value and range; another model_type, with the nearest
TowerConfig read_tower(ObjectReader& reader, const TowerConfig& fallback,
                       const std::vector<std::string>& types = kOpenTowers);
/// The defaults of a model_type: "clip_vision_model", "siglip_vision_model", "idefics3_vision",
/// "smolvlm_vision" (or without "_vision") or "blip_2_vision_model".
TowerConfig tower_defaults(const std::string& model_type);

/// A tower's layers and what they compute, of which the first `used` blocks. Rows are (n·tokens,
/// hidden), those of an image together.
class VisionTower {
 public:
  /// `names`: what those of its weights begin with, its own first.
  VisionTower(TowerConfig config, std::int64_t used, bool uses_last_norm,
              std::vector<std::string> names)
      : config_(std::move(config)),
        used_(used),
        uses_last_norm_(uses_last_norm),
        names_(std::move(names)) {}

  const TowerConfig& config() const { return config_; }
  std::int64_t used() const { return used_; }
  /// Its first used() + 1 stages: "vision.embeddings", "vision.block.0", …
  void declare_stages(LayerList& list) const;
  /// What comes behind the blocks that are used: the last norm, and what is never computed.
  void declare_rest(LayerList& list) const;

  /// The rows that stage `stage` leaves of those of the stage below; the first reads `pixels`.
  torch::Tensor run_stage(std::int64_t stage, const torch::Tensor& pixels,
                          const torch::Tensor& rows, Pass& pass) const;
  torch::Tensor last_norm(const torch::Tensor& rows, Pass& pass) const;

 private:
  void declare_embeddings(LayerList& list) const;
  void declare_block(std::int64_t block, LayerList& list) const;
  torch::Tensor embed(const torch::Tensor& pixels, Pass& pass) const;
  /// Of images in tiles, (n, tiles, 3, side, side), of a tower without class token.
  torch::Tensor embed_tiles(const torch::Tensor& pixels, Pass& pass) const;
  torch::Tensor run_block(std::int64_t block, const torch::Tensor& rows, Pass& pass) const;
  Layer& named(Layer& layer, const std::string& tail) const;
  std::string name(const std::string& tail) const { return names_.front() + tail; }
  std::string positions() const {
    return name(config_.together ? "embeddings.position_embedding"
                                 : "embeddings.position_embedding.weight");
  }
  void declare_weights_of(std::int64_t block, bool frozen, LayerList& list) const;
  torch::Tensor attend(const std::string& at, const torch::Tensor& normed, Pass& pass) const;

  TowerConfig config_;
  std::int64_t used_;
  bool uses_last_norm_;
  std::vector<std::string> names_;
};

}  // namespace strata::models
