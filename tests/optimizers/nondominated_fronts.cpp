#include "optimizers/nondominated_fronts.h"

#include <algorithm>

#include "catch.h"
#include "strata/core/random.h"

using namespace strata;
using namespace strata::optimizers;

namespace {

using Points = std::vector<std::vector<double>>;
using Fronts = std::vector<std::vector<std::size_t>>;

bool dominates_point(const std::vector<double>& a, const std::vector<double>& b) {
  return a != b &&
         std::equal(a.begin(), a.end(), b.begin(), [](double x, double y) { return x <= y; });
}

}  // namespace

TEST_CASE("points in fronts by hand") {
  CHECK(nondominated_fronts({}).empty());
  CHECK(nondominated_fronts({{1, 2}}) == Fronts{{0}});
  // Equal points do not dominate each other.
  CHECK(nondominated_fronts({{1, 1}, {1, 1}, {2, 1}}) == Fronts{{0, 1}, {2}});
  CHECK(nondominated_fronts({{3, 3}, {1, 2}, {2, 1}, {2, 2}}) == Fronts{{1, 2}, {3}, {0}});
  // 4 is found behind 1, which comes before 3 behind 2.
  CHECK(nondominated_fronts({{9, 9}, {1, 5}, {5, 1}, {6, 2}, {2, 6}}) ==
        Fronts{{1, 2}, {4, 3}, {0}});
}

TEST_CASE("a point is in the front behind the last one that has a point that dominates it") {
  Random random(7);
  for (const std::size_t objectives : {2, 4}) {
    Points points(60, std::vector<double>(objectives));
    for (auto& point : points)
      for (double& value : point) value = static_cast<double>(random.below(8));
    const Fronts fronts = nondominated_fronts(points);
    std::vector<std::size_t> front_of(points.size(), points.size());
    std::size_t count = 0;
    for (std::size_t f = 0; f < fronts.size(); ++f)
      for (const std::size_t i : fronts[f]) {
        CHECK(front_of[i] == points.size());
        front_of[i] = f;
        ++count;
      }
    REQUIRE(count == points.size());
    for (std::size_t i = 0; i < points.size(); ++i) {
      std::size_t expected = 0;
      for (std::size_t j = 0; j < points.size(); ++j)
        if (dominates_point(points[j], points[i])) expected = std::max(expected, front_of[j] + 1);
      CHECK(front_of[i] == expected);
    }
  }
}
