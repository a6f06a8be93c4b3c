#include "data/distance_transform.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "catch.h"
#include "strata/core/random.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;

namespace {

/// The nearest by trying all.
std::vector<double> by_trying(const std::vector<std::uint8_t>& voxels,
                              const std::array<std::int64_t, 3>& size,
                              const std::array<double, 3>& spacing) {
  const auto at = [&](std::size_t place) {
    const auto p = static_cast<std::int64_t>(place);
    return std::array<double, 3>{static_cast<double>(p % size[0]) * spacing[0],
                                 static_cast<double>(p / size[0] % size[1]) * spacing[1],
                                 static_cast<double>(p / (size[0] * size[1])) * spacing[2]};
  };
  std::vector<double> nearest(voxels.size(), INFINITY);
  for (std::size_t i = 0; i < voxels.size(); ++i)
    for (std::size_t j = 0; j < voxels.size(); ++j) {
      if (voxels[j] == 0) continue;
      const auto a = at(i), b = at(j);
      nearest[i] = std::min(nearest[i], std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]));
    }
  return nearest;
}

}  // namespace

TEST_CASE("distances to a set are those that trying all voxels finds, in any spacing") {
  Random random(11);
  for (int round = 0; round < 40; ++round) {
    const std::array<std::int64_t, 3> size = {random.between(1, 9), random.between(1, 8),
                                              random.between(1, 7)};
    const std::array<double, 3> spacing = {random.uniform(0.3, 4), random.uniform(0.3, 4),
                                           random.uniform(0.3, 4)};
    std::vector<std::uint8_t> voxels(static_cast<std::size_t>(size[0] * size[1] * size[2]));
    for (std::uint8_t& voxel : voxels) voxel = random.below(round % 2 ? 3 : 30) == 0;
    const auto found = distances_to(voxels, size, spacing);
    const auto expected = by_trying(voxels, size, spacing);
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (std::isinf(expected[i]))
        CHECK(std::isinf(found[i]));
      else
        CHECK(found[i] == Approx(expected[i]).margin(1e-12));
    }
  }
}
