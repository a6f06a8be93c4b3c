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
}
