#include "optimizers/mopso.h"

#include <cstdlib>

#include "catch.h"
#include "methods.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

namespace {

/// Of 1,000 particles at `now`, how many forget `then`.
int forgetful(const Value& now, const Value& then) {
  Random random(1);
  int count = 0;
  for (int i = 0; i < 1000; ++i) count += becomes_own_best(now, then, random);
  return count;
}

}  // namespace

TEST_CASE("the particle swarm spends its evaluations and leaves recorded, feasible states") {
  check_method(search_mopso);
}

TEST_CASE("a particle keeps what dominates, and of two that do not either") {
  const Value important{5, 8, 3, 2}, even{4, 6, 3, 2}, worse{4, 9, 3, 2};
  CHECK(forgetful(important, worse) == 1000);
  CHECK(forgetful(worse, important) == 0);
  // Five standard deviations of 1,000 coins.
  CHECK(std::abs(forgetful(important, even) - 500) < 80);
  CHECK(std::abs(forgetful(even, important) - 500) < 80);
  CHECK(std::abs(forgetful(even, even) - 500) < 80);
}
