#include "core/system_random.h"

#include <cmath>
#include <set>

#include "catch.h"

using namespace strata;

TEST_CASE("the system's numbers are normal, uniform and never the same again") {
  SystemRandom random, other;
  std::set<std::uint64_t> drawn;
  for (int i = 0; i < 10000; ++i) {
    drawn.insert(random.bits());
    drawn.insert(other.bits());
  }
  CHECK(drawn.size() == 20000);
  constexpr int kCount = 200000;
  double sum = 0, squares = 0, fourth = 0, low = 1, high = 0;
  for (int i = 0; i < kCount; ++i) {
    const double x = random.normal(), u = random.uniform();
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
    low = std::min(low, u);
    high = std::max(high, u);
  }
  // Seven standard deviations of each mean.
  CHECK(std::abs(sum / kCount) < 7 / std::sqrt(kCount));
  CHECK(std::abs(squares / kCount - 1) < 7 * std::sqrt(2.0 / kCount));
  CHECK(std::abs(fourth / kCount - 3) < 7 * std::sqrt(96.0 / kCount));
  CHECK(low >= 0);
  CHECK(low < 1e-3);
  CHECK(high < 1);
  CHECK(high > 1 - 1e-3);
}
