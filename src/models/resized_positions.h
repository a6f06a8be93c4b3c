#pragma once
/// \file
/// Positions of patches for images of another size.

#include "models/layer.h"
#include "models/torch.h"

namespace strata::models {

/// A grid of positions (1, h, w, d), bilinearly; or a table of decomposed relative positions
/// (2 side - 1, d), linearly along its rows; both without aligned corners, as FLAP-SAM's code and
/// SAMed's do. As it is where `shape` is its own, or where it is neither.
torch::Tensor resized_positions(const torch::Tensor& positions, const Shape& shape);

}  // namespace strata::models
