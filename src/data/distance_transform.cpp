#include "data/distance_transform.h"

#include <cmath>
#include <limits>

namespace strata::data {
namespace {

constexpr double kFar = std::numeric_limits<double>::infinity();

/// What one line's envelope takes, kept from line to line.
class LineEnvelope {
 public:
  explicit LineEnvelope(std::size_t longest)
      : heights_(longest), roots_(longest), begins_(longest) {}

  /// Of `count` squared distances, `step` apart, the least of height + (distance along the
  /// line)², in their place.
  void lower(double* line, std::size_t count, std::size_t step, double spacing) {
    for (std::size_t i = 0; i < count; ++i) heights_[i] = line[i * step];
    const std::size_t parabolas = build(count, spacing);
    if (parabolas == 0) return;
    std::size_t current = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const double at = spacing * static_cast<double>(i);
      while (current + 1 < parabolas && begins_[current + 1] < at) ++current;
      const double away = at - spacing * static_cast<double>(roots_[current]);
      line[i * step] = heights_[roots_[current]] + away * away;
    }
  }

 private:
  /// The parabolas of the envelope from left to right, and where each begins.
  std::size_t build(std::size_t count, double spacing) {
    std::size_t parabolas = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (heights_[i] == kFar) continue;
      double begin = -kFar;
      while (parabolas > 0) {
        begin = crossing(roots_[parabolas - 1], i, spacing);
        if (begin > begins_[parabolas - 1]) break;
        --parabolas;
        begin = -kFar;
      }
      roots_[parabolas] = i;
      begins_[parabolas] = begin;
      ++parabolas;
    }
    return parabolas;
  }
  double crossing(std::size_t left, std::size_t right, double spacing) const {
    const double l = spacing * static_cast<double>(left), r = spacing * static_cast<double>(right);
    return (heights_[right] + r * r - heights_[left] - l * l) / (2 * (r - l));
  }

  std::vector<double> heights_;
  std::vector<std::size_t> roots_;
  std::vector<double> begins_;
};

}  // namespace

std::vector<double> distances_to(const std::vector<std::uint8_t>& voxels,
                                 const std::array<std::int64_t, 3>& size,
                                 const std::array<double, 3>& spacing) {
  std::vector<double> squares(voxels.size());
  for (std::size_t i = 0; i < voxels.size(); ++i) squares[i] = voxels[i] != 0 ? 0 : kFar;
  std::size_t step = 1;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const auto count = static_cast<std::size_t>(size[axis]);
    LineEnvelope envelope(count);
    for (std::size_t first = 0; first < squares.size(); first += step * count)
      for (std::size_t line = first; line < first + step; ++line)
        envelope.lower(squares.data() + line, count, step, spacing[axis]);
    step *= count;
  }
  for (double& value : squares) value = std::sqrt(value);
  return squares;
}

}  // namespace strata::data
