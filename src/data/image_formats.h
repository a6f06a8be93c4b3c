#pragma once
/// \file
/// BMP and TIFF files as images. Some of OmniMedVQA's sets have them (microscopy and fundus), and a
/// set must not be refused for them. Internal: read_image chooses by a file's first bytes.

#include <cstdint>
#include <string>
#include <string_view>

#include "data/image.h"

namespace strata::data {

/// Larger images are refused before memory is taken for them, so that a few bytes of header cannot
/// ask for gigabytes: a pixel takes up to nine bytes while it is decoded, once for each thread. The
/// largest pictures of the published medical sets, fundus and X-ray, have some 20 million pixels.
inline constexpr std::uint32_t kMaxImageSide = 16384;
inline constexpr std::uint64_t kMaxImagePixels = std::uint64_t{1} << 26;

bool image_fits(std::uint64_t width, std::uint64_t height);
/// `format` begins with its article-less name: "PNG". @throws InputError beginning with `file`
/// unless `image_fits`.
void check_image_size(const std::string& file, const char* format, std::uint64_t width,
                      std::uint64_t height);

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

}  // namespace strata::data
