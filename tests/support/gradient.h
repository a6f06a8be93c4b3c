#pragma once
// An image without two equal rows or columns.

#include <cstdint>

#include "data/rgb_image.h"

namespace strata::test {

inline data::Image gradient(int width, int height) {
  data::Image image{width, height, {}};
  for (int i = 0; i < width * height * 3; ++i)
    image.pixels.push_back(static_cast<std::uint8_t>(i * 7 % 256));
  return image;
}

}  // namespace strata::test
