#pragma once
/// \file
/// Layers as PyTorch initialises them, for SAM's encoder and decoder.

#include <string>

#include "models/architectures/layer_list.h"

namespace strata::models {

/// Of the LayerNorms over the channels of maps, whatever the configuration says.
inline constexpr double kSamMapEps = 1e-6;

/// torch.nn.Linear: weight and bias uniform within 1/√in.
Layer& add_sam_linear(const std::string& name, std::int64_t out, std::int64_t in, bool bias,
                      LayerList& list);
/// torch.nn.Conv2d likewise, with a window of `size`.
Layer& add_sam_convolution(const std::string& name, std::int64_t out, std::int64_t in,
                           std::int64_t size, bool bias, LayerList& list);
/// torch.nn.ConvTranspose2d of window and stride 2: `weight` (in, out, 2, 2).
Layer& add_sam_upsampling(const std::string& name, std::int64_t out, std::int64_t in,
                          LayerList& list);

}  // namespace strata::models
