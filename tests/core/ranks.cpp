#include "core/ranks.h"

#include "catch.h"

using namespace strata;

TEST_CASE("ranks are from the least, ties share the mean, and all are doubled") {
  CHECK(doubled_ranks({}).empty());
  CHECK(doubled_ranks({7}) == std::vector<int>{2});
  CHECK(doubled_ranks({0.5, -1, 2}) == std::vector<int>{4, 2, 6});
  // Ranks 1, 2½, 2½, 4; then three alike.
  CHECK(doubled_ranks({3, 1, 3, 9}) == std::vector<int>{5, 2, 5, 8});
  CHECK(doubled_ranks({4, 4, 4}) == std::vector<int>{4, 4, 4});
}
