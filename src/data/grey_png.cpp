#include "data/grey_png.h"

#include <zlib.h>

#include <new>

#include "data/png_chunks.h"

namespace strata::data {

std::string grey_png(const std::uint8_t* pixels, int width, int height) {
  const auto stride = static_cast<std::size_t>(width);
  std::string raw;
  for (int y = 0; y < height; ++y) {
    raw += '\0';
    raw.append(reinterpret_cast<const char*>(pixels) + stride * static_cast<std::size_t>(y),
               stride);
  }
  uLongf length = compressBound(static_cast<uLong>(raw.size()));
  std::string stream(length, '\0');
  if (compress2(reinterpret_cast<Bytef*>(stream.data()), &length,
                reinterpret_cast<const Bytef*>(raw.data()), static_cast<uLong>(raw.size()),
                Z_BEST_COMPRESSION) != Z_OK)
    throw std::bad_alloc();
  stream.resize(length);
  return png_file(width, height, kPngGrey, stream);
}

}  // namespace strata::data
