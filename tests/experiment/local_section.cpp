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
