#pragma once
/// \file
/// An image in memory. Readers of one format each include this, and data/image.h them.

#include <cstdint>
#include <vector>

namespace strata::data {

/// Interleaved RGB, row by row: pixels[(y * width + x) * 3 + channel].
struct Image {
  int width = 0, height = 0;
  std::vector<std::uint8_t> pixels;
};

}  // namespace strata::data
