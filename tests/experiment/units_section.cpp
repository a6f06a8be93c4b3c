#include "experiment/units_section.h"

#include "catch.h"
#include "experiment/files.h"

using namespace strata;
using namespace strata::experiment;
using namespace strata::test;
using Catch::Matchers::Contains;

TEST_CASE("units are a list of patterns, each once, or all blocks") {
  CHECK(written(units_fields(), "{}") == R"({"selectable":"blocks"})");
  const std::string text = R"({"scheme":"lora","selectable":["lora.*"],"always":[]})";
  CHECK(written(units_fields(), text) == text);
  const std::string personal = R"({"selectable":"blocks","personal":["head"]})";
  CHECK(written(units_fields(), personal) == personal);
  CHECK(section_error(units_fields(), "{personal: [a, a]}") == "personal: \"a\" stands twice");
  CHECK(section_error(units_fields(), "{selectable: [a, a]}") == "selectable: \"a\" stands twice");
  CHECK(section_error(units_fields(), "{always: [a, a]}") == "always: \"a\" stands twice");
  CHECK_THAT(section_error(units_fields(), "{selectable: block}"),
             Contains("selectable: \"block\" is not one of \"blocks\" (did you mean"));
}

TEST_CASE("what is wrong with a unit is said with its place in the file") {
  const auto units = read_section(units_fields(), "scheme: block\nalways: [head]");
  CHECK(units.wishes.where_always == "x.yaml:2: always");
  CHECK(units.wishes.where_competing == "x.yaml: selectable");
}
