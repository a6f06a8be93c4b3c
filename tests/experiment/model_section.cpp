#include "experiment/model_section.h"

#include "catch.h"
#include "experiment/files.h"

using namespace strata;
using namespace strata::experiment;
using namespace strata::test;

TEST_CASE("the seed of an output layer is written with fresh answers alone") {
  CHECK(written(model_fields(), "{folder: a, seed: 3}") == R"({"folder":"a"})");
  const std::string text = R"({"folder":"a","answers":"data","seed":3})";
  CHECK(written(model_fields(), text) == text);
}

TEST_CASE("an architecture is read and not written: a run's foundation has one") {
  const std::string architecture =
      "{architecture: {hidden_size: 16, layers: 3, heads: 2, image_size: 16, patch_size: 8}}";
  CHECK(read_section(model_fields(), architecture).architecture->stages().size() == 3 + 2);
  CHECK(written(model_fields(), architecture) == R"({"folder":""})");
}

TEST_CASE("PEFT methods are those with a mapping, and have their defaults") {
  const auto peft = read_section(model_fields(), "{peft: {adapters: {}, lora: {rank: 2}}}").peft;
  CHECK(peft::methods_json(peft).dump() ==
        R"({"adapters":{"reduction":16},"lora":{"rank":2,"alpha":8.0,)"
        R"("targets":["query","value"]}})");
  const std::string text =
      R"({"folder":"","peft":{"adapters":{"reduction":4},"lora":{"rank":2,"alpha":4.0,)"
      R"("targets":["key"]},"prompts":{"length":3}}})";
  CHECK(written(model_fields(), text) == text);
  CHECK(section_error(model_fields(), "{peft: {lora: {targets: [key, key]}}}") ==
        "peft.lora.targets: \"key\" stands twice");
}
