#pragma once
/// \file
/// Which way up a picture is. Internal.

#include <string_view>

#include "data/rgb_image.h"

namespace strata::data {

/// EXIF's orientation (Exif 2.3, tag 0x0112), 1 to 8, of a TIFF structure; 1 (upright) where there
/// is none, or none that makes sense: a picture is not refused for its camera's notes.
int exif_orientation(std::string_view tiff);

/// Turns a picture that is stored with `orientation` upright. The sides change places from 5 on.
/// @param header_only the picture has sides alone.
Image upright(Image image, int orientation, bool header_only);

}  // namespace strata::data
