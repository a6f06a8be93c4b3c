#include "experiment/data_section.h"

#include "catch.h"
#include "experiment/files.h"

using namespace strata;
using namespace strata::experiment;
using namespace strata::test;
using Catch::Matchers::Contains;

TEST_CASE("clients and alpha are of the partitions that take them") {
  const auto& fields = data_fields();
  CHECK(written(fields, "{folder: a, clients: 3}") ==
        R"({"folder":"a","partition":"modality","public_fraction":0.0,"seed":1})");
  CHECK(read_section(fields, "{folder: a, clients: 3}").partition.clients == 0);
  CHECK(written(fields, "{folder: a, clients: 3, partition: iid}") ==
        R"({"folder":"a","partition":"iid","clients":3,"public_fraction":0.0,"seed":1})");
  const std::string text = R"({"folder":"a","partition":"dirichlet","language":"zh",)"
                           R"("unseen_answers":"drop","clients":3,"alpha":2.5,)"
                           R"("public_fraction":0.25,"seed":9})";
  CHECK(written(fields, text) == text);
  CHECK(section_error(fields, "{folder: a, partition: iid}") ==
        "clients: the key is missing (a whole number from 1 to 2147483647 was expected)");
}

TEST_CASE("a cache is read and not written") {
  CHECK(read_section(data_fields(), "{folder: a, cache: b}").cache == "b");
  CHECK_THAT(written(data_fields(), "{folder: a, cache: b}"), !Contains("cache"));
}

TEST_CASE("a public share leaves something to the clients") {
  CHECK_THAT(section_error(data_fields(), "{folder: a, public_fraction: 1}"),
             Contains("public_fraction: 1 leaves no training image"));
}

TEST_CASE("a fraction of the training examples is read, and written where it is not all of them") {
  CHECK(read_section(data_fields(), "{folder: a}").partition.fraction == 1);
  CHECK_THAT(written(data_fields(), "{folder: a, fraction: 1}"), !Contains("\"fraction\""));
  CHECK(read_section(data_fields(), "{folder: a, fraction: 0.1}").partition.fraction == 0.1);
  CHECK(written(data_fields(), "{folder: a, fraction: 0.25}") ==
        R"({"folder":"a","partition":"modality","public_fraction":0.0,"fraction":0.25,"seed":1})");
  for (const char* wrong : {"0", "1.5", "-0.1"})
    CHECK_THAT(section_error(data_fields(), std::string("{folder: a, fraction: ") + wrong + "}"),
               Contains("fraction: "));
}
