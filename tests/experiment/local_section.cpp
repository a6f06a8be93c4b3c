#include "experiment/local_section.h"

#include "catch.h"
#include "experiment/files.h"

using namespace strata;
using namespace strata::experiment;
using namespace strata::test;

TEST_CASE("a client trains for steps or for epochs, one by default") {
  CHECK(read_section(local_fields(), "{learning_rate: 1}").epochs == 1);
  const auto steps = read_section(local_fields(), "{learning_rate: 1, steps: 4}");
  CHECK(steps.steps == 4);
  CHECK(steps.epochs == 0);
  CHECK(section_error(local_fields(), "{learning_rate: 1, steps: 4, epochs: 2}") ==
        "epochs: give either local.steps or local.epochs, not both");
}

TEST_CASE(
    "local training is written with its defaults, FedProx and half precision where they are") {
  const std::string text =
      R"({"steps":4,"batch_size":8,"learning_rate":0.5,"schedule":"cosine","weight_decay":0.5,)"
      R"("clip_norm":2.0,"flips":"both","calibrate_labels":true,"proximal":0.25,)"
      R"("precision":"bfloat16"})";
  CHECK(written(local_fields(), text) == text);
  CHECK(written(local_fields(), "{learning_rate: 1}") ==
        R"({"epochs":1,"batch_size":32,"learning_rate":1.0,"schedule":"constant",)"
        R"("weight_decay":0.01,"clip_norm":1.0,"flips":"none","calibrate_labels":false})");
  const auto local = read_section(local_fields(), text);
  CHECK(local.schedule == Schedule::kCosine);
  CHECK(local.training.schedule == Schedule::kConstant);
  CHECK(local.training.flips == Flips::kBoth);
  CHECK(section_error(local_fields(), "{}").substr(0, 33) == "learning_rate: the key is missing");
}

TEST_CASE("a learning rate is one, a list, or a grid of equal steps of its logarithm") {
  using Rates = std::vector<double>;
  const auto rates = [](const std::string& text) {
    return read_section(local_fields(), "{learning_rate: " + text + "}").learning_rates;
  };
  CHECK(rates("0.1").empty());
  CHECK(rates("[0.1, 0.001]") == Rates{0.001, 0.1});
  CHECK(rates("{from: 0.001, to: 0.1, trials: 3}") == Rates{0.001, 0.01, 0.1});
  CHECK(rates("{from: 1e-4, to: 2e-3, trials: 4}") == Rates{1e-4, 0.000271, 0.000737, 2e-3});
  CHECK(read_section(local_fields(), "{learning_rate: {values: [1, 2], by: auroc}}").chosen_by ==
        "auroc");
  CHECK_THAT(written(local_fields(), "{learning_rate: {from: 0.1, to: 1, trials: 2}}"),
             Catch::Matchers::Contains(R"("learning_rate":[0.1,1.0],)"));
  CHECK_THAT(written(local_fields(), "{learning_rate: {values: [2, 1], by: auroc}}"),
             Catch::Matchers::Contains(R"("learning_rate":{"values":[1.0,2.0],"by":"auroc"},)"));
}

TEST_CASE("learning rates to choose among are two at least, apart, and in their range") {
  const auto error = [](const std::string& text) {
    return section_error(local_fields(), "{learning_rate: " + text + "}");
  };
  CHECK(error("[0.1]") == "learning_rate: a list of at least two learning rates was expected");
  CHECK(error("[0.1, 0.1]") == "learning_rate: the learning rate 0.1 stands twice");
  CHECK(error("[0.1, 0]") == "learning_rate: a number 1e-12 … 10 was expected, found 0");
  CHECK(error("[0.1, fast]").find("found \"fast\"") != std::string::npos);
  CHECK(error("{from: 1, to: 0.1, trials: 3}") ==
        "learning_rate.to: a number above from was expected, found 0.1");
  CHECK(error("{from: 0.1, to: 1, trials: 1}").substr(0, 21) == "learning_rate.trials:");
  CHECK(error("{from: 1, to: 1.01, trials: 9}") ==
        "learning_rate.trials: 9 rates from 1 to 1.01 are not apart in three digits; give fewer");
  // Rounded, the second is below the first.
  CHECK(error("{from: 1.234, to: 1.235, trials: 3}").substr(0, 21) == "learning_rate.trials:");
  CHECK(error("{from: 1, to: 1.02, trials: 3}") == "");
  CHECK(error("{from: 0.1, to: 1}").substr(0, 38) == "learning_rate.trials: the key is missi");
  CHECK(error("{values: 3}") == "learning_rate.values: a list was expected");
  CHECK(error("{values: [1, 2], trials: 3}").substr(0, 20) == "learning_rate.trials");
}
