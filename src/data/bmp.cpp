#include "data/bmp.h"

#include <algorithm>
#include <cstdlib>

#include "data/image_limits.h"
#include "strata/core/error.h"

namespace strata::data {

Image read_bmp(std::string_view bytes, const std::string& file, bool header_only) {
  const auto damaged = [&](const std::string& message) {
    throw InputError(file + ": damaged BMP image: " + message);
  };
  const auto byte = [&](std::size_t at) -> std::uint32_t {
    if (at >= bytes.size()) damaged("the file ends too early");
    return static_cast<unsigned char>(bytes[at]);
  };
  const auto u16 = [&](std::size_t at) { return byte(at) | byte(at + 1) << 8; };
  const auto u32 = [&](std::size_t at) { return u16(at) | u16(at + 2) << 16; };
  constexpr std::size_t kFileHeader = 14, kInfoHeader = 40;
  const std::size_t header = u32(kFileHeader);
  if (header < kInfoHeader)
    throw InputError(file + ": BMP image with a header of " + std::to_string(header) +
                     " bytes; those of 40 bytes and more can be read");
  const auto width = static_cast<std::int32_t>(u32(18));
  // A negative height means that the first row is the upper one.
  const auto height = static_cast<std::int32_t>(u32(22));
  const auto rows = static_cast<std::uint32_t>(std::abs(static_cast<std::int64_t>(height)));
  if (width < 1 || rows < 1)
    damaged("it says it has " + std::to_string(width) + " x " + std::to_string(height) + " pixels");
  check_image_size(file, "BMP", static_cast<std::uint64_t>(width), rows);
  const std::uint32_t bits = u16(28), compression = u32(30);
  const bool palette = bits == 1 || bits == 4 || bits == 8;
  if (compression != 0 || (!palette && bits != 24 && bits != 32))
    throw InputError(file + ": BMP image of " + std::to_string(bits) + " bits with compression " +
                     std::to_string(compression) +
                     "; those of 1, 4, 8, 24 and 32 bits without compression can be read");
  Image image{width, static_cast<int>(rows), {}};
  if (header_only) return image;

  const std::size_t pixels = u32(10);
  const std::size_t stride = (static_cast<std::size_t>(width) * bits + 31) / 32 * 4;
  if (pixels > bytes.size() || stride * rows > bytes.size() - pixels)
    damaged("the file ends too early");
  const std::size_t colours = kFileHeader + header;
  image.pixels.reserve(static_cast<std::size_t>(width) * rows * 3);
  for (std::uint32_t y = 0; y < rows; ++y) {
    const std::size_t row = pixels + stride * (height < 0 ? y : rows - 1 - y);
    for (std::uint32_t x = 0; x < static_cast<std::uint32_t>(width); ++x) {
      std::size_t bgr;
      if (palette) {
        const std::uint32_t in_byte = x * bits % 8;
        const std::uint32_t index =
            byte(row + x * bits / 8) >> (8 - bits - in_byte) & ((1u << bits) - 1);
        bgr = colours + 4 * index;
        if (bgr + 4 > pixels) damaged("a pixel's colour is not in its palette");
      } else {
        bgr = row + x * (bits / 8);
      }
      for (const std::size_t channel : {2, 1, 0})
        image.pixels.push_back(static_cast<std::uint8_t>(byte(bgr + channel)));
    }
  }
  return image;
}

}  // namespace strata::data
