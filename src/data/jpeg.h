#pragma once
/// \file
/// JPEG files, by libjpeg. Internal: read_image chooses by a file's first bytes.

#include <filesystem>
#include <string_view>

#include "data/rgb_image.h"

namespace strata::data {

/// Grey, YCbCr, RGB, CMYK and YCCK, the last two inverted as Adobe writes them; a progressive file
/// of at most 50 scans. Upright, as its EXIF marker says.
/// @param header_only leaves out the pixels.
/// @throws InputError naming the file: damaged, too large.
Image read_jpeg(std::string_view bytes, const std::filesystem::path& file, bool header_only);

}  // namespace strata::data
