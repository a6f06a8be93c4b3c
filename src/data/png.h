#pragma once
/// \file
/// PNG files: read by libpng, written without it.

#include <filesystem>
#include <string_view>

#include "data/rgb_image.h"

namespace strata::data {

/// 1 to 16 bits, grey, palette, RGB, with alpha or a transparent colour, interlaced: alpha is
/// composed over black, grey becomes RGB, 16 bits are scaled to 8. Upright, as its EXIF chunk says.
/// @param header_only leaves out the pixels.
/// @throws InputError naming the file: damaged, too large.
Image read_png(std::string_view bytes, const std::filesystem::path& file, bool header_only);

/// 8-bit RGB; the same image gives the same bytes. Whole or absent, but not flushed to the disk, as
/// sets have thousands of images. @throws WorkError
void write_png(const Image& image, const std::filesystem::path& path);

}  // namespace strata::data
