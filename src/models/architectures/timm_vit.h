#pragma once
/// \file
/// timm's config.json of its VisionTransformers: which networks are read, and what shapes each.
/// CLIP's towers are among them (Radford et al., ICML 2021, 2103.00020), which timm pools by the
/// class token behind the last norm, as it does ViTs.

#include <string>
#include <vector>

#include "core/document.h"
#include "models/architectures/vit.h"

namespace strata::models {

/// `architecture: vit_base_patch16_224`, its labels and what `model_args` changes. @throws
/// InputError naming the key: a network that is not read, with the nearest that is, a `model_args`
/// that would make another network, …
VitConfig read_timm_vit(ObjectReader& config);
std::vector<std::string> vit_timm_names();

}  // namespace strata::models
