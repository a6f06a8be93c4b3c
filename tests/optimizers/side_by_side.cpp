#include "optimizers/side_by_side.h"

#include <atomic>

#include "catch.h"

using namespace strata::optimizers;

TEST_CASE("every piece is worked on once, whatever the number of threads") {
  for (const int count : {0, 1, 2, 7, 1000}) {
    for (const std::int64_t steps : {std::int64_t{1}, std::int64_t{1} << 30}) {
      CAPTURE(count, steps);
      std::vector<std::atomic<int>> done(count);
      side_by_side(count, steps, [&](int first, int last) {
        for (int i = first; i < last; ++i) ++done[i];
      });
      for (const auto& times : done) CHECK(times == 1);
    }
  }
}
