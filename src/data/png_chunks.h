#pragma once
/// \file
/// How PNG files are put together. Internal.

#include <zlib.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace strata::data {

inline void append_png_u32(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
}

inline void append_png_chunk(std::string& out, std::string_view type, std::string_view data) {
  append_png_u32(out, static_cast<std::uint32_t>(data.size()));
  const std::size_t start = out.size();
  out += type;
  out += data;
  const auto* bytes = reinterpret_cast<const Bytef*>(out.data()) + start;
  append_png_u32(
      out, static_cast<std::uint32_t>(crc32(0, bytes, static_cast<uInt>(out.size() - start))));
}

/// Colour types.
inline constexpr char kPngGrey = 0, kPngRgb = 2;

/// A file of 8 bits a channel, not interlaced, of rows that zlib's `stream` holds.
inline std::string png_file(int width, int height, char colours, std::string_view stream) {
  std::string header;
  append_png_u32(header, static_cast<std::uint32_t>(width));
  append_png_u32(header, static_cast<std::uint32_t>(height));
  header += '\x08';
  header += colours;
  header += std::string_view("\x00\x00\x00", 3);  // deflate, adaptive filters, not interlaced

  std::string bytes("\x89PNG\r\n\x1a\n", 8);
  append_png_chunk(bytes, "IHDR", header);
  append_png_chunk(bytes, "IDAT", stream);
  append_png_chunk(bytes, "IEND", "");
  return bytes;
}

}  // namespace strata::data
