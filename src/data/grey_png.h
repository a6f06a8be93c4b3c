#pragma once
/// \file
/// Grey images as small PNG files.

#include <cstdint>
#include <string>

namespace strata::data {

/// The bytes of an 8-bit grey image, deflated: small, but what zlib makes of them differs between
/// its versions. `pixels` are (height, width), columns the fastest; both sides are 1 or more.
std::string grey_png(const std::uint8_t* pixels, int width, int height);

}  // namespace strata::data
