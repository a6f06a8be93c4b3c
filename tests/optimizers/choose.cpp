#include "strata/optimizers/choose.h"

#include "catch.h"
#include "strata/core/error.h"

using namespace strata;

TEST_CASE("knee is the point farthest above the chord") {
  // Normalised: (0, 0), (0.1, 0.6), (0.5, 0.9), (1, 1); above the diagonal by 0, 0.5, 0.4, 0.
  const std::vector<Objectives> front = {{10, 0}, {16, 0.2}, {19, 1}, {20, 2}};
  CHECK(choose(front, "knee") == 1);
}

TEST_CASE("knee does not depend on units and offsets of the objectives") {
  std::vector<Objectives> front = {{10, 0}, {14, 0.2}, {19, 1}, {20, 2}};
  const std::size_t expected = choose(front, "knee");
  for (Objectives& point : front) {
    point.importance = 1e-3 * point.importance + 5;
    point.usage_variance = 1e4 * point.usage_variance + 3;
  }
  CHECK(choose(front, "knee") == expected);
}

TEST_CASE("knee of small and flat fronts") {
  CHECK(choose({{1, 0}}, "knee") == 0);
  CHECK(choose({{1, 0}, {2, 1}}, "knee") == 0);
  CHECK(choose({{0, 0}, {1, 1}, {2, 2}}, "knee") == 0);    // on the chord
  CHECK(choose({{0, 0}, {0.5, 1}, {2, 2}}, "knee") == 0);  // below it
  // Two points equally far above: the lower usage variance.
  CHECK(choose({{0, 0}, {0.5, 0.25}, {0.75, 0.5}, {1, 1}}, "knee") == 1);
}

TEST_CASE("choose refuses an unknown rule and an empty front") {
  CHECK_THROWS_WITH(choose({{1, 0}}, "kene"),
                    "choose: unknown rule \"kene\" (did you mean "
                    "\"knee\"?); allowed: \"knee\"");
  CHECK_THROWS_AS(choose({}, "knee"), InputError);
}
