#include "strata/core/error.h"

#include "catch.h"

using namespace strata;

TEST_CASE("the nearest name is found through typos, swaps and case") {
  const std::vector<std::string> names{"rounds", "budget", "strategies", "seeds"};
  CHECK(nearest_name("round", names) == "rounds");
  CHECK(nearest_name("budegt", names) == "budget");
  CHECK(nearest_name("STRATEGIES", names) == "strategies");
  CHECK(nearest_name("learning_rate", names).empty());
  // All letters different is not near, however short the name.
  CHECK(nearest_name("xy", {"ab"}).empty());
  CHECK(nearest_name("seed", names) == "seeds");
}

TEST_CASE("suggestions and lists read as sentences") {
  CHECK(did_you_mean("knie", {"knee"}) == " (did you mean \"knee\"?)");
  CHECK(did_you_mean("ideal", {"knee"}).empty());
  CHECK(quoted_list({"a", "b"}) == "\"a\", \"b\"");
  CHECK(quoted_list({"a", "b", "c"}, 2) == "\"a\", \"b\", … (3 in all)");
}

TEST_CASE("a name must be among the allowed ones") {
  CHECK_NOTHROW(require_name("start", "greedy", {"random", "greedy"}));
  CHECK_THROWS_AS(require_name("start", "gredy", {"greedy"}), InputError);
  CHECK_THROWS_WITH(
      require_name("start", "gredy", {"random", "greedy"}),
      "start: unknown name \"gredy\" (did you mean \"greedy\"?); allowed: \"random\", \"greedy\"");
}

TEST_CASE("a name of megabytes is near to no other, and this takes no time") {
  CHECK(nearest_name(std::string(10'000'000, 'x'), {"xxxxxxxx", std::string(10'000'000, 'x')}) ==
        "");
}

TEST_CASE("a context stands before the message of errors, whose kind stays, and of nothing else") {
  CHECK_THROWS_AS(with_context("ct", [] { throw InputError("wrong"); }), InputError);
  CHECK_THROWS_WITH(with_context("ct", [] { throw InputError("wrong"); }), "ct: wrong");
  CHECK_THROWS_AS(with_context("ct", [] { throw WorkError("full"); }), WorkError);
  CHECK_THROWS_WITH(with_context("ct", [] { throw WorkError("full"); }), "ct: full");
  CHECK_THROWS_WITH(with_context("ct", [] { throw std::logic_error("never"); }), "never");
  int value = 3;
  CHECK(with_context("ct", [&] { return 2 * value; }) == 6);
  with_context("ct", [&]() -> int& { return value; }) = 4;
  CHECK(value == 4);
}
