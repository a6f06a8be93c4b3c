#include "core/csv.h"

#include <cmath>
#include <limits>

#include "catch.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "temp_dir.h"

using namespace strata;

TEST_CASE("RFC 4180: quotes, commas and line breaks in fields, CR LF, a byte-order mark") {
  const test::TempDir dir;
  const auto rows = read_csv(dir.write("a.csv",
                                       "\xef\xbb\xbf"
                                       "a,b\r\n\"x, \"\"y\"\"\n\",2\r\n\r\nlast,"));
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].fields == std::vector<std::string>{"a", "b"});
  CHECK(rows[1].fields == std::vector<std::string>{"x, \"y\"\n", "2"});
  CHECK(rows[2].fields == std::vector<std::string>{"last", ""});
  CHECK(rows[2].line == 5);
}

TEST_CASE("damaged CSV is named by line") {
  const test::TempDir dir;
  CHECK_THROWS_WITH(read_csv(dir.write("a.csv", "a,b\n1,2,3\n")),
                    Catch::Contains("a.csv:2: 3 fields"));
  CHECK_THROWS_WITH(read_csv(dir.write("b.csv", "a,b\n\"1,2\n")),
                    Catch::Contains("b.csv:2: a quote is opened"));
  CHECK_THROWS_WITH(read_csv(dir.write("c.csv", "\n\n")), Catch::Contains("is empty"));
  CHECK_THROWS_WITH(read_csv(dir.write("d.csv", "\"a\"b,c\n")),
                    Catch::Contains("follows a closing quote"));
}

TEST_CASE("numbers round-trip and nothing else is a number") {
  Random random(5);
  for (int i = 0; i < 1000; ++i) {
    const double value = (random.uniform() - 0.5) * std::pow(10, random.between(-300, 300));
    double back = 0;
    REQUIRE(parse_double(format_double(value), back));
    REQUIRE(back == value);
  }
  double value = 0;
  for (const char* text : {"", " ", "1,5", "0x10", "1 2", "--1", "+-1", "abc", "1e"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_double(text, value));
  }
  CHECK((parse_double(" +1.5 ", value) && value == 1.5));
  // Below every double is 0, as in JSON; above is no number.
  CHECK((parse_double("1e-400", value) && value == 0));
  CHECK((parse_double("-1e-400", value) && value == 0));
  CHECK((parse_double("5e-324", value) && value == 5e-324));
  CHECK_FALSE(parse_double("1e400", value));
  CHECK_FALSE(parse_double("1e-400x", value));
  std::int64_t integer = 0;
  CHECK_FALSE(parse_integer("99999999999999999999", integer));
  CHECK_FALSE(parse_integer("1.0", integer));
}

TEST_CASE("fields are quoted when they must be and read back") {
  const test::TempDir dir;
  const std::string nasty = "a,\"b\"\nc";
  const auto rows =
      read_csv(dir.write("a.csv", csv_field(nasty) + "," + csv_field("plain") + "\n"));
  CHECK(rows[0].fields == std::vector<std::string>{nasty, "plain"});
}

TEST_CASE("bytes that are not UTF-8 are refused with their line") {
  const test::TempDir dir;
  CHECK_THROWS_WITH(read_csv(dir.write("a.csv", "client,a\nct\xff,1\n")),
                    Catch::Contains("a.csv:2: a field is not valid UTF-8"));
  CHECK(read_csv(dir.write("b.csv", "client,a\nклиент,1\n"))[1].fields[0] == "клиент");
}
