#include "data/mask_scores.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <stdexcept>

#include "data/distance_transform.h"

namespace strata::data {
namespace {

constexpr double kSurfaceQuantile = 0.95;

using Extent = std::array<std::int64_t, 3>;

/// A class's voxels of both masks within the smallest box that holds them.
struct ClassVoxels {
  Extent size{};
  std::vector<std::uint8_t> found, truth;
  std::int64_t in_found = 0, in_truth = 0, in_both = 0;
};

/// The first and the last voxel, along each axis, of those that `is_in`.
template <typename IsIn>
std::pair<Extent, Extent> box_around(const Extent& size, IsIn is_in) {
  Extent first = size, last = {-1, -1, -1};
  std::size_t place = 0;
  for (std::int64_t k = 0; k < size[2]; ++k)
    for (std::int64_t j = 0; j < size[1]; ++j)
      for (std::int64_t i = 0; i < size[0]; ++i) {
        if (!is_in(place++)) continue;
        const Extent at = {i, j, k};
        for (std::size_t axis = 0; axis < 3; ++axis) {
          first[axis] = std::min(first[axis], at[axis]);
          last[axis] = std::max(last[axis], at[axis]);
        }
      }
  return {first, last};
}

ClassVoxels voxels_of_class(const Mask& found, const Mask& truth, int label) {
  const auto [first, last] = box_around(truth.size, [&](std::size_t place) {
    return found.labels[place] == label || truth.labels[place] == label;
  });
  ClassVoxels voxels;
  if (last[0] < 0) return voxels;
  for (std::size_t axis = 0; axis < 3; ++axis) voxels.size[axis] = last[axis] - first[axis] + 1;
  for (std::int64_t k = first[2]; k <= last[2]; ++k)
    for (std::int64_t j = first[1]; j <= last[1]; ++j)
      for (std::int64_t i = first[0]; i <= last[0]; ++i) {
        const auto place = static_cast<std::size_t>(i + truth.size[0] * (j + truth.size[1] * k));
        const bool a = found.labels[place] == label, b = truth.labels[place] == label;
        voxels.found.push_back(a);
        voxels.truth.push_back(b);
        voxels.in_found += a;
        voxels.in_truth += b;
        voxels.in_both += a && b;
      }
  return voxels;
}

/// Nothing of the set is outside of its box, so that a voxel at the box's border is at the surface.
std::vector<std::uint8_t> surface_of(const std::vector<std::uint8_t>& voxels, const Extent& size) {
  std::vector<std::uint8_t> surface(voxels.size());
  const Extent step = {1, size[0], size[0] * size[1]};
  for (std::size_t place = 0; place < voxels.size(); ++place) {
    if (voxels[place] == 0) continue;
    for (std::size_t axis = 0; axis < 3 && surface[place] == 0; ++axis) {
      const auto at = static_cast<std::int64_t>(place);
      const std::int64_t along = at / step[axis] % size[axis];
      surface[place] = along == 0 || along + 1 == size[axis] ||
                       voxels[static_cast<std::size_t>(at - step[axis])] == 0 ||
                       voxels[static_cast<std::size_t>(at + step[axis])] == 0;
    }
  }
  return surface;
}

/// Appends the distances of the voxels of `from` to the nearest of `to`.
void append_distances(const std::vector<std::uint8_t>& from, const std::vector<std::uint8_t>& to,
                      const Extent& size, const std::array<double, 3>& spacing,
                      std::vector<double>& distances) {
  const std::vector<double> all = distances_to(to, size, spacing);
  for (std::size_t place = 0; place < from.size(); ++place)
    if (from[place] != 0) distances.push_back(all[place]);
}

/// As numpy.percentile: linear between the two values around it.
double percentile(std::vector<double>& values, double share) {
  std::sort(values.begin(), values.end());
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

double diagonal(const VolumeGrid& grid) {
  double squares = 0;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double length = static_cast<double>(grid.size[axis]) * grid.spacing[axis];
    squares += length * length;
  }
  return std::sqrt(squares);
}

MaskScore score_class(const Mask& found, const Mask& truth, int label, double tolerance) {
  const ClassVoxels voxels = voxels_of_class(found, truth, label);
  MaskScore score;
  score.in_found = voxels.in_found > 0;
  score.in_truth = voxels.in_truth > 0;
  if (!score.in_found || !score.in_truth) {
    const bool agree = score.in_found == score.in_truth;
    score.dice = score.surface_dice = agree ? 1 : 0;
    score.hd95 = agree ? 0 : diagonal(truth);
    return score;
  }
  score.dice = 2 * static_cast<double>(voxels.in_both) /
               static_cast<double>(voxels.in_found + voxels.in_truth);
  const auto found_surface = surface_of(voxels.found, voxels.size);
  const auto true_surface = surface_of(voxels.truth, voxels.size);
  std::vector<double> distances;
  append_distances(found_surface, true_surface, voxels.size, truth.spacing, distances);
  append_distances(true_surface, found_surface, voxels.size, truth.spacing, distances);
  const auto close = std::count_if(distances.begin(), distances.end(),
                                   [&](double distance) { return distance <= tolerance; });
  score.surface_dice = static_cast<double>(close) / static_cast<double>(distances.size());
  score.hd95 = percentile(distances, kSurfaceQuantile);
  return score;
}

}  // namespace

std::vector<MaskScore> score_masks(const Mask& found, const Mask& truth, int classes,
                                   double tolerance) {
  if (found.size != truth.size)
    throw std::invalid_argument("the masks to compare have different shapes");
  std::vector<MaskScore> scores;
  for (int label = 1; label <= classes; ++label)
    scores.push_back(score_class(found, truth, label, tolerance));
  return scores;
}

}  // namespace strata::data
