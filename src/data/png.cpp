#include "data/png.h"

#include <png.h>
#include <zlib.h>
#include <csetjmp>
#include <cstdio>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "data/exif.h"
#include "data/image_limits.h"
#include "data/png_chunks.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

// libpng reports errors by longjmp. No object with a destructor may live between the setjmp and the
// calls that can jump, so everything they fill is kept in these structs, outside.

struct PngSource {
  std::string_view bytes;
  std::size_t position = 0;
  char message[128] = "";
};

void png_read_bytes(png_structp png, png_bytep out, png_size_t count) {
  auto* source = static_cast<PngSource*>(png_get_io_ptr(png));
  if (source->bytes.size() - source->position < count) png_error(png, "the file ends too early");
  std::memcpy(out, source->bytes.data() + source->position, count);
  source->position += count;
}

void png_fail(png_structp png, png_const_charp message) {
  auto* source = static_cast<PngSource*>(png_get_error_ptr(png));
  std::snprintf(source->message, sizeof source->message, "%s", message);
  png_longjmp(png, 1);
}

void png_ignore_warning(png_structp, png_const_charp) {}

struct PngRows {
  Image image;  ///< with four bytes a pixel
  int orientation = 1;
  std::vector<png_bytep> rows;
};

/// False with source.message set when the file is damaged. Leaves out the pixels of an image that
/// does not fit, too.
bool decode_png(PngSource& source, PngRows& out, bool header_only) {
  png_structp png =
      png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, png_fail, png_ignore_warning);
  png_infop info = png ? png_create_info_struct(png) : nullptr;
  if (!info) {
    png_destroy_read_struct(&png, nullptr, nullptr);
    throw WorkError("libpng could not be started");
  }
  if (setjmp(png_jmpbuf(png))) {
    png_destroy_read_struct(&png, &info, nullptr);
    return false;
  }
  png_set_read_fn(png, &source, png_read_bytes);
  // The size is checked here, not by libpng, whose message would not say what is allowed.
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_read_info(png, info);
  out.image.width = static_cast<int>(png_get_image_width(png, info));
  out.image.height = static_cast<int>(png_get_image_height(png, info));
#ifdef PNG_eXIf_SUPPORTED
  png_uint_32 exif_size = 0;
  png_bytep exif = nullptr;
  if (png_get_eXIf_1(png, info, &exif_size, &exif) != 0)
    out.orientation = exif_orientation({reinterpret_cast<const char*>(exif), exif_size});
#endif
  if (!header_only && image_fits(png_get_image_width(png, info), png_get_image_height(png, info))) {
    png_set_expand(png);
    png_set_scale_16(png);
    png_set_gray_to_rgb(png);
    png_set_add_alpha(png, 0xff, PNG_FILLER_AFTER);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    const std::size_t stride = png_get_rowbytes(png, info);
    out.image.pixels.resize(stride * out.image.height);
    out.rows.resize(out.image.height);
    for (int y = 0; y < out.image.height; ++y) out.rows[y] = out.image.pixels.data() + stride * y;
    png_read_image(png, out.rows.data());
    png_read_end(png, nullptr);
  }
  png_destroy_read_struct(&png, &info, nullptr);
  return true;
}

}  // namespace

Image read_png(std::string_view bytes, const std::filesystem::path& file, bool header_only) {
  PngSource source{bytes};
  PngRows rows;
  if (!decode_png(source, rows, header_only))
    throw InputError(file.string() + ": damaged PNG image: " + source.message);
  Image image = std::move(rows.image);
  check_image_size(file.string(), "PNG", image.width, image.height);
  if (header_only) return upright(std::move(image), rows.orientation, true);
  // In place, as what is written never catches up with what is read.
  const std::size_t count = static_cast<std::size_t>(image.width) * image.height;
  for (std::size_t i = 0; i < count; ++i) {
    const unsigned alpha = image.pixels[4 * i + 3];
    for (int c = 0; c < 3; ++c)
      image.pixels[3 * i + c] =
          static_cast<std::uint8_t>((image.pixels[4 * i + c] * alpha + 127) / 255);
  }
  image.pixels.resize(count * 3);
  return upright(std::move(image), rows.orientation, false);
}

void write_png(const Image& image, const std::filesystem::path& path) {
  // Written here and uncompressed: what deflate makes of the same pixels differs between versions
  // and replacements of zlib, and the data sets promise the same bytes on every machine.
  const std::size_t stride = static_cast<std::size_t>(image.width) * 3;
  std::string raw;
  raw.reserve((stride + 1) * image.height);
  for (int y = 0; y < image.height; ++y) {
    raw += '\0';
    raw.append(reinterpret_cast<const char*>(image.pixels.data()) + stride * y, stride);
  }
  std::string stream = "\x78\x01";
  constexpr std::size_t kBlock = 65535;
  for (std::size_t at = 0; at < raw.size(); at += kBlock) {
    const auto length = static_cast<std::uint16_t>(std::min(kBlock, raw.size() - at));
    const auto inverse = static_cast<std::uint16_t>(~length);
    stream += at + length == raw.size() ? '\1' : '\0';
    for (const std::uint16_t value : {length, inverse}) {
      stream += static_cast<char>(value & 0xff);
      stream += static_cast<char>(value >> 8);
    }
    stream.append(raw, at, length);
  }
  const auto* bytes = reinterpret_cast<const Bytef*>(raw.data());
  append_png_u32(stream,
                 static_cast<std::uint32_t>(adler32(1, bytes, static_cast<uInt>(raw.size()))));

  write_file(path, png_file(image.width, image.height, kPngRgb, stream),
             /*flush_to_disk=*/false);
}

}  // namespace strata::data
