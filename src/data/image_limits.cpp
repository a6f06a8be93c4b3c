#include "data/image_limits.h"

#include "strata/core/error.h"

namespace strata::data {

bool image_fits(std::uint64_t width, std::uint64_t height) {
  return width <= kMaxImageSide && height <= kMaxImageSide && width * height <= kMaxImagePixels;
}

void check_image_size(const std::string& file, const char* format, std::uint64_t width,
                      std::uint64_t height) {
  if (image_fits(width, height)) return;
  throw InputError(file + ": " + format + " image of " + std::to_string(width) + " x " +
                   std::to_string(height) + " pixels; at most " + std::to_string(kMaxImageSide) +
                   " a side and " + std::to_string(kMaxImagePixels) + " in all can be read");
}

}  // namespace strata::data
