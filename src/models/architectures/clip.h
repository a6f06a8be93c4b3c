#pragma once
/// \file
/// CLIP's image encoder with a linear layer on the mean of its patches' rows (Radford et al., ICML
/// 2021, 2103.00020), weight for weight transformers' CLIPForImageClassification. Its encoder is
/// read, too, where it comes alone or beside CLIP's text encoder: it then has no labels until it
/// gets some. LibTorch's types do not show.

#include <memory>

#include "core/document.h"
#include "models/architecture.h"

namespace strata::models {

/// config.json of a CLIPForImageClassification or a CLIPModel (`clip`), or of a CLIPVisionModel,
/// with or without a projection (`clip_vision_model`). @throws InputError
std::shared_ptr<const Architecture> read_clip(ObjectReader& config);

}  // namespace strata::models
