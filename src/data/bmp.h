#pragma once
/// \file
/// Windows bitmaps. Some of OmniMedVQA's sets have them (microscopy and fundus), and a set must not
/// be refused for them. Internal: read_image chooses by a file's first bytes.

#include <string>
#include <string_view>

#include "data/rgb_image.h"

namespace strata::data {

/// Windows bitmaps with a header of 40 bytes or more (Windows 3 and later), not compressed: 1, 4
/// and 8 bits with a palette, 24 and 32 bits. The fourth byte of 32 bits is not read.
/// @param header_only leaves out the pixels.
/// @throws InputError beginning with `file`: damaged, or another kind.
Image read_bmp(std::string_view bytes, const std::string& file, bool header_only);

}  // namespace strata::data
