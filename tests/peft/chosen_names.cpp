#include "peft/chosen_names.h"

#include <set>

#include "catch.h"
#include "peft/files.h"
#include "support/error_text.h"
#include "support/speaking.h"
#include "support/tiny_model.h"

using namespace strata;
using namespace strata::models;
using namespace strata::peft;
using Catch::Matchers::Contains;
using test::input_error;

namespace {

Blueprint blueprint_of(const std::string& model) {
  return test::load_speaking(model).blueprint();
}

Json chosen(const Blueprint& blueprint, const Json& config) {
  return with_chosen_names({"adapter_config.json", config, {}, {}}, blueprint).root;
}

std::set<std::string> targets(const Blueprint& blueprint, Json config) {
  config.emplace("peft_type", "LORA");
  return chosen(blueprint, config).at("target_modules").get<std::set<std::string>>();
}

std::string refusal(const Blueprint& blueprint, Json config) {
  config.emplace("peft_type", "LORA");
  return input_error([&] { chosen(blueprint, config); });
}

}  // namespace

TEST_CASE("names stay as they are") {
  const Blueprint llava = blueprint_of("llava");
  const Json config = {{"peft_type", "LORA"},
                       {"target_modules", {"q_proj", "up_proj"}},
                       {"exclude_modules", {"layers.0.mlp.up_proj"}},
                       {"layers_to_transform", {0, 1}},
                       {"rank_pattern", {{"language_model.model.layers.0.self_attn.q_proj", 3}}},
                       {"alpha_pattern", Json::object()}};
  CHECK(chosen(llava, config) == config);
  CHECK(chosen(llava, {{"peft_type", "LORA"}}) == Json{{"peft_type", "LORA"}});
}

TEST_CASE("one regular expression chooses layers by whole names, those of any transformers") {
  const Blueprint llava = blueprint_of("llava");
  const std::set<std::string> queries = {"language_model.model.layers.0.self_attn.q_proj",
                                         "language_model.model.layers.1.self_attn.q_proj"};
  for (const char* expression :
       {R"(language_model\.model\.layers\.\d+\..*q_proj)",
        R"(model\.language_model\.layers\..*\.(q_proj))", "(?!.*vision).*q_proj"})
    CHECK(targets(llava, {{"target_modules", expression}}) == queries);
  CHECK(targets(llava, {{"target_modules", ".*q_proj"}}).size() == 5);
  CHECK(targets(llava, {{"target_modules", ".*q_proj"}, {"exclude_modules", ".*vision.*"}}) ==
        queries);
  CHECK(targets(llava, {{"target_modules", {"q_proj"}}, {"exclude_modules", ".*vision.*"}}) ==
        queries);
  CHECK(targets(llava, {{"target_modules", ".*layers.0.*q_proj"},
                        {"exclude_modules",
                         {"vision_tower.vision_model.encoder.layers.0."
                          "self_attn.q_proj"}}}) ==
        std::set<std::string>{"language_model.model.layers.0.self_attn.q_proj"});
  // What is resolved is not there twice.
  const Json found = chosen(llava, {{"peft_type", "IA3"},
                                    {"target_modules", ".*(v_proj|up_proj)"},
                                    {"exclude_modules", {"v_proj"}},
                                    {"feedforward_modules", ".*up_proj"}});
  CHECK(found.at("exclude_modules").is_null());
  CHECK(found.at("target_modules").size() == 2);
  CHECK(found.at("feedforward_modules") == found.at("target_modules"));
}

TEST_CASE("all-linear is every linear layer but the head") {
  const Blueprint llava = blueprint_of("llava");
  const std::set<std::string> all = targets(llava, {{"target_modules", "all-linear"}});
  // Six a block of the tower, seven of the decoder, two of the connector.
  CHECK(all.size() == 3 * 6 + 2 * 7 + 2);
  CHECK(all.count("multi_modal_projector.linear_1") == 1);
  CHECK(all.count("language_model.lm_head") == 0);
  CHECK(targets(llava, {{"target_modules", "All-Linear"}}) == all);
  CHECK(targets(llava,
                {{"target_modules", "all-linear"}, {"exclude_modules", "(?!.*language_model).*"}})
            .size() == 14);
  const Blueprint vit = test::make_model(test::narrow_shape("vit"), 1).blueprint();
  const auto with_head = targets(vit, {{"target_modules", "all-linear"}});
  CHECK(with_head.count("classifier") == 1);
  const auto without = targets(vit, {{"target_modules", "all-linear"}, {"task_type", "SEQ_CLS"}});
  CHECK(without.size() + 1 == with_head.size());
  CHECK(without.count("classifier") == 0);
}

