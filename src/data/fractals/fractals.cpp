#include "data/fractals/fractals.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <vector>

#include "core/document.h"
#include "core/parallel.h"
#include "data/image.h"
#include "data/made_set.h"
#include "strata/core/atomic_file.h"
#include "strata/core/random.h"

namespace strata::data {
namespace {

// Only +, −, ×, ÷ and √, which are the same on every machine.

/// (x, y) → (a x + b y + e, c x + d y + f).
struct AffineMap {
  std::array<double, 6> values{};  ///< a, b, c, d, e, f

  double determinant() const { return values[0] * values[3] - values[1] * values[2]; }
  /// The factor by which it lengthens at most: the linear part's largest singular value.
  double norm() const {
    double squares = 0;
    for (int i = 0; i < 4; ++i) squares += values[i] * values[i];
    const double det = determinant();
    return std::sqrt((squares + std::sqrt(std::max(0.0, squares * squares - 4 * det * det))) / 2);
  }
};

/// Contracting maps, of which the next is drawn by the area that it keeps.
using IteratedSystem = std::vector<AffineMap>;

constexpr double kLargestNorm = 0.95;  ///< so that every attractor is bounded
constexpr double kLeastFilling = 0.2;  ///< of the pixels; sparser systems are no picture (eq. 3)
constexpr int kFillingSize = 64;

AffineMap draw_map(Random& random) {
  AffineMap map;
  do {
    for (double& value : map.values) value = random.uniform(-1, 1);
  } while (map.norm() > kLargestNorm);
  return map;
}

/// How often each pixel is hit, the attractor's box being the image's but for a margin.
std::vector<int> hits(const IteratedSystem& system, int size, double margin, Random& random) {
  std::vector<double> upto;
  double sum = 0;
  for (const AffineMap& map : system) upto.push_back(sum += std::abs(map.determinant()) + 1e-3);
  const int points = 20 * size * size, discarded = 20;
  std::vector<std::pair<double, double>> orbit;
  double x = 0, y = 0;
  for (int i = 0; i < points + discarded; ++i) {
    const double at = random.uniform(0, sum);
    const auto chosen = std::upper_bound(upto.begin(), upto.end(), at) - upto.begin();
    const auto& m = system[std::min<std::size_t>(chosen, system.size() - 1)].values;
    const double next = m[0] * x + m[1] * y + m[4];
    y = m[2] * x + m[3] * y + m[5];
    x = next;
    if (i >= discarded) orbit.emplace_back(x, y);
  }
  const auto [left, right] = std::minmax_element(orbit.begin(), orbit.end());
  double low = orbit.front().second, high = low;
  for (const auto& point : orbit)
    low = std::min(low, point.second), high = std::max(high, point.second);
  const double x0 = left->first, wide = std::max(right->first - x0, 1e-9);
  const double y0 = low, tall = std::max(high - low, 1e-9);
  const double inner = size * (1 - 2 * margin) - 1, offset = size * margin;
  std::vector<int> counts(static_cast<std::size_t>(size) * size);
  for (const auto& point : orbit) {
    const int column = static_cast<int>(offset + (point.first - x0) / wide * inner);
    const int row = static_cast<int>(offset + (point.second - y0) / tall * inner);
    ++counts[static_cast<std::size_t>(std::clamp(row, 0, size - 1)) * size +
             std::clamp(column, 0, size - 1)];
  }
  return counts;
}

IteratedSystem draw_system(std::uint64_t seed) {
  Random random(seed);
  while (true) {
    IteratedSystem system(static_cast<std::size_t>(random.between(2, 8)));
    for (AffineMap& map : system) map = draw_map(random);
    const auto counts = hits(system, kFillingSize, 0, random);
    const auto filled =
        counts.size() - static_cast<std::size_t>(std::count(counts.begin(), counts.end(), 0));
    if (static_cast<double>(filled) >= kLeastFilling * static_cast<double>(counts.size()))
      return system;
  }
}

/// One of the six parameters of all maps times 0.8 to 1.2, as the paper varies a class.
IteratedSystem varied(IteratedSystem system, Random& random) {
  const auto parameter = random.below(6);
  const double factor = random.uniform(0.8, 1.2);
  for (AffineMap& map : system) {
    map.values[parameter] *= factor;
    const double norm = map.norm();
    for (int i = 0; i < 4 && norm > kLargestNorm; ++i) map.values[i] *= kLargestNorm / norm;
  }
  return system;
}

Image draw_fractal(const IteratedSystem& system, int size, Random& random) {
  const double margin = random.uniform(0, 0.15);
  const bool mirrored = random.below(2) == 1, upside_down = random.below(2) == 1;
  std::array<double, 3> colour{};
  for (double& channel : colour) channel = random.uniform(0.35, 1);
  const auto counts = hits(varied(system, random), size, margin, random);
  Image image{size, size, std::vector<std::uint8_t>(counts.size() * 3)};
  for (int row = 0; row < size; ++row)
    for (int column = 0; column < size; ++column) {
      const int from =
          (upside_down ? size - 1 - row : row) * size + (mirrored ? size - 1 - column : column);
      // 20 hits a pixel on average: half of the light.
      const double light = counts[from] / (counts[from] + 20.0);
      for (std::size_t c = 0; c < 3; ++c)
        image.pixels[(static_cast<std::size_t>(row) * size + column) * 3 + c] =
            static_cast<std::uint8_t>(255 * light * colour[c]);
    }
  return image;
}

std::string padded(const char* format, int number) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), format, number);
  return text.data();
}

std::string describe(const FractalOptions& options) {
  Json classes = Json::array();
  for (int k = 0; k < options.classes; ++k) classes.push_back(padded("fractal-%04d", k));
  return Json{{"version", 1},
              {"name", "fractals"},
              {"synthetic", true},
              {"classes", classes},
              {"seed", options.seed},
              {"size", options.size},
              {"images_per_class", options.images_per_class}}
             .dump(1) +
         "\n";
}

}  // namespace

Manifest make_fractals(const std::filesystem::path& out, const FractalOptions& options) {
  check_made("fractals: the number of classes", options.classes, 2, 10000);
  check_made("fractals: the number of images per class", options.images_per_class, 2, 9999);
  check_made("fractals: the image size", options.size, 32, 256);
  // The description comes first and the manifest last: an interrupted call can be repeated.
  const std::string about = describe(options);
  check_made_folder(out, "fractals", about);
  write_file(out / "dataset.json", about);
  Manifest manifest{out, "fractals", true, {}};
  const int each = options.images_per_class, training = each - std::max(1, each / 10);
  for (int k = 0; k < options.classes; ++k) {
    const std::string name = padded("fractal-%04d", k);
    manifest.classes.push_back(name);
    for (int i = 0; i < each; ++i) {
      Example example;
      example.image = "images/" + name + "/" + padded("%04d.png", i);
      example.split = i < training ? kTrainSplit : kTestSplit;
      example.client = "fractals";
      example.labels = {name};
      manifest.examples.push_back(std::move(example));
    }
  }
  parallel_for(options.classes, options.threads, [&](int k) {
    const auto seed = derive_seed(options.seed, manifest.classes[k]);
    const IteratedSystem system = draw_system(seed);
    for (int i = 0; i < each; ++i) {
      Random random(derive_seed(seed, {static_cast<std::uint64_t>(i)}));
      write_png(draw_fractal(system, options.size, random),
                out / manifest.examples[static_cast<std::size_t>(k) * each + i].image);
    }
  });
  write_manifest_lines(manifest);
  return manifest;
}

}  // namespace strata::data
