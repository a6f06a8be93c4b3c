#include "data/phantoms/scanners.h"

#include <algorithm>
#include <cmath>

#include "data/phantoms/tools.h"

namespace strata::data {
namespace {

constexpr double kAir = 0.03;  ///< brightness below which there is no tissue to invert

/// Sums to 1 over -radius … radius.
std::vector<double> gaussian_weights(double sigma, int radius) {
  std::vector<double> weights;
  double sum = 0;
  for (int i = -radius; i <= radius; ++i) {
    weights.push_back(exact_exp(-i * i / (2 * sigma * sigma)));
    sum += weights.back();
  }
  for (double& weight : weights) weight /= sum;
  return weights;
}

void blur_plane(double* plane, std::int64_t size, const std::vector<double>& weights) {
  const auto radius = static_cast<std::int64_t>(weights.size() / 2);
  std::vector<double> line(static_cast<std::size_t>(size));
  for (const bool along_rows : {true, false})
    for (std::int64_t l = 0; l < size; ++l) {
      double* first = plane + l * (along_rows ? size : 1);
      const std::int64_t step = along_rows ? 1 : size;
      for (std::int64_t i = 0; i < size; ++i) line[static_cast<std::size_t>(i)] = first[i * step];
      for (std::int64_t i = 0; i < size; ++i) {
        double sum = 0;
        for (std::int64_t k = -radius; k <= radius; ++k)
          sum += weights[static_cast<std::size_t>(k + radius)] *
                 line[static_cast<std::size_t>(std::clamp<std::int64_t>(i + k, 0, size - 1))];
        first[i * step] = sum;
      }
    }
}

}  // namespace

const std::array<Scanner, 6>& scanners() {
  static const std::array<Scanner, 6> kScanners = {{
      {1.0, 0.05, 0.02, 0.0, false, 2.2, {16, 20}},
      {0.7, 0.20, 0.03, 0.6, false, 2.0, {18, 22}},
      {1.5, 0.10, 0.05, 0.0, false, 2.4, {16, 20}},
      {1.0, 0.05, 0.02, 1.1, false, 2.6, {16, 18}},
      {1.1, 0.10, 0.03, 0.4, true, 2.0, {18, 24}},
      {0.85, 0.15, 0.04, 0.3, false, 1.8, {20, 24}},
  }};
  return kScanners;
}

void scan(PhantomBody& body, const Scanner& scanner, Random& random) {
  const Noise field(random);
  Planes<double>& tissue = body.tissue;
  const double unit = 64.0 / static_cast<double>(tissue.width);
  if (scanner.blur > 0) {
    const double sigma = scanner.blur / unit;
    const auto weights = gaussian_weights(sigma, static_cast<int>(std::ceil(3 * sigma)));
    for (std::int64_t slice = 0; slice < tissue.count; ++slice)
      blur_plane(tissue.plane(slice), tissue.width, weights);
  }
  for (std::int64_t slice = 0; slice < tissue.count; ++slice)
    for (std::int64_t row = 0; row < tissue.height; ++row)
      for (std::int64_t column = 0; column < tissue.width; ++column) {
        double& value = tissue.at(slice, row, column);
        const double x = static_cast<double>(column) * unit, y = static_cast<double>(row) * unit,
                     z = static_cast<double>(slice);
        if (scanner.inverted && value > kAir) value = 0.95 - 0.8 * value;
        value = exact_pow(value, scanner.gamma);
        value *= 1 + scanner.field * field.at(x / 40 + z / 50, y / 40);
        value += scanner.noise * noise_sample(random);
      }
}

VolumeGrid scan_grid(const PhantomBody& body, double pixel, double slice, bool slices_first,
                     Random& random) {
  const double angle = random.uniform(-0.2, 0.2), cosine = exact_cos(angle),
               sine = exact_sin(angle);
  const std::array<double, 3> column = {-pixel * cosine, -pixel * sine, 0},
                              row = {pixel * sine, -pixel * cosine, 0}, up = {0, 0, slice};
  const std::array<double, 3> origin = {random.uniform(100, 160), random.uniform(80, 140),
                                        random.uniform(-200, 200)};
  const auto axes = slices_first ? std::array{up, row, column} : std::array{column, row, up};
  VolumeGrid grid;
  const Planes<double>& planes = body.tissue;
  grid.size = slices_first ? std::array{planes.count, planes.height, planes.width}
                           : std::array{planes.width, planes.height, planes.count};
  grid.spacing = slices_first ? std::array{slice, pixel, pixel} : std::array{pixel, pixel, slice};
  grid.space = 1;
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 3; ++j) grid.affine[i][j] = axes[j][i];
    grid.affine[i][3] = origin[i];
  }
  return grid;
}

}  // namespace strata::data