TEST_CASE("blocks are counted as PEFT counts them") {
  const Blueprint t5 = blueprint_of("blip2_t5");
  // By the block, not by the number of the layer in it, with which a name goes on.
  const auto second = targets(t5, {{"target_modules", {"q"}}, {"layers_to_transform", {1}}});
  REQUIRE(second.size() == 3);
  for (const std::string& name : second) CHECK_THAT(name, Contains(".block.1."));
  const Json by_layer = {
      {"target_modules", {"q"}}, {"layers_to_transform", 1}, {"layers_pattern", "layer"}};
  const auto crossing = targets(t5, by_layer);
  REQUIRE(crossing.size() == 2);
  for (const std::string& name : crossing) CHECK_THAT(name, Contains(".layer.1."));
  Json first = by_layer;
  first["layers_pattern"] = {"", "nothing", "block", "layer"};
  CHECK(targets(t5, first) == second);

  const Blueprint llava = blueprint_of("llava");
  const auto ia3 = chosen(llava, {{"peft_type", "VERA"},
                                  {"target_modules", {"v_proj"}},
                                  {"layers_to_transform", {1}},
                                  {"layers_pattern", {"language_model.layers"}}});
  CHECK(ia3.at("target_modules") ==
        Json::array({"language_model.model.layers.1.self_attn.v_proj"}));
  CHECK(ia3.at("layers_to_transform").is_null());
  CHECK(ia3.at("layers_pattern").is_null());
}

TEST_CASE("of the patterns of ranks the first that matches an end is taken") {
  const Blueprint llava = blueprint_of("llava");
  const Json found = chosen(
      llava, {{"peft_type", "LORA"},
              {"target_modules", {"q_proj", "v_proj"}},
              {"rank_pattern",
               {{R"(language_model\.layers\.1\..*)", 2}, {R"([qv]_proj)", 3}, {"q_proj", 4}}},
              {"alpha_pattern", {{"q_proj", 5}}}});
  const Json& ranks = found.at("rank_pattern");
  CHECK(ranks.at("language_model.model.layers.1.self_attn.q_proj") == 2);
  CHECK(ranks.at("language_model.model.layers.0.self_attn.q_proj") == 3);
  CHECK(ranks.at("vision_tower.vision_model.encoder.layers.1.self_attn.v_proj") == 3);
  CHECK_FALSE(ranks.contains("language_model.model.layers.0.mlp.up_proj"));
  CHECK(found.at("alpha_pattern") == Json{{"q_proj", 5}});
}

TEST_CASE("what chooses nothing, or is no expression, is one line") {
  const Blueprint llava = blueprint_of("llava");
  CHECK_THAT(refusal(llava, {{"target_modules", ".*query"}}),
             Contains("adapter_config.json: target_modules: \".*query\"") &&
                 Contains("choose no layer of the model"));
  CHECK_THAT(refusal(llava, {{"target_modules", "q_proj"}}), Contains("choose no layer"));
  CHECK_THAT(refusal(llava, {{"target_modules", "(q_proj"}}), Contains("no regular expression"));
  CHECK_THAT(refusal(llava, {{"target_modules", {"q_proj"}}, {"exclude_modules", "*"}}),
             Contains("exclude_modules: \"*\" is no regular expression"));
  CHECK_THAT(refusal(llava, {{"target_modules", {"q_proj"}}, {"rank_pattern", {{"(q", 2}}}}),
             Contains("rank_pattern.(q: \"(q\" is no regular expression"));
  CHECK_THAT(refusal(llava, {{"target_modules", ".*q_proj"}, {"layers_to_transform", {1}}}),
             Contains("layers_to_transform: PEFT has it with a list"));
  CHECK_THAT(refusal(llava, {{"target_modules", {"q_proj"}}, {"layers_to_transform", "one"}}),
             Contains("layers_to_transform: \"one\" is no list of whole numbers"));
  CHECK_THAT(refusal(llava, {{"target_modules", {"q_proj"}},
                             {"layers_to_transform", {1}},
                             {"layers_pattern", "lay.*"}}),
             Contains("layers_pattern: \"lay.*\" is no name"));
  CHECK_THAT(refusal(llava, {{"target_modules", "(.*a|.*b|(.|.)*)*x"}}),
             Contains("takes more time or memory than is allowed"));
}

TEST_CASE("a folder whose adapter is chosen by expressions is read, and written with names") {
  const std::filesystem::path reference =
      std::filesystem::path(STRATA_SOURCE_DIR) / "tests/reference/peft_architectures/5.24.0/llava";
  const auto load = [&](const std::string& method, const Json& change) {
    const test::TempDir folder;
    for (const char* file : {"config.json", "model.safetensors"})
      std::filesystem::copy(test::kSpeaking / "llava" / file, folder.path() / file);
    std::filesystem::copy(reference / method / "adapter_model.safetensors",
                          folder.path() / "adapter_model.safetensors");
    Json config = load_json(reference / method / "adapter_config.json").root;
    config.update(change);
    folder.write("adapter_config.json", config.dump());
    return load_model(folder.path());
  };
  const Json lora = {{"target_modules", R"(.*\.(q_proj|fc2))"}};
  CHECK(load("lora", lora).fingerprint() == load("lora", Json::object()).fingerprint());
  const Json norms = {{"target_modules", ".*(input_|post_attention_)layernorm|.*layer_norm1"}};
  CHECK(load("norms", norms).fingerprint() == load("norms", Json::object()).fingerprint());
  const Json flags = {{"target_modules", {"q_proj", "v_proj", "up_proj"}},
                      {"exclude_modules", ".*q_proj"},
                      {"rank_pattern", {{".*v_proj", 1}}}};
  const Model model = load("lora_flags", flags);
  CHECK(model.fingerprint() == load("lora_flags", Json::object()).fingerprint());
  const test::TempDir out;
  save_model(model, out.path());
  CHECK(load_json(out.path() / "adapter_config.json").root.at("target_modules").is_array());
  CHECK(load_model(out.path()).fingerprint() == model.fingerprint());
}
