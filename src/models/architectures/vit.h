#pragma once
/// \file
/// ViT for image classification (Dosovitskiy et al., ICLR 2021), weight for weight transformers'
/// ViTForImageClassification: patch embeddings, pre-LN blocks, one linear layer. LibTorch's types
/// do not show.

#include <memory>

#include "models/architectures/patch_transformer.h"

namespace strata::models {

/// The fields of transformers' ViTConfig that shape the model, with its defaults.
struct VitConfig : PatchTransformerConfig {
  VitConfig();
};

std::shared_ptr<const Architecture> make_vit(VitConfig config);
std::shared_ptr<const Architecture> read_vit(ObjectReader& config);
std::shared_ptr<const Architecture> vit_from_yaml(ObjectReader& section);
/// Its keys, for docs/runs.md.
inline constexpr const char* kVitKeys = "those of a `vilt`, but for `max_text`";

}  // namespace strata::models
