#pragma once
/// \file
/// Where a label is in a plane, as a line around it. Internal.

#include <cstdint>
#include <string>

namespace strata::fedrunner {

/// The data of an SVG path, of closed lines along the edges of pixels with the label; pixels that
/// touch at a corner alone are apart. A pixel is from its place to 1 more; "M1 0h1v1h-1z" is
/// around the second one of the first row. `labels` is (height, width), columns the fastest.
/// O(pixels).
std::string outline(const std::uint8_t* labels, std::int64_t height, std::int64_t width,
                    std::uint8_t label);

}  // namespace strata::fedrunner
