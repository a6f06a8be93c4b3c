#pragma once
/// \file
/// ViT for image classification (Dosovitskiy et al., ICLR 2021), weight for weight transformers'
/// ViTForImageClassification: patch embeddings, pre-LN blocks, one linear layer; and by its other
/// names timm's VisionTransformer, whose epsilon is another and whose queries, keys and values are
/// one tensor in files; CLIP's towers of timm have a norm before the blocks besides. Encoders
/// without a head (ViTModel, the one of ViTMAEForPreTraining, timm's of no classes) have no labels
/// until they get some. LibTorch's types do not show.

#include <memory>
#include <string>
#include <vector>

#include "models/architectures/patch_transformer.h"

namespace strata::models {

/// The fields of transformers' ViTConfig that shape the model, with its defaults.
struct VitConfig : PatchTransformerConfig {
  VitConfig();
  bool of_timm = false;      ///< files have timm's names
  bool norm_before = false;  ///< a LayerNorm of all tokens before the first block (CLIP's, of timm)
  /// Files have an encoder alone, which may be called without the "vit." before each name, and
  /// beside it what a ViT does not compute.
  bool of_encoder = false;
};

std::shared_ptr<const Architecture> make_vit(VitConfig config);
/// transformers' config.json, or timm's, which names a network: `architecture:
/// vit_base_patch16_224` (timm_vit.h).
std::shared_ptr<const Architecture> read_vit(ObjectReader& config);
/// The encoder of ViTMAEForPreTraining (He et al., CVPR 2022, 2111.06377), without masks.
std::shared_ptr<const Architecture> read_vit_mae(ObjectReader& config);
std::shared_ptr<const Architecture> vit_from_yaml(ObjectReader& section);
/// Its keys, for docs/runs.md.
inline constexpr const char* kVitKeys = "those of a `vilt`, but for `max_text`";

}  // namespace strata::models
