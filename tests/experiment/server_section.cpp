#include "experiment/server_section.h"

#include "catch.h"
#include "experiment/files.h"

using namespace strata;
using namespace strata::experiment;
using namespace strata::test;

TEST_CASE("of a server is written what its optimizer has and what is not the default") {
  CHECK(written(server_fields(), "{weights: samples, beta_1: 0.5, min_clients: 1}") == "{}");
  CHECK(written(server_fields(), "{learning_rate: 0.5}") == R"({"learning_rate":0.5})");
  CHECK(written(server_fields(), "{optimizer: momentum}") ==
        R"({"optimizer":"momentum","beta_1":0.9})");
  const std::string text =
      R"({"weights":"plain","optimizer":"adam","learning_rate":1.0,"beta_1":0.5,"beta_2":0.75,)"
      R"("tau":0.25,"min_clients":2,"outlier_ratio":4.0})";
  CHECK(written(server_fields(), text) == text);
}

TEST_CASE("adam has no natural step, and products are of plain averages") {
  CHECK(section_error(server_fields(), "{optimizer: adam}") ==
        "learning_rate: the key is missing (a number from 0 to 1000 was expected)");
  CHECK(written(server_fields(), "{lora: product}") == R"({"lora":"product"})");
  for (const std::string any : {"ffa", "rolora", "fedsa"})
    CHECK(written(server_fields(), "{lora: " + any + ", optimizer: momentum, beta_1: 0.5}") ==
          "{\"lora\":\"" + any + R"(","optimizer":"momentum","beta_1":0.5})");
  CHECK_THAT(section_error(server_fields(), "{lora: ffaa}"),
             Catch::Matchers::Contains("lora: ") && Catch::Matchers::Contains("\"ffaa\"") &&
                 Catch::Matchers::Contains("did you mean \"ffa\""));
  const std::string alone = "lora: product goes with optimizer average and learning_rate 1 alone";
  CHECK(section_error(server_fields(), "{lora: product, optimizer: momentum}") == alone);
  CHECK(section_error(server_fields(), "{lora: product, learning_rate: 0.5}") == alone);
  CHECK(section_error(server_fields(), "{lora: fair, learning_rate: 0.5}") ==
        "lora: fair goes with optimizer average and learning_rate 1 alone");
  CHECK(section_error(server_fields(), "{lora: fedex, learning_rate: 0.5}") ==
        "lora: fedex goes with optimizer average and learning_rate 1 alone");
  CHECK(section_error(server_fields(), "{lora: flora, optimizer: momentum}") ==
        "lora: flora goes with optimizer average and learning_rate 1 alone");
  CHECK(section_error(server_fields(), "{lora: hetlora, learning_rate: 0.5}") ==
        "lora: hetlora goes with optimizer average and learning_rate 1 alone");
}

TEST_CASE("an algorithm's numbers are written with it, and it goes with what it is defined for") {
  CHECK(written(server_fields(), "{algorithm: fedavg, alpha: 1, lambda: 1}") == "{}");
  CHECK(written(server_fields(), "{algorithm: scaffold}") == R"({"algorithm":"scaffold"})");
  CHECK(written(server_fields(), "{algorithm: feddyn}") ==
        R"({"algorithm":"feddyn","alpha":0.01})");
  CHECK(written(server_fields(), "{algorithm: ditto, lambda: 0}") ==
        R"({"algorithm":"ditto","lambda":0.0})");
  CHECK(written(server_fields(), "{algorithm: feddat, distill_local: 0.5}") ==
        R"({"algorithm":"feddat","distill_local":0.5,"distill_shared":1.0,"temperature":3.0})");
  for (const std::string any : {"scaffold", "ditto", "feddat"})
    CHECK(section_error(server_fields(), "{algorithm: " + any + ", learning_rate: 0.5}").empty());
  for (const std::string other : {"learning_rate: 0.5", "optimizer: momentum"})
    CHECK(section_error(server_fields(), "{algorithm: feddyn, " + other + "}") ==
          "algorithm: feddyn goes with optimizer average and learning_rate 1 alone");
  CHECK(section_error(server_fields(), "{algorithm: ditto, lora: product}") ==
        "algorithm: ditto goes with rules of LoRA pairs that average what is sent, and product "
        "does not");
  for (const std::string any : {"factors", "ffa", "rolora", "fedsa"})
    CHECK(section_error(server_fields(), "{algorithm: ditto, lora: " + any + "}").empty());
  CHECK_THAT(section_error(server_fields(), "{algorithm: feddat, distill_shared: -1}"),
             Catch::Matchers::Contains("distill_shared: "));
  CHECK_THAT(section_error(server_fields(), "{algorithm: feddny}"),
             Catch::Matchers::Contains("did you mean \"feddyn\""));
  CHECK_THAT(section_error(server_fields(), "{algorithm: feddyn, alpha: 0}"),
             Catch::Matchers::Contains("alpha: a number from 1e-09"));
}

TEST_CASE("an outlier is further away than the others, or nobody is one") {
  CHECK(section_error(server_fields(), "{outlier_ratio: 1}") ==
        "outlier_ratio: a number above 1 was expected, or 0 for no check");
  CHECK(written(server_fields(), "{outlier_ratio: 0}") == R"({"outlier_ratio":0.0})");
}
