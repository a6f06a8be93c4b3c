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

TEST_CASE("names cannot speak to the terminal, break a table or turn what stands beside them") {
  CHECK(printable("Zürich 中 \U0001F600 a\\b") == "Zürich 中 \U0001F600 a\\b");
  CHECK(printable("a\nb\tc\rd") == "a\\nb\\tc\\rd");
  CHECK(printable(std::string("\x1b[2J\0\x7f", 6)) == "\\x1b[2J\\x00\\x7f");
  CHECK(printable("\xc2\x9b"
                  "31m") == "\\u009b31m");
  CHECK(printable("\u202eevil\u2066\u200f\u2028") == "\\u202eevil\\u2066\\u200f\\u2028");
  // Bytes that are no UTF-8: alone, cut off, longer than need be, beyond the last character.
  CHECK(printable("\x9b"
                  "1m") == "\\x9b1m");
  CHECK(printable("\xe4\xb8") == "\\xe4\\xb8");
  CHECK(printable("\xc0\x8a") == "\\xc0\\x8a");
  CHECK(printable("\xf5\x80\x80\x80") == "\\xf5\\x80\\x80\\x80");
  CHECK(printable_json("{\n \"Zürich \x7f\xc2\x9b\u202e\": \"a\\n\"}\n") ==
        "{\n \"Zürich \\u007f\\u009b\\u202e\": \"a\\n\"}\n");
  TextTable table({"client\n", "n"});
  table.row({"\x1b[31mct\nmri", "7"});
  CHECK(table.str() == "client\\n         n\n\\x1b[31mct\\nmri  7\n");
}
