#include "tasks/tally.h"

#include <cmath>

#include "catch.h"

using namespace strata::tasks;

TEST_CASE("tallies add up by name, and a mean is that of everything that was added") {
  Tally a, b;
  a["accuracy"].add(1);
  a["loss"].add(2.5, 4);
  b["accuracy"].add(0, 2);
  b["open"].add(1);
  a += b;
  CHECK(a.of("accuracy").sum == 1);
  CHECK(a.of("accuracy").weight == 3);
  CHECK(a.of("accuracy").mean() == 1.0 / 3);
  CHECK(a.of("loss").mean() == 0.625);
  CHECK(a.of("open").weight == 1);
  CHECK(b.of("accuracy").weight == 2);  // what was added stays as it is
  CHECK(b.size() == 2);
}

TEST_CASE("a sum of nothing has no mean") {
  CHECK(std::isnan(Sum().mean()));
  CHECK(std::isnan(Tally().of("accuracy").mean()));
}
