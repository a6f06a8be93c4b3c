#pragma once
/// \file
/// How large an image may be. Larger ones are refused before memory is taken for them, so that a
/// few bytes of header cannot ask for gigabytes. Internal.

#include <cstdint>
#include <string>

namespace strata::data {

/// A pixel takes up to nine bytes while it is decoded, once for each thread. The largest pictures
/// of the published medical sets, fundus and X-ray, have some 20 million pixels.
inline constexpr std::uint32_t kMaxImageSide = 16384;
inline constexpr std::uint64_t kMaxImagePixels = std::uint64_t{1} << 26;

bool image_fits(std::uint64_t width, std::uint64_t height);
/// `format` begins with its article-less name: "PNG". @throws InputError beginning with `file`
/// unless `image_fits`.
void check_image_size(const std::string& file, const char* format, std::uint64_t width,
                      std::uint64_t height);

}  // namespace strata::data
