#include "core/console.h"

#include "catch.h"

using namespace strata;

TEST_CASE("a text table aligns by characters, not bytes") {
  TextTable table({"client", "n"});
  table.row({"Zürich", "7"});
  table.row({"ct", "1234"});
  CHECK(table.str() == "client     n\nZürich     7\nct      1234\n");
}

TEST_CASE("fixed decimals") {
  CHECK(fixed(0.125, 2) == "0.12");
  CHECK(fixed(-1.0, 0) == "-1");
  CHECK(fixed(999999999999999.0, 1) == "999999999999999.0");
  CHECK(fixed(1e307, 3) == "1.000e+307");
}
