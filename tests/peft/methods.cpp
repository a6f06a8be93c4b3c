#include "peft/methods.h"

#include <algorithm>

#include "catch.h"
#include "core/document.h"
#include "strata/core/error.h"
#include "support/error_text.h"
#include "support/tiny_model.h"
#include "support/tiny_sam.h"

using namespace strata;
using namespace strata::peft;
using Catch::Matchers::Contains;

namespace {

Methods from_yaml(const std::string& text) {
  const Document document = parse_yaml(text, "a.yaml");
  return read_methods(ObjectReader(document));
}

void refused(const std::string& text, const std::string& message) {
  CHECK_THROWS_WITH(parse_method(text, "--peft"), Contains("--peft") && Contains(message));
  CHECK_THROWS_AS(parse_method(text, "--peft"), InputError);
}

}  // namespace

TEST_CASE("--peft has the fields of model.peft, and their defaults") {
  const auto options = [](const std::string& text) {
    return parse_method(text, "--peft")->options().dump();
  };
  CHECK(options("lora") == R"({"rank":8,"alpha":8.0,"targets":["query","value"]})");
  CHECK(options("lora:rank=4,alpha=12.5,targets=key+output.dense") ==
        R"({"rank":4,"alpha":12.5,"targets":["key","output.dense"]})");
  CHECK(options("lora:targets=query") == R"({"rank":8,"alpha":8.0,"targets":["query"]})");
  CHECK(options("adapters") == R"({"reduction":16})");
  CHECK(options("adapters:reduction=4") == R"({"reduction":4})");
  CHECK(options("prompts:length=3") == R"({"length":3})");
  CHECK(parse_method("adapter:reduction=4", "--peft")->name() == "adapter");  // as in schemes

  refused("lorra:rank=4", "unknown method \"lorra\" (did you mean \"lora\"?)");
  refused("bias",
          "the methods are \"adapters\", \"adaptformer\", \"ia3\", \"loha\", \"lokr\", \"lora\", "
          "\"oft\", \"prompts\", \"ssf\", \"tsa\", \"vera\"");
  refused("prompts", "length: the key is missing");
  refused("lora:rnak=4", "did you mean \"rank\"?");
  refused("lora:rank", "\"rank\": key=value was expected");
  refused("lora:rank=0", "rank");
  refused("lora:rank=many", "rank");
  refused("lora:rank=2,rank=3", "rank: the key stands twice");
}

TEST_CASE("model.peft is read and written back, sections in the order of their names") {
  const std::string text =
      R"({"adapters":{"reduction":8},"lora":{"rank":2,"alpha":8.0,"targets":["key"]},)"
      R"("prompts":{"length":3}})";
  const Methods methods =
      from_yaml("prompts: {length: 3}\nlora: {rank: 2, targets: [key]}\nadapters: {reduction: 8}");
  CHECK(methods.size() == 3);
  CHECK(methods_json(methods).dump() == text);
  CHECK(from_yaml("{}").empty());
  CHECK_THROWS_WITH(from_yaml("prompt: {length: 3}"), Contains("did you mean \"prompts\"?"));
}

TEST_CASE("methods act and stand in the order of the list, however they were asked for") {
  const auto lora = parse_method("lora:rank=2", "here"), adapters = make_adapters(4);
  const auto prompts = make_prompts(2);
  const models::Blueprint one =
      with_methods(test::narrow_shape(), {adapters, prompts, lora}, "here");
  const models::Blueprint two =
      with_methods(with_methods(test::narrow_shape(), {lora}, "here"), {prompts, adapters}, "here");
  std::vector<std::string> names[2];
  for (const models::Parameter& parameter : one.parameters()) names[0].push_back(parameter.name);
  for (const models::Parameter& parameter : two.parameters()) names[1].push_back(parameter.name);
  CHECK(names[0] == names[1]);
  CHECK(methods_of(one).front()->name() == "prompt");
  CHECK(methods_of(one).back()->name() == "adapter");
  // What is beside stands behind all of the base.
  const auto first = static_cast<std::ptrdiff_t>(one.base_parameters().size());
  CHECK(names[0][static_cast<std::size_t>(first)] == "prompt_embeddings");
  CHECK(names[0].back() == "vilt.encoder.layer.11.output.adapters.strata.adapter_up.bias");
}

