#include "data/spline_resize.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace strata::data {
namespace {

constexpr double kPole = -0.26794919243112270;  // √3 - 2, of the cubic B-spline
constexpr double kGain = 6;                     // (1 - pole)(1 - 1/pole)

/// Where the i-th of `to` pixels lies among `from`.
double source_place(std::int64_t i, std::int64_t from, std::int64_t to) {
  if (to == 1) return 0;
  const double step = static_cast<double>(from - 1) / static_cast<double>(to - 1);
  return std::min(static_cast<double>(i) * step, static_cast<double>(from - 1));
}

/// The coefficients of the spline through `values`, mirrored at its ends (Unser, Aldroubi, Eden
/// 1993): a recursive filter forwards, then backwards.
void spline_coefficients(std::vector<double>& values) {
  const std::size_t n = values.size();
  if (n < 2) return;
  for (double& value : values) value *= kGain;
  double power = kPole, last_power = 1;
  for (std::size_t i = 1; i < n; ++i) last_power *= kPole;
  double sum = values[0] + last_power * values[n - 1];
  for (std::size_t i = 1; i + 1 < n; ++i) {
    sum += power * (values[i] + last_power * values[n - 1 - i]);
    power *= kPole;
  }
  values[0] = sum / (1 - last_power * last_power);
  for (std::size_t i = 1; i < n; ++i) values[i] += kPole * values[i - 1];
  values[n - 1] = (kPole * values[n - 2] + values[n - 1]) * kPole / (kPole * kPole - 1);
  for (std::size_t i = n - 1; i-- > 0;) values[i] = kPole * (values[i + 1] - values[i]);
}

/// The four coefficients around a place, and their weights.
struct SplineTaps {
  std::array<std::size_t, 4> index;
  std::array<double, 4> weight;
};

std::vector<SplineTaps> spline_taps(std::int64_t from, std::int64_t to) {
  std::vector<SplineTaps> taps(static_cast<std::size_t>(to));
  for (std::int64_t i = 0; i < to; ++i) {
    const double place = source_place(i, from, to);
    const auto first = static_cast<std::int64_t>(std::floor(place)) - 1;
    const double t = place - static_cast<double>(first + 1), u = 1 - t;
    SplineTaps& tap = taps[static_cast<std::size_t>(i)];
    tap.weight = {u * u * u / 6, (t * t * (t - 2) * 3 + 4) / 6, (u * u * (u - 2) * 3 + 4) / 6,
                  t * t * t / 6};
    for (std::int64_t k = 0; k < 4; ++k) {
      std::int64_t at = first + k;
      if (from == 1) at = 0;
      if (at < 0) at = -at;
      if (at >= from) at = std::max<std::int64_t>(2 * (from - 1) - at, 0);
      tap.index[static_cast<std::size_t>(k)] = static_cast<std::size_t>(at);
    }
  }
  return taps;
}

double weighted(const SplineTaps& tap, const std::vector<double>& coefficients) {
  double sum = 0;
  for (std::size_t k = 0; k < 4; ++k) sum += tap.weight[k] * coefficients[tap.index[k]];
  return sum;
}

/// One dimension of an image resized: lines begin at from[line · line_step], neighbours are `step`
/// apart.
struct LineLayout {
  std::size_t lines, line_step, step;
};

void resize_lines(const double* from, std::size_t length, const LineLayout& read, double* to,
                  const LineLayout& written, const std::vector<SplineTaps>& taps) {
  std::vector<double> line(length);
  for (std::size_t l = 0; l < read.lines; ++l) {
    for (std::size_t i = 0; i < length; ++i) line[i] = from[l * read.line_step + i * read.step];
    spline_coefficients(line);
    for (std::size_t i = 0; i < taps.size(); ++i)
      to[l * written.line_step + i * written.step] = weighted(taps[i], line);
  }
}

}  // namespace

ImagePlanes resize_cubic(const ImagePlanes& planes, std::int64_t height, std::int64_t width) {
  if (height == planes.height && width == planes.width) return planes;
  ImagePlanes resized(planes.count, height, width);
  const auto rows = static_cast<std::size_t>(planes.height),
             columns = static_cast<std::size_t>(planes.width);
  const auto new_rows = static_cast<std::size_t>(height),
             new_columns = static_cast<std::size_t>(width);
  const auto row_taps = spline_taps(planes.height, height);
  const auto column_taps = spline_taps(planes.width, width);
  std::vector<double> plane(rows * columns), taller(new_rows * columns),
      whole(new_rows * new_columns);
  for (std::int64_t i = 0; i < planes.count; ++i) {
    std::copy_n(planes.plane(i), plane.size(), plane.begin());
    resize_lines(plane.data(), rows, {columns, 1, columns}, taller.data(), {columns, 1, columns},
                 row_taps);
    resize_lines(taller.data(), columns, {new_rows, columns, 1}, whole.data(),
                 {new_rows, new_columns, 1}, column_taps);
    std::transform(whole.begin(), whole.end(), resized.plane(i),
                   [](double value) { return static_cast<float>(value); });
  }
  return resized;
}

LabelPlanes resize_nearest(const LabelPlanes& planes, std::int64_t height, std::int64_t width) {
  LabelPlanes resized(planes.count, height, width);
  const auto nearest = [](std::int64_t i, std::int64_t from, std::int64_t to) {
    return static_cast<std::int64_t>(std::floor(source_place(i, from, to) + 0.5));
  };
  for (std::int64_t plane = 0; plane < planes.count; ++plane)
    for (std::int64_t row = 0; row < height; ++row)
      for (std::int64_t column = 0; column < width; ++column)
        resized.at(plane, row, column) = planes.at(plane, nearest(row, planes.height, height),
                                                   nearest(column, planes.width, width));
  return resized;
}

}  // namespace strata::data
