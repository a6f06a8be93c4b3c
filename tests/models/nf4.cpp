#include "models/nf4.h"

#include "catch.h"
#include "models/short_weights.h"
#include "models/stage_inputs.h"
#include "models/tensor_bytes.h"
#include "peft/files.h"
#include "peft/lora.h"
#include "support/error_text.h"
#include "support/nf4_files.h"
#include "support/recorded.h"
#include "support/speaking.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::models;
using Catch::Matchers::Contains;
using test::input_error;
using torch::Tensor;

namespace {

const std::filesystem::path kReferences =
    std::filesystem::path(STRATA_SOURCE_DIR) / "tests" / "reference";

Nf4Parts recorded_parts(const test::Recorded& recorded, const std::string& name) {
  const auto part = [&](const std::string& ending) {
    return recorded.has(name + ending) ? recorded(name + ending) : Tensor();
  };
  const Tensor state = recorded(name + ".quant_state.bitsandbytes__nf4");
  return {.codes = recorded(name),
          .quant_map = part(".quant_map"),
          .absmax = part(".absmax"),
          .nested_absmax = part(".nested_absmax"),
          .nested_quant_map = part(".nested_quant_map"),
          .quant_state = std::string(bytes_of(state))};
}

/// The decoder's linear layers of a small LLaVA in NF4, and their numbers in float32.
struct Pair {
  test::TempDir dir;
  Pair() {
    test::copy_as_nf4(test::kSpeaking / "llava", dir / "packed", dir / "plain", "_proj.weight");
  }
  Model packed() const { return peft::load_model(dir / "packed"); }
  Model plain() const { return peft::load_model(dir / "plain"); }
};

Batch batch() {
  const auto recorded = test::recorded_speaking("llava");
  return test::batch_of(recorded, test::speaking_cases("llava").items().begin().key(), "llava");
}

void add_lora(Model& model) {
  peft::add_methods(model, {peft::make_lora({2, 4, {"q_proj", "v_proj"}})}, 5);
  peft::set_units(model, "lora", models::Buffers::kFrozen);
}

}  // namespace

TEST_CASE("weights in NF4 are the numbers that bitsandbytes makes of them, to the bit") {
  const test::Recorded recorded(kReferences / "nf4.safetensors");
  for (const std::string name : {"nested", "half", "plain"}) {
    CAPTURE(name);
    const Tensor expected = recorded("expected." + name);
    const Tensor weight = nf4_weight(recorded_parts(recorded, name), expected.sizes().vec(), name);
    CHECK(is_nf4(weight));
    CHECK(is_short(weight));
    CHECK(nf4_count(weight) == expected.numel());
    CHECK(number_count(weight) == expected.numel());
    CHECK(torch::equal(nf4_numbers(weight), expected));
    CHECK(torch::equal(computable(weight), expected));
    CHECK(static_cast<double>(weight.numel()) < 0.6 * static_cast<double>(expected.numel()) + 200);
  }
}

TEST_CASE("parts that do not fit each other are refused by name") {
  const test::Recorded recorded(kReferences / "nf4.safetensors");
  const auto refused = [&](const std::function<void(Nf4Parts&)>& change) {
    Nf4Parts parts = recorded_parts(recorded, "nested");
    change(parts);
    return input_error([&] { nf4_weight(parts, {192, 96}, "w"); });
  };
  CHECK(refused([](Nf4Parts& parts) { parts.codes = parts.codes.narrow(0, 0, 9); }) ==
        "w: its part weight has 9 numbers of the type U8, but 9216 of U8 are needed");
  CHECK(refused([](Nf4Parts& parts) { parts.quant_map = Tensor(); }) ==
        "w: its part quant_map is missing");
  CHECK(refused([](Nf4Parts& parts) { parts.absmax = parts.absmax.to(torch::kFloat); }) ==
        "w: its part absmax has 288 numbers of the type F32, but 288 of U8 are needed");
  CHECK(refused([](Nf4Parts& parts) { parts.nested_absmax = torch::ones({1}); }) ==
        "w: its part nested_absmax has 1 numbers of the type F32, but 2 of F32 are needed");
  CHECK(refused([](Nf4Parts& parts) { parts.nested_quant_map = Tensor(); }) ==
        "w: its part nested_quant_map is missing");
  CHECK_THAT(refused([](Nf4Parts& parts) {
               Json state = Json::parse(parts.quant_state);
               state["quant_type"] = "fp4";
               parts.quant_state = state.dump();
             }),
             Contains("w.quant_state") && Contains("quant_type") && Contains("\"nf4\""));
  CHECK_THAT(refused([](Nf4Parts& parts) { parts.quant_state = "{\"shape\": ["; }),
             Contains("w.quant_state"));
  CHECK_THAT(refused([](Nf4Parts& parts) {
               Json state = Json::parse(parts.quant_state);
               state["blocksize"] = 0;
               parts.quant_state = state.dump();
             }),
             Contains("blocksize"));
  const Nf4Parts parts = recorded_parts(recorded, "nested");
  CHECK_THAT(input_error([&] {
               nf4_weight(parts, {96, 192}, "w");
             }),
             Contains("shape: config.json asks for (96, 192)"));
  CHECK_THAT(input_error([&] { nf4_weight(parts, {18432}, "w"); }), Contains("matrices"));
}

