#include "strata/fedrunner/round_folder.h"

#include "catch.h"

using namespace strata;
using namespace strata::fedrunner;

TEST_CASE("rounds' folders have at least three digits") {
  CHECK(round_number(0) == "000");
  CHECK(round_number(7) == "007");
  CHECK(round_number(999) == "999");
  CHECK(round_number(1000) == "1000");
  CHECK(round_folder("run", 42) == std::filesystem::path("run") / "rounds" / "042");
}
