#include "data/image.h"

// jpeglib.h needs FILE and size_t declared before it.
#include <jerror.h>
#include <jpeglib.h>
#include <png.h>
#include <zlib.h>
#include <csetjmp>
#include <cstdio>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <string_view>

#include "data/image_formats.h"
#include "data/npz.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

enum class Format { kPng, kJpeg, kTiff, kBmp };

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& message) {
  throw InputError(path.string() + ": " + message);
}

Format format_of(const std::filesystem::path& path, std::string_view bytes) {
  if (bytes.substr(0, 8) == std::string_view("\x89PNG\r\n\x1a\n", 8)) return Format::kPng;
  if (bytes.substr(0, 3) == "\xff\xd8\xff") return Format::kJpeg;
  if (bytes.substr(0, 4) == std::string_view("II*\0", 4) ||
      bytes.substr(0, 4) == std::string_view("MM\0*", 4))
    return Format::kTiff;
  if (bytes.substr(0, 2) == "BM") return Format::kBmp;
  fail(path, "neither a PNG, a JPEG, a TIFF nor a BMP image (by its first bytes)");
}

/// EXIF's orientation (Exif 2.3, tag 0x0112), 1 to 8, of a TIFF structure; 1 (upright) where there
/// is none, or none that makes sense: a picture is not refused for its camera's notes.
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

/// Turns a picture that is stored with `orientation` upright. The sides change places from 5 on.
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

// libpng and libjpeg report errors by longjmp. No object with a destructor may live between the
// setjmp and the calls that can jump, so everything they fill is kept in these structs, outside.

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

Image read_png(const std::filesystem::path& path, std::string_view bytes, bool header_only) {
  PngSource source{bytes};
  PngRows rows;
  if (!decode_png(source, rows, header_only))
    fail(path, std::string("damaged PNG image: ") + source.message);
  Image image = std::move(rows.image);
  check_image_size(path.string(), "PNG", image.width, image.height);
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

struct JpegErrors {
  jpeg_error_mgr manager;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX] = "";
};

void jpeg_fail(j_common_ptr info) {
  auto* errors = reinterpret_cast<JpegErrors*>(info->err);
  info->err->format_message(info, errors->message);
  std::longjmp(errors->jump, 1);
}

void jpeg_warn(j_common_ptr info, int level) {
  // libjpeg fills the rest of a truncated image with grey and calls that a warning; other warnings
  // (stray bytes between markers) leave the picture whole.
  const int code = info->err->msg_code;
  if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER)) jpeg_fail(info);
}

/// A progressive file says in every scan a little more about all of the picture, and a scan of a
/// hundred bytes takes as long as one of megabytes. Encoders write about ten; one for every bit of
/// every component's coefficients would be fewer than these.
constexpr int kMaxScans = 50;

void jpeg_limit_scans(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMaxScans) return;
  auto* errors = reinterpret_cast<JpegErrors*>(info->err);
  std::snprintf(errors->message, sizeof errors->message, "it has more than %d scans", kMaxScans);
  std::longjmp(errors->jump, 1);
}

struct JpegRows {
  Image image;
  std::vector<std::uint8_t> cmyk;
  int orientation = 1;
};

