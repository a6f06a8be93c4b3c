#include "strata/optimizers/hypervolume.h"

#include "catch.h"
#include "strata/core/error.h"

using namespace strata;
using namespace strata::optimizers;

TEST_CASE("hypervolume of hand-computed fronts") {
  CHECK(hypervolume({{2, 1}, {3, 2}}, {1, 4}) == Approx(5));
  CHECK(hypervolume({{3, 2}, {2, 1}}, {1, 4}) == Approx(5));                  // order
  CHECK(hypervolume({{2, 1}, {3, 2}, {2, 3}, {2, 1}}, {1, 4}) == Approx(5));  // dominated, twice
  CHECK(hypervolume({{1, 1}, {3, 4}, {0, 0}, {9, 9}}, {1, 4}) == 0);          // not better in both
  CHECK(hypervolume({}, {0, 1}) == 0);
}

TEST_CASE("hypervolume ratio against the nadir of the exact front") {
  // Against (0, 4) the inner point (3, 1) covers 3 · 3; the ends cover nothing.
  const std::vector<Objectives> exact = {{0, 0}, {3, 1}, {4, 4}};
  CHECK(hypervolume_ratio(exact, exact) == 1);
  CHECK(hypervolume_ratio({{1.5, 1}}, exact) == Approx(0.5));
  CHECK(hypervolume_ratio({{4, 4}}, exact) == 0);
  CHECK(hypervolume_ratio({}, exact) == 0);
  // (3.5, 3) is below the hull's edge from (3, 1) to (4, 4) and no vertex: it adds 0.5 · 1.
  CHECK(hypervolume_ratio({{0, 0}, {3, 1}, {3.5, 3}, {4, 4}}, exact) == Approx(9.5 / 9));
}

TEST_CASE("hypervolume ratio does not depend on units and offsets") {
  const auto scaled = [](std::vector<Objectives> front) {
    for (Objectives& point : front) {
      point.importance = 1e-3 * point.importance + 2;
      point.usage_variance = 50 * point.usage_variance + 7;
    }
    return front;
  };
  const std::vector<Objectives> exact = {{0, 0}, {3, 1}, {4, 4}}, front = {{1, 0.5}, {2, 1}};
  CHECK(hypervolume_ratio(scaled(front), scaled(exact)) == Approx(hypervolume_ratio(front, exact)));
}

TEST_CASE("hypervolume ratio of an exact front without area") {
  CHECK(hypervolume_ratio({{0.3, 1}}, {{0.1 + 0.2, 1}}) == 1);
  CHECK(hypervolume_ratio({{0.2, 1}, {0.3, 2}}, {{0.3, 1}}) == 0);
  CHECK(hypervolume_ratio({{1, 0}}, {{1, 0}, {2, 1}}) == 0.5);
  CHECK(hypervolume_ratio({{1, 0}, {2, 1}}, {{1, 0}, {2, 1}}) == 1);
  CHECK_THROWS_AS(hypervolume_ratio({{1, 0}}, {}), InputError);
}

TEST_CASE("hypervolume ratio of objectives whose areas are beyond every double") {
  const std::vector<Objectives> exact = {{0, 0}, {1e308, 1}, {1.5e308, 300}};
  CHECK(hypervolume_ratio(exact, exact) == 1);
  CHECK(hypervolume_ratio({{1e308, 1}}, exact) == Approx(1));
  CHECK(hypervolume_ratio({{0.5e308, 1}}, exact) == Approx(0.5));
}
