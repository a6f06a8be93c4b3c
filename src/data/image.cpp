#include "data/image.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "data/bmp.h"
#include "data/exif.h"
#include "data/jpeg.h"
#include "data/npz_image.h"
#include "data/tiff.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

enum class Format { kPng, kJpeg, kTiff, kBmp };

Format format_of(const std::filesystem::path& path, std::string_view bytes) {
  if (bytes.substr(0, 8) == std::string_view("\x89PNG\r\n\x1a\n", 8)) return Format::kPng;
  if (bytes.substr(0, 3) == "\xff\xd8\xff") return Format::kJpeg;
  if (bytes.substr(0, 4) == std::string_view("II*\0", 4) ||
      bytes.substr(0, 4) == std::string_view("MM\0*", 4))
    return Format::kTiff;
  if (bytes.substr(0, 2) == "BM") return Format::kBmp;
  throw InputError(path.string() +
                   ": neither a PNG, a JPEG, a TIFF nor a BMP image (by its first bytes)");
}

Image decode(const std::filesystem::path& path, bool header_only) {
  const std::string bytes = read_file(path);
  switch (format_of(path, bytes)) {
    case Format::kPng:
      return read_png(bytes, path, header_only);
    case Format::kJpeg:
      return read_jpeg(bytes, path, header_only);
    case Format::kTiff:
      return upright(read_tiff(bytes, path.string(), header_only), exif_orientation(bytes),
                     header_only);
    case Format::kBmp:
      break;
  }
  return read_bmp(bytes, path.string(), header_only);
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
