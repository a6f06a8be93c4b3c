#pragma once
// Image files made byte by byte: what no other program's library would write.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "catch.h"

namespace strata::test {

/// An APP1 segment whose only entry is EXIF's orientation, in either byte order.
inline std::string exif_segment(int orientation, bool big) {
  const auto number = [&](int value, int count) {
    std::string out;
    for (int i = 0; i < count; ++i)
      out += static_cast<char>(value >> 8 * (big ? count - 1 - i : i) & 0xff);
    return out;
  };
  const std::string tiff = (big ? "MM" : "II") + number(42, 2) + number(8, 4) + number(1, 2) +
                           number(0x0112, 2) + number(3, 2) + number(1, 4) +
                           number(orientation, 2) + number(0, 2) + number(0, 4);
  const std::string data = std::string("Exif\0\0", 6) + tiff;
  return std::string("\xff\xe1", 2) + static_cast<char>((data.size() + 2) >> 8) +
         static_cast<char>((data.size() + 2) & 0xff) + data;
}

using Tags = std::vector<std::pair<int, std::uint32_t>>;

/// A TIFF file of these tags (one value each; LONG, or SHORT where TIFF 6.0 has it so) and `data`,
/// which begins at byte 256.
inline std::string tiff(bool big, const Tags& tags, const std::string& data) {
  const auto number = [big](std::uint32_t value, int size) {
    std::string out;
    for (int i = 0; i < size; ++i)
      out += static_cast<char>(value >> 8 * (big ? size - 1 - i : i) & 0xff);
    return out;
  };
  std::string file = (big ? "MM" : "II") + number(42, 2) + number(8, 4);
  file += number(static_cast<std::uint32_t>(tags.size()), 2);
  for (const auto& [tag, value] : tags) {
    const bool is_short = tag == 258 || tag == 259 || tag == 262 || tag == 274 || tag == 277 ||
                          tag == 284 || tag == 317 || tag == 339;
    file += number(static_cast<std::uint32_t>(tag), 2) + number(is_short ? 3 : 4, 2) + number(1, 4);
    file += is_short ? number(value, 2) + number(0, 2) : number(value, 4);
  }
  file += number(0, 4);
  REQUIRE(file.size() <= 256);
  file.resize(256);
  return file + data;
}

/// A BMP file with this header (its size first), no palette, and `data` behind it.
inline std::string bmp(int header, int width, int height, int bits, int compression,
                       const std::string& data) {
  const auto u16 = [](int value) {
    return std::string{static_cast<char>(value & 0xff), static_cast<char>(value >> 8 & 0xff)};
  };
  const auto u32 = [&](int value) { return u16(value & 0xffff) + u16(value >> 16 & 0xffff); };
  return "BM" + u32(0) + u32(0) + u32(54) + u32(header) + u32(width) + u32(height) + u16(1) +
         u16(bits) + u32(compression) + std::string(20, '\0') + data;
}

}  // namespace strata::test
