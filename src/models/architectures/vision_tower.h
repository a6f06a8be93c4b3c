#pragma once
/// \file
/// The image encoders of CLIP's kind: CLIP and SigLIP. A further one is a row of settings. Part of
/// an architecture (vision_language.h).

#include <cstdint>
#include <string>
#include <vector>

#include "core/document.h"
#include "models/architectures/layer_list.h"
#include "models/pass.h"

namespace strata::models {

/// Fields of transformers' CLIPVisionConfig and SiglipVisionConfig.
struct TowerConfig {
  std::string model_type;
  std::int64_t hidden_size = 768, intermediate_size = 3072, num_hidden_layers = 12;
  std::int64_t num_attention_heads = 12, image_size = 224, patch_size = 32;
  double layer_norm_eps = 1e-5, initializer_range = 0.02;
  Activation activation = Activation::kQuickGelu;
  bool class_token = true;    ///< before the patches
  bool patch_bias = false;    ///< of the convolution over patches
  bool norm_before = true;    ///< a LayerNorm before the first block (pre_layrnorm)
  bool pooling_head = false;  ///< files have one, which is not computed (vision_use_head)

  std::int64_t grid() const { return image_size / patch_size; }
  std::int64_t patches() const { return grid() * grid(); }
  std::int64_t tokens() const { return patches() + (class_token ? 1 : 0); }
};

/// `vision_config` with the defaults of its model_type. @throws InputError naming key, value and
/// range; another model_type, with the nearest
TowerConfig read_tower(ObjectReader& reader, const TowerConfig& fallback);
/// The defaults of a model_type: "clip_vision_model" or "siglip_vision_model".
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
  void declare_embeddings(LayerList& list) const;
  void declare_block(std::int64_t block, LayerList& list) const;
  /// What comes behind the blocks that are used: the last norm, and what is never computed.
  void declare_rest(LayerList& list) const;

  torch::Tensor embed(const torch::Tensor& pixels, Pass& pass) const;
  torch::Tensor run_block(std::int64_t block, const torch::Tensor& rows, Pass& pass) const;
  torch::Tensor last_norm(const torch::Tensor& rows, Pass& pass) const;

 private:
  Layer& named(Layer& layer, const std::string& tail) const;
  std::string name(const std::string& tail) const { return names_.front() + tail; }
  void declare_weights_of(std::int64_t block, bool frozen, LayerList& list) const;

  TowerConfig config_;
  std::int64_t used_;
  bool uses_last_norm_;
  std::vector<std::string> names_;
};

}  // namespace strata::models
