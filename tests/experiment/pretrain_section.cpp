#include "experiment/pretrain_section.h"

#include "catch.h"
#include "experiment/files.h"

using namespace strata;
using namespace strata::experiment;
using namespace strata::test;
using Catch::Matchers::Contains;

TEST_CASE("pretraining has a warm-up and a cosine unless the file says otherwise") {
  const std::string text =
      R"({"data":"public","vocabulary":["a"],"epochs":2,"batch_size":32,"learning_rate":0.5,)"
      R"("weight_decay":0.01,"warmup":0.05,"schedule":"cosine","flips":"none","clip_norm":1.0,)"
      R"("evaluate_every":1,"seed":1})";
  CHECK(written(pretrain_fields(),
                "{data: public, vocabulary: [a], epochs: 2, learning_rate: 0.5}") == text);
  CHECK(written(pretrain_fields(), text) == text);
  CHECK(section_error(pretrain_fields(), "{data: public, epochs: 2}").substr(0, 33) ==
        "learning_rate: the key is missing");
  CHECK(section_error(pretrain_fields(), "{learning_rate: 1, epochs: 2}").substr(0, 24) ==
        "data: the key is missing");
}

TEST_CASE("without epochs a model is taken as it is, and nothing of training is asked") {
  CHECK(written(pretrain_fields(), "{from: b, vocabulary: [a], epochs: 0, seed: 3}") ==
        R"({"from":"b","vocabulary":["a"],"epochs":0,"seed":3})");
  CHECK_THAT(section_error(pretrain_fields(), "{epochs: 0}"),
             Contains("epochs: a whole number from 1 to 2147483647 was expected, found 0"));
  for (const char* key :
       {"data: a", "evaluate_every: 2", "batch_size: 2", "learning_rate: 1", "weight_decay: 1",
        "clip_norm: 1", "flips: none", "warmup: 0", "schedule: cosine"}) {
    INFO(key);
    CHECK_THAT(section_error(pretrain_fields(), std::string("{from: b, epochs: 0, ") + key + "}"),
               Contains("with pretrain.epochs 0 nothing is trained"));
  }
}
