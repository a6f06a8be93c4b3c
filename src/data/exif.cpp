#include "data/exif.h"

#include <algorithm>
#include <cstddef>

namespace strata::data {

int exif_orientation(std::string_view tiff) {
  if (tiff.size() < 8) return 1;
  const bool big = tiff.substr(0, 2) == "MM";
  if (!big && tiff.substr(0, 2) != "II") return 1;
  const auto number = [&](std::size_t at, int count) -> std::size_t {
    std::size_t value = 0;
    for (int i = 0; i < count; ++i) {
      const auto byte = static_cast<unsigned char>(tiff[at + (big ? i : count - 1 - i)]);
      value = value << 8 | byte;
    }
    return value;
  };
  const std::size_t directory = number(4, 4);
  if (directory > tiff.size() || tiff.size() - directory < 2) return 1;
  const std::size_t entries = number(directory, 2);
  constexpr std::size_t kEntry = 12;
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t at = directory + 2 + i * kEntry;
    if (at > tiff.size() || tiff.size() - at < kEntry) return 1;
    constexpr std::size_t kOrientation = 0x0112, kShort = 3;
    if (number(at, 2) != kOrientation || number(at + 2, 2) != kShort) continue;
    const std::size_t value = number(at + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Image upright(Image image, int orientation, bool header_only) {
  if (orientation == 1) return image;
  const bool transposed = orientation >= 5;
  Image out{transposed ? image.height : image.width, transposed ? image.width : image.height, {}};
  if (header_only) return out;
  // For every upright pixel, where it lies in the file: 6, for one, is a picture that must be
  // turned clockwise, so that its rows come from the file's columns, read from the bottom.
  const bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  out.pixels.resize(image.pixels.size());
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x) {
      int from_x = transposed ? y : x, from_y = transposed ? x : y;
      if (flip_x) from_x = image.width - 1 - from_x;
      if (flip_y) from_y = image.height - 1 - from_y;
      const std::size_t from = (static_cast<std::size_t>(from_y) * image.width + from_x) * 3;
      const std::size_t to = (static_cast<std::size_t>(y) * out.width + x) * 3;
      std::copy_n(image.pixels.begin() + static_cast<std::ptrdiff_t>(from), 3,
                  out.pixels.begin() + static_cast<std::ptrdiff_t>(to));
    }
  return out;
}

}  // namespace strata::data
