#include "core/text.h"

#include "catch.h"

using namespace strata;

TEST_CASE("parts are joined, empty ones too, and what is left out is said") {
  CHECK(joined({}) == "");
  CHECK(joined({"ct"}) == "ct");
  CHECK(joined({"ct", "mri", "oct"}) == "ct, mri, oct");
  CHECK(joined({"", "b", ""}, ",") == ",b,");
  CHECK(joined({"ct", "mri", "oct"}, ", ", 3) == "ct, mri, oct");
  CHECK(joined({"ct", "mri", "oct"}, ", ", 2) == "ct, mri, …");
  CHECK(joined({"ct"}, ", ", 0) == "…");
}

TEST_CASE("letters of ASCII become small, and nothing else changes") {
  CHECK(lower_case("AZaz@[`{ 09") == "azaz@[`{ 09");
  CHECK(lower_case("GiB/s") == "gib/s");
  CHECK(lower_case("É") == "É");
  CHECK(lower_case("") == "");
}

TEST_CASE("shapes are written as Python writes tuples of two and more") {
  CHECK(shape_text({3, 4}) == "(3, 4)");
  CHECK(shape_text({7}) == "(7)");
  CHECK(shape_text({}) == "()");
}

TEST_CASE("digits are 0 to 9, and nothing is no number") {
  CHECK(all_digits("0123456789"));
  CHECK_FALSE(all_digits(""));
  CHECK_FALSE(all_digits("1a"));
  CHECK_FALSE(all_digits("-1"));
  CHECK_FALSE(all_digits("1.5"));
  CHECK_FALSE(all_digits("٣"));
}

TEST_CASE("a name is looked for whole") {
  CHECK(contains({"ct", "mri"}, "mri"));
  CHECK_FALSE(contains({"ct", "mri"}, "mr"));
  CHECK_FALSE(contains({}, ""));
}
