#pragma once
/// \file
/// TIFF files, by libtiff. Internal: read_image chooses by a file's first bytes.

#include <string>
#include <string_view>

#include "data/rgb_image.h"

namespace strata::data {

/// The first image of a TIFF file, whatever libtiff makes RGB of: samples of 1 to 16 bits (16 are
/// scaled to 8), palettes, alpha over black, strips and tiles, any compression it was built with.
/// The orientation is not applied.
/// @param header_only leaves out the pixels.
/// @throws InputError beginning with `file`: damaged, or another kind (it says which).
Image read_tiff(std::string_view bytes, const std::string& file, bool header_only);

}  // namespace strata::data
