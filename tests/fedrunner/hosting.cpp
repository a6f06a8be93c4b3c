#include "fedrunner/hosting.h"

#include "catch.h"

using strata::fedrunner::Hosting;

TEST_CASE("clients are dealt out to the ranks longest training first") {
  Hosting hosting(3);
  // 7 | 6, then 5 beside the 6, and 4 beside the 7.
  hosting.expect({{"a", 4}, {"b", 5}, {"c", 6}, {"d", 7}});
  CHECK(hosting.rank_of("d") == 1);
  CHECK(hosting.rank_of("c") == 2);
  CHECK(hosting.rank_of("b") == 2);
  CHECK(hosting.rank_of("a") == 1);
}

TEST_CASE("a client stays with its rank, and a new one goes where least is to do") {
  Hosting hosting(3);
  hosting.expect({{"long", 9}, {"short", 1}});
  CHECK(hosting.rank_of("long") == 1);
  CHECK(hosting.rank_of("short") == 2);
  hosting.expect({{"long", 1}, {"short", 90}, {"other", 5}});
  CHECK(hosting.rank_of("long") == 1);
  CHECK(hosting.rank_of("short") == 2);
  CHECK(hosting.rank_of("other") == 2);  // 1 against 9
  CHECK(hosting.rank_of("unexpected") == 2);
  CHECK(hosting.rank_of("unexpected") == 2);
}

TEST_CASE("of equal clients the first by name comes first, and rank 0 hosts none") {
  Hosting hosting(4);
  hosting.expect({{"x", 2}, {"y", 2}, {"z", 2}});
  CHECK(hosting.rank_of("x") == 1);
  CHECK(hosting.rank_of("y") == 2);
  CHECK(hosting.rank_of("z") == 3);
  Hosting alone(2);
  alone.expect({{"x", 2}, {"y", 2}});
  CHECK(alone.rank_of("x") == 1);
  CHECK(alone.rank_of("y") == 1);
}
