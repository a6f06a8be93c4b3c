#pragma once
/// \file
/// BMP and TIFF files as images. Some of OmniMedVQA's sets have them (microscopy and fundus), and a
/// set must not be refused for them. Internal: read_image chooses by a file's first bytes.

#include <cstdint>
#include <string>
#include <string_view>

#include "data/image.h"

namespace strata {

/// Larger images are refused, so that a damaged header cannot ask for gigabytes.
inline constexpr std::uint32_t kMaxImageSide = 16384;

/// Windows bitmaps with a header of 40 bytes or more (Windows 3 and later), not compressed: 1, 4
/// and 8 bits with a palette, 24 and 32 bits. The fourth byte of 32 bits is not read.
/// @param header_only leaves out the pixels.
/// @throws InputError beginning with `file`: damaged, or another kind.
Image read_bmp(std::string_view bytes, const std::string& file, bool header_only);

/// The first image of a TIFF file, whatever libtiff makes RGB of: samples of 1 to 16 bits (16 are
/// scaled to 8), palettes, alpha over black, strips and tiles, any compression it was built with.
/// The orientation is not applied.
/// @param header_only leaves out the pixels.
/// @throws InputError beginning with `file`: damaged, or another kind (it says which).
Image read_tiff(std::string_view bytes, const std::string& file, bool header_only);

}  // namespace strata