TEST_CASE("a base in NF4 computes as its numbers do, and LoRA trains over it to the bit") {
  const Pair pair;
  Model packed = pair.packed(), plain = pair.plain();
  int count = 0;
  for (const auto& [name, weight] : packed.weights()) count += is_nf4(weight) ? 1 : 0;
  CHECK(count == 26);  // seven of each of two blocks, four of each of the tower's three
  CHECK(packed.number_bytes() == 4);
  add_lora(packed);
  add_lora(plain);
  const Batch samples = batch();
  const auto logits = [&](const Model& model) {
    return model.run(samples).values.at(kTokenLogits);
  };
  CHECK(torch::equal(logits(packed), logits(plain)));

  const auto gradients = [&](Model& model) {
    std::vector<std::string> names;
    std::vector<Tensor> weights;
    for (const Unit& unit : model.units()) {
      names.push_back(unit.name);
      for (const auto& weight : unit.parameters) weights.push_back(model.weight(weight));
    }
    model.train_only(names);
    return torch::autograd::grad({logits(model).square().mean()}, weights, {}, false, false, true);
  };
  const auto of_packed = gradients(packed), of_plain = gradients(plain);
  REQUIRE(of_packed.size() == of_plain.size());
  for (std::size_t i = 0; i < of_plain.size(); ++i) CHECK(torch::equal(of_packed[i], of_plain[i]));
}

TEST_CASE("weights in NF4 are not trained, and are written as they were") {
  const Pair pair;
  Model packed = pair.packed();
  const std::string block = packed.unit("block.1").parameters.front();
  std::string linear;
  for (const auto& [name, weight] : packed.weights())
    if (is_nf4(weight)) linear = name;
  CHECK_THAT(input_error([&] { packed.own({linear}); }),
             Contains("\"" + linear + "\" is stored in 4 bits (NF4)"));
  peft::save_model(packed, pair.dir / "again");
  CHECK(test::slurp(pair.dir / "again/model.safetensors") ==
        test::slurp(pair.dir / "packed/model.safetensors"));
  CHECK(load_json(pair.dir / "again/config.json").root.at("quantization_config") ==
        load_json(pair.dir / "packed/config.json").root.at("quantization_config"));
  CHECK(peft::load_model(pair.dir / "again").fingerprint() == packed.fingerprint());
}

TEST_CASE("other ways to few bits are refused by name") {
  const Json config = test::speaking_config("llava");
  const auto refused = [&](const Json& quantization) {
    return test::refusal(config, "", {{"quantization_config", quantization}});
  };
  for (const std::string method : {"gptq", "awq"})
    CHECK_THAT(refused({{"quant_method", method}, {"bits", 4}}),
               Contains("quantization_config.quant_method: \"" + method +
                        "\" weights are not read; bitsandbytes' NF4 is"));
  CHECK_THAT(refused({{"quant_method", "bitsandbytes"}, {"load_in_8bit", true}}),
             Contains("quantization_config.load_in_8bit: 8-bit weights"));
  CHECK_THAT(refused({{"quant_method", "bitsandbytes"}, {"bnb_4bit_quant_type", "fp4"}}),
             Contains("quantization_config.bnb_4bit_quant_type: \"fp4\" weights"));
  CHECK(refused({{"quant_method", "bitsandbytes"}, {"load_in_4bit", true}}).empty());
}