TEST_CASE("a method that a model has already, or that does not fit it, is refused") {
  const auto refuse = [](const test::ModelShape& shape, const MethodPtr& method,
                         const std::string& message) {
    CHECK_THROWS_WITH(with_methods(shape, {method}, "here"),
                      Contains("here: ") && Contains(message));
    CHECK_THROWS_AS(with_methods(shape, {method}, "here"), InputError);
  };
  test::ModelShape all = test::narrow_shape();
  all.peft.adapter_reduction = 2;
  all.peft.lora_rank = 2;
  all.peft.prompt_length = 1;
  refuse(all, make_adapters(2), "the model has adapters already");
  refuse(all, make_lora({}), "the model has LoRA pairs already");
  refuse(all, make_prompts(2), "the model has prompts already");
  CHECK_THROWS_WITH(with_methods(test::narrow_shape(), {make_lora({}), make_lora({})}, "here"),
                    Contains("the model has LoRA pairs already"));
  refuse(test::narrow_shape(), make_adapters(9), "adapter_reduction: found 9");
  refuse(test::narrow_shape(), make_lora({9, 8, {"query"}}), "lora_rank: found 9");
  refuse(test::narrow_shape(), make_lora({2, 0, {"query"}}), "lora_alpha must be above 0");
  refuse(test::narrow_shape(), make_lora({2, 8, {}}), "at least one target");
  refuse(test::narrow_shape(), make_lora({2, 8, {"key", "key"}}), "named twice");
  refuse(test::narrow_shape(), make_lora({2, 8, {"querry"}}), "did you mean \"query\"?");
  refuse(test::narrow_shape(), make_prompts(5000), "prompt_length: found 5000");
  // To PEFT that is ViLT's pooler, too.
  refuse(test::narrow_shape(), make_lora({2, 8, {"dense"}}), "unknown LoRA target \"dense\"");
  for (const std::string type : {"vilt", "vit"})
    CHECK_NOTHROW(
        with_methods(test::narrow_shape(type), {make_lora({2, 8, {"q_proj", "fc2"}})}, "here"));
}

TEST_CASE("methods refuse an architecture that has no place for them") {
  const models::Blueprint resnet = test::tiny_resnet(false, 1).blueprint();
  const auto refuse = [&](const MethodPtr& method, const std::string& plural) {
    CHECK(test::input_error([&] { with_methods(resnet, {method}, "here"); }) ==
          "here: a model of the type \"resnet\" has no place for " + plural);
  };
  refuse(make_adapters(2), "adapters");
  refuse(make_prompts(1), "prompts");
  // Convolutions may have pairs, the classifier not.
  for (const char* target : {"query", "fc"}) {
    CHECK_THAT(test::input_error([&] {
                 with_methods(resnet, {make_lora({2, 8, {target}})}, "here");
               }),
               Contains("here: unknown LoRA target \"" + std::string(target) + "\""));
  }
  CHECK_THROWS_WITH(
      scheme_units(resnet, "layernorm", models::Buffers::kFrozen),
      Contains("unit scheme \"layernorm\": the model has no LayerNorms in its blocks"));
  CHECK_NOTHROW(scheme_units(resnet, "bias", models::Buffers::kFrozen));
}

TEST_CASE("LoRA's targets follow PEFT's suffix rule, in blocks alone") {
  const auto has_pair = [](const std::vector<std::string>& targets, const std::string& name,
                           const std::string& type = "vilt") {
    const models::Blueprint blueprint =
        with_methods(test::narrow_shape(type), {make_lora({2, 8, targets})}, "here");
    return blueprint.has(name + ".lora_A.weight");
  };
  const std::string layer = "vilt.encoder.layer.1.";
  for (const char* name : {"attention.output.dense", "output.dense", "attention.attention.key"})
    CHECK(has_pair({"output.dense", "key"}, layer + name));
  for (const char* name : {"attention.attention.query", "intermediate.dense"})
    CHECK_FALSE(has_pair({"output.dense", "key"}, layer + name));
  // One block alone, by either name.
  const std::vector<std::string> single = {"layer.1.attention.attention.query", "layers.2.mlp.fc2"};
  const std::string vit = "vit.encoder.layer.";
  CHECK(has_pair(single, vit + "1.attention.attention.query", "vit"));
  CHECK_FALSE(has_pair(single, vit + "11.attention.attention.query", "vit"));
  CHECK(has_pair(single, vit + "2.output.dense", "vit"));
  CHECK_FALSE(has_pair(single, vit + "2.attention.output.dense", "vit"));
}

TEST_CASE("the targets that messages offer are the layers' shortest names") {
  for (const std::string type : {"vilt", "vit"}) {
    CHECK(lora_targets(test::narrow_shape(type)) ==
          std::vector<std::string>{"projection", "query", "key", "value", "attention.output.dense",
                                   "intermediate.dense", "output.dense", "q_proj", "k_proj",
                                   "v_proj", "o_proj", "fc1", "fc2"});
  }
  // A SAM's convolution over patches is computed on rows, those behind its encoder on maps.
  const auto of_sam = lora_targets(test::tiny_sam({"liver"}).blueprint());
  CHECK(std::count(of_sam.begin(), of_sam.end(), "patch_embed.projection") +
            std::count(of_sam.begin(), of_sam.end(), "projection") ==
        1);
  for (const std::string& target : of_sam) CHECK_THAT(target, !Contains("conv"));
}

TEST_CASE("LoRA's pairs are what an average of products takes together") {
  test::ModelShape shape = test::narrow_shape();
  shape.peft.lora_rank = 2;
  shape.peft.adapter_reduction = 2;
  const auto pairs = factors_of(shape);
  REQUIRE(pairs.size() == 24);
  for (const FactorPair& pair : pairs) {
    CHECK(pair.first.substr(0, pair.first.size() - 9) ==
          pair.second.substr(0, pair.second.size() - 9));
    CHECK_THAT(pair.first, Catch::Matchers::EndsWith(".lora_A.weight"));
    CHECK_THAT(pair.second, Catch::Matchers::EndsWith(".lora_B.weight"));
    CHECK(pair.base == pair.first.substr(0, pair.first.size() - 14) + ".weight");
    CHECK(pair.scale == 4);  // 8 / 2
  }
  CHECK(factors_of(test::narrow_shape()).empty());
}
