#include "experiment/training_options.h"

#include "catch.h"
#include "experiment/files.h"

using namespace strata;
using namespace strata::experiment;
using namespace strata::test;
using Catch::Matchers::Contains;

TEST_CASE("training keys are in range") {
  const auto error = [](const std::string& key, const std::string& value) {
    const Fields<TrainingOptions> fields({training_fields().at(key)});
    return section_error(fields, key + ": " + value);
  };
  CHECK(error("batch_size", "0").substr(0, 41) == "batch_size: a whole number from 1 to 6553");
  CHECK_THAT(error("learning_rate", "11"), Contains("a number from 0 to 10"));
  CHECK_THAT(error("weight_decay", "-1"), Contains("a number from 0 to 10"));
  CHECK_THAT(error("clip_norm", "-1"), Contains("a number of at least 0"));
  CHECK_THAT(error("warmup", "2"), Contains("a number from 0 to 1"));
  CHECK_THAT(error("proximal", "-1"), Contains("a number from 0 to 1e+06"));
  CHECK_THAT(error("flips", "diagonal"), Contains("is not one of \"none\", \"horizontal\""));
  CHECK_THAT(error("precision", "float16"), Contains("(did you mean \"bfloat16\"?)"));
  CHECK_THAT(error("optimizer", "adam"), Contains("is not one of \"adamw\", \"sgd\""));
  CHECK_THAT(error("calibrate_labels", "1"), Contains("true or false"));
}