/// False with errors.message set when the file is damaged. Leaves out the pixels of an image that
/// does not fit, too.
bool decode_jpeg(std::string_view bytes, JpegErrors& errors, JpegRows& out, bool header_only) {
  jpeg_decompress_struct jpeg;
  jpeg_progress_mgr progress = {};
  progress.progress_monitor = jpeg_limit_scans;
  jpeg.err = jpeg_std_error(&errors.manager);
  errors.manager.error_exit = jpeg_fail;
  errors.manager.emit_message = jpeg_warn;
  if (setjmp(errors.jump)) {
    jpeg_destroy_decompress(&jpeg);
    return false;
  }
  jpeg_create_decompress(&jpeg);
  jpeg.progress = &progress;
  jpeg_mem_src(&jpeg, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_save_markers(&jpeg, JPEG_APP0 + 1, 0xffff);
  jpeg_read_header(&jpeg, TRUE);
  constexpr std::string_view kExif("Exif\0\0", 6);
  for (jpeg_saved_marker_ptr marker = jpeg.marker_list; marker; marker = marker->next) {
    const std::string_view data(reinterpret_cast<const char*>(marker->data), marker->data_length);
    if (data.substr(0, kExif.size()) == kExif) {
      out.orientation = exif_orientation(data.substr(kExif.size()));
      break;
    }
  }
  Image& image = out.image;
  image.width = static_cast<int>(jpeg.image_width);
  image.height = static_cast<int>(jpeg.image_height);
  if (!header_only && image_fits(jpeg.image_width, jpeg.image_height)) {
    // libjpeg makes CMYK of YCCK, but not RGB of either.
    const bool four = jpeg.num_components == 4;
    jpeg.out_color_space = four ? JCS_CMYK : JCS_RGB;
    jpeg.dct_method = JDCT_ISLOW;
    jpeg_start_decompress(&jpeg);
    const std::size_t stride = static_cast<std::size_t>(image.width) * (four ? 4 : 3);
    std::vector<std::uint8_t>& pixels = four ? out.cmyk : image.pixels;
    pixels.resize(stride * image.height);
    while (jpeg.output_scanline < jpeg.output_height) {
      JSAMPROW row = pixels.data() + stride * jpeg.output_scanline;
      jpeg_read_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_decompress(&jpeg);
  }
  jpeg_destroy_decompress(&jpeg);
  return true;
}

Image read_jpeg(const std::filesystem::path& path, std::string_view bytes, bool header_only) {
  JpegRows rows;
  JpegErrors errors;
  if (!decode_jpeg(bytes, errors, rows, header_only))
    fail(path, std::string("damaged JPEG image: ") + errors.message);
  Image image = std::move(rows.image);
  check_image_size(path.string(), "JPEG", image.width, image.height);
  if (!rows.cmyk.empty()) {
    // Adobe writes CMYK inverted (255 is no ink), and others do as Adobe does: a channel's light is
    // what its ink and the black let through.
    image.pixels.resize(rows.cmyk.size() / 4 * 3);
    for (std::size_t i = 0; i < rows.cmyk.size() / 4; ++i)
      for (std::size_t c = 0; c < 3; ++c)
        image.pixels[3 * i + c] =
            static_cast<std::uint8_t>((rows.cmyk[4 * i + c] * rows.cmyk[4 * i + 3] + 127) / 255);
  }
  return upright(std::move(image), rows.orientation, header_only);
}

Image decode(const std::filesystem::path& path, bool header_only) {
  const std::string bytes = read_file(path);
  switch (format_of(path, bytes)) {
    case Format::kPng:
      return read_png(path, bytes, header_only);
    case Format::kJpeg:
      return read_jpeg(path, bytes, header_only);
    case Format::kTiff:
      return upright(read_tiff(bytes, path.string(), header_only), exif_orientation(bytes),
                     header_only);
    case Format::kBmp:
      break;
  }
  return read_bmp(bytes, path.string(), header_only);
}

void append_u32(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
}

void append_chunk(std::string& out, std::string_view type, std::string_view data) {
  append_u32(out, static_cast<std::uint32_t>(data.size()));
  const std::size_t start = out.size();
  out += type;
  out += data;
  const auto* bytes = reinterpret_cast<const Bytef*>(out.data()) + start;
  append_u32(out,
             static_cast<std::uint32_t>(crc32(0, bytes, static_cast<uInt>(out.size() - start))));
}

/// The weights with which the pixels [first, first + weights.size()) of a line make one output
/// pixel.
struct Taps {
  int first = 0;
  std::vector<std::int64_t> weights;
};

constexpr int kWeightBits = 22;

/// Filters as Pillow has them: what they are within their support of as many source pixels, where
/// the image is not shrunk.
double support_of(Filter filter) {
  switch (filter) {
    case Filter::kLanczos:
      return 3;
    case Filter::kBicubic:
      return 2;
    case Filter::kBox:
      return 0.5;
    default:
      return 1;
  }
}

double sinc(double x) {
  return x == 0 ? 1 : std::sin(M_PI * x) / (M_PI * x);
}

double weight_at(Filter filter, double x) {
  const double distance = std::abs(x);
  switch (filter) {
    case Filter::kLanczos:
      return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0;
    case Filter::kBicubic: {
      constexpr double kA = -0.5;
      if (distance < 1) return ((kA + 2) * distance - (kA + 3)) * distance * distance + 1;
      return distance < 2 ? (((distance - 5) * distance + 8) * distance - 4) * kA : 0;
    }
    case Filter::kBox:
      return -0.5 < x && x <= 0.5 ? 1 : 0;
    case Filter::kHamming:
      if (distance == 0) return 1;
      return distance < 1 ? sinc(distance) * (0.54 + 0.46 * std::cos(M_PI * distance)) : 0;
    default:
      return distance < 1 ? 1 - distance : 0;
  }
}

/// The one source pixel that each output pixel shows; Pillow adds the steps up.
std::vector<Taps> nearest_taps(int from, int to) {
  std::vector<Taps> taps(to);
  const double step = static_cast<double>(from) / to;
  double at = step * 0.5;
  for (Taps& tap : taps) {
    tap.first = std::min(static_cast<int>(at), from - 1);
    tap.weights = {std::int64_t{1} << kWeightBits};
    at += step;
  }
  return taps;
}

std::vector<Taps> filter_taps(int from, int to, Filter filter) {
  if (filter == Filter::kNearest) return nearest_taps(from, to);
  const double scale = static_cast<double>(from) / to;
  const double stretch = std::max(scale, 1.0), support = support_of(filter) * stretch;
  std::vector<Taps> taps(to);
  for (int i = 0; i < to; ++i) {
    const double centre = (i + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(centre - support + 0.5));
    const int last = std::min(from, static_cast<int>(centre + support + 0.5));
    std::vector<double> weights(last - first);
    double sum = 0;
    for (int j = first; j < last; ++j) {
      weights[j - first] = weight_at(filter, (j - centre + 0.5) * (1 / stretch));
      sum += weights[j - first];
    }
    taps[i].first = first;
    for (const double weight : weights)
      taps[i].weights.push_back(std::llround(weight / sum * (1 << kWeightBits)));
  }
  return taps;
}

/// One pass of the separable filter over lines of `from` pixels; the result is rounded to 8 bits.
/// `step` is the distance of a line's neighbours and `line_step` that of the lines, both in pixels.
void filter_lines(const std::uint8_t* in, std::uint8_t* out, int lines,
                  const std::vector<Taps>& taps, std::size_t in_step, std::size_t in_line_step,
                  std::size_t out_step, std::size_t out_line_step) {
  for (int line = 0; line < lines; ++line)
    for (std::size_t i = 0; i < taps.size(); ++i)
      for (int c = 0; c < 3; ++c) {
        std::int64_t sum = std::int64_t{1} << (kWeightBits - 1);
        for (std::size_t j = 0; j < taps[i].weights.size(); ++j)
          sum += taps[i].weights[j] *
                 in[(line * in_line_step + (taps[i].first + j) * in_step) * 3 + c];
        out[(line * out_line_step + i * out_step) * 3 + c] =
            static_cast<std::uint8_t>(std::clamp<std::int64_t>(sum >> kWeightBits, 0, 255));
      }
}

}  // namespace

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

Image read_image(const std::filesystem::path& path) {
  NpzImageName name;
  if (parse_npz_image(path, name)) return read_npz_image(name);
  return decode(path, false);
}

bool is_image(const std::filesystem::path& path) {
  NpzImageName name;
  std::error_code error;  // for a name that is too long, say
  return std::filesystem::is_regular_file(parse_npz_image(path, name) ? name.file : path, error);
}

void read_image_size(const std::filesystem::path& path, int& width, int& height) {
  NpzImageName name;
  if (parse_npz_image(path, name)) return npz_image_size(name, width, height);
  const Image image = decode(path, true);
  width = image.width;
  height = image.height;
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
  append_u32(stream, static_cast<std::uint32_t>(adler32(1, bytes, static_cast<uInt>(raw.size()))));

  std::string header;
  append_u32(header, static_cast<std::uint32_t>(image.width));
  append_u32(header, static_cast<std::uint32_t>(image.height));
  // 8 bits a channel, RGB, deflate, adaptive filters, not interlaced.
  header += std::string_view("\x08\x02\x00\x00\x00", 5);

  std::string file("\x89PNG\r\n\x1a\n", 8);
  append_chunk(file, "IHDR", header);
  append_chunk(file, "IDAT", stream);
  append_chunk(file, "IEND", "");
  write_file(path, file, /*flush_to_disk=*/false);
}

Image resize(const Image& image, int width, int height, Filter filter) {
  if (width == image.width && height == image.height) return image;
  Image wide{width, image.height, {}};
  wide.pixels.resize(static_cast<std::size_t>(width) * image.height * 3);
  filter_lines(image.pixels.data(), wide.pixels.data(), image.height,
               filter_taps(image.width, width, filter), 1, image.width, 1, width);
  Image out{width, height, {}};
  out.pixels.resize(static_cast<std::size_t>(width) * height * 3);
  filter_lines(wide.pixels.data(), out.pixels.data(), width,
               filter_taps(image.height, height, filter), width, 1, width, 1);
  return out;
}

}  // namespace strata::data
