#include "experiment/failures_section.h"

#include "catch.h"
#include "experiment/files.h"

using namespace strata;
using namespace strata::experiment;
using namespace strata::test;
using Catch::Matchers::Contains;

TEST_CASE("nothing is written of failures that do not happen") {
  CHECK(written(failure_fields(), "{straggler_share: 0.25, late: partial}") == "{}");
  const std::string text = R"({"dropout":0.5,"stragglers":0.25,"straggler_share":0.75,)"
                           R"("late":"partial","corruption":0.125})";
  CHECK(written(failure_fields(), text) == text);
  CHECK(read_section(failure_fields(), text).late == Late::kPartial);
  CHECK_THAT(section_error(failure_fields(), "{dropout: 1.5}"),
             Contains("dropout: a number from 0 to 1 was expected, found 1.5"));
}
