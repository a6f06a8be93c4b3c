#include "optimizers/crowding.h"

#include <cmath>
#include <limits>

#include "catch.h"

using namespace strata;
using namespace strata::optimizers;

namespace {
constexpr double kInfinity = std::numeric_limits<double>::infinity();
}

TEST_CASE("crowding distances by hand") {
  // Ranges 4 and 8: the middle point's neighbours are 4 and 8 apart, the ends have none.
  CHECK(crowding_distances({{0, 8}, {1, 2}, {4, 0}}) ==
        std::vector<double>{kInfinity, 2, kInfinity});
  CHECK(crowding_distances({{0, 8}, {1, 4}, {2, 2}, {4, 0}}) ==
        std::vector<double>{kInfinity, 0.5 + 0.75, 0.75 + 0.5, kInfinity});
}

TEST_CASE("objectives in which no point differs count for nothing") {
  const auto plain = crowding_distances({{0, 8}, {1, 4}, {2, 2}, {4, 0}});
  CHECK(crowding_distances({{0, 8, 0}, {1, 4, 0}, {2, 2, 0}, {4, 0, 0}}) == plain);
  CHECK(crowding_distances({{7, 0, 0, 8}, {7, 0, 1, 4}, {7, 0, 2, 2}, {7, 0, 4, 0}}) == plain);
}

TEST_CASE("equal points, one point and none") {
  CHECK(crowding_distances({{1, 2, 0}, {1, 2, 0}, {1, 2, 0}}) == std::vector<double>{0, 0, 0});
  CHECK(crowding_distances({{1, 2}}) == std::vector<double>{0});
  CHECK(crowding_distances({}).empty());
}
