#pragma once
/// \file
/// Images to another size and back, as scipy.ndimage.zoom does it: the outermost pixels' centres
/// stay where they are (its grid_mode=False, its default).

#include "data/planes.h"

namespace strata::data {

/// By cubic B-splines, as scipy.ndimage.zoom(order=3): row 0 stays row 0, the last row the last,
/// and values may overshoot at edges. Equal to scipy's (mode "constant" or "mirror") but for
/// rounding; where rounding puts the last row outside of the image, for which some versions of
/// scipy take 0, it is the last row here. Computed in 64 bits, the same on every machine. For
/// images, and for probabilities back to the image's size.
ImagePlanes resize_cubic(const ImagePlanes& planes, std::int64_t height, std::int64_t width);

/// The nearest pixel, as scipy.ndimage.zoom(order=0): for labels.
LabelPlanes resize_nearest(const LabelPlanes& planes, std::int64_t height, std::int64_t width);

}  // namespace strata::data
