// strata plan --export: a plan in the files of other tools.
#include <nlohmann/json.hpp>

#include <regex>
#include <set>

#include "catch.h"
#include "command.h"
#include "strata/core/safetensors.h"
#include "wrong_input.h"

using namespace strata;
using test::run_strata;
using Names = std::vector<std::string>;

namespace {

/// How axolotl compiles `unfrozen_parameters`: a dot that no plus follows is a literal one.
std::string in_axolotl(const std::string& pattern) {
  return std::regex_replace(pattern, std::regex("\\.(?!\\+)"), "\\.");
}

/// The names that the patterns match from their beginning, as Python's re.match does.
Names matched(const Names& patterns, const Names& names) {
  Names found;
  for (const auto& name : names) {
    for (const auto& pattern : patterns) {
      if (!std::regex_search(name, std::regex(pattern), std::regex_constants::match_continuous))
        continue;
      found.push_back(name);
      break;
    }
  }
  return found;
}

/// What readers of Spectrum's YAML do: lines that begin with "- ".
Names unfrozen(const std::filesystem::path& file) {
  Names patterns;
  std::istringstream lines(test::slurp(file));
  for (std::string line; std::getline(lines, line);)
    if (line.rfind("- ", 0) == 0) patterns.push_back(line.substr(2));
  return patterns;
}

void write_weights(const std::filesystem::path& folder, const Names& names) {
  const float zero = 0;
  std::vector<TensorView> tensors;
  for (const auto& name : names)
    tensors.push_back({name, Dtype::kF32, {1}, {reinterpret_cast<const char*>(&zero), 4}});
  std::filesystem::create_directories(folder);
  write_safetensors(folder / "model.safetensors", tensors);
}

Names starting_with(const std::string& prefix, const Names& names) {
  Names found;
  for (const auto& name : names)
    if (name.rfind(prefix, 0) == 0) found.push_back(name);
  return found;
}

Names layers(const std::string& stack, int count) {
  Names names;
  for (int i = 0; i < count; ++i)
    for (const char* weight : {".attention.query.weight", ".mlp.fc1.weight", ".norm.bias"})
      names.push_back(stack + "." + std::to_string(i) + weight);
  return names;
}

struct Fixture {
  test::TempDir dir;

  test::Outcome plan(const Names& further, const std::string& budget = "1") const {
    Names arguments = {"plan", "--scores", "scores.csv", "--budget", budget, "--algorithm", "topk"};
    arguments.insert(arguments.end(), further.begin(), further.end());
    return run_strata(arguments, dir.path());
  }
  /// The one client's patterns, where one unit is all there is to train.
  Names patterns_of(const std::string& unit, const std::string& model) const {
    dir.write("scores.csv", "client," + unit + "\nct,1\n");
    const auto outcome = plan({"--export", "requires_grad:t.json", "--export-model", model});
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    return nlohmann::json::parse(test::slurp(dir / "t.json"))["clients"]["ct"];
  }
  void refused(const Names& further, const Names& says, const std::string& budget = "1") const {
    Names arguments = {"plan", "--scores", "scores.csv", "--budget", budget, "--algorithm", "topk"};
    arguments.insert(arguments.end(), further.begin(), further.end());
    test::check_refused(arguments, dir.path(), says);
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "export: every reader of the patterns trains the planned layers alone") {
  Names names = layers("vit.encoder.layer", 12);
  names.insert(names.end(), {"vit.embeddings.cls_token", "vit.layernorm.weight",
                             "classifier.weight", "classifier.bias"});
  write_weights(dir / "mine", names);
  dir.write("mine/config.json", R"({"model_type": "vit", "num_hidden_layers": 12})");
  dir.write("scores.csv", "client,block.1,block.11,embeddings,head\nct,5,0,4,0\nmri,0,7,0,6\n");
  const auto outcome = plan({"--export", "unfrozen:axolotl", "--export", "requires_grad:t.json",
                             "--export", "peft:peft", "--export-model", "mine"},
                            "2");
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  Names ct = starting_with("vit.encoder.layer.1.", names);
  ct.push_back("vit.embeddings.cls_token");
  Names mri = starting_with("vit.encoder.layer.11.", names);
  mri.insert(mri.end(), {"vit.layernorm.weight", "classifier.weight", "classifier.bias"});
  const auto json = nlohmann::json::parse(test::slurp(dir / "t.json"));
  CHECK(json["version"] == 1);
  CHECK(json["clients"].size() == 2);
  for (const auto& [client, expected] : {std::pair{"ct", ct}, std::pair{"mri", mri}}) {
    const Names plain = json["clients"][client];
    CHECK(unfrozen(dir / ("axolotl/" + std::string(client) + "/unfrozen_parameters.yaml")) ==
          plain);
    Names changed;
    for (const auto& pattern : plain) changed.push_back(in_axolotl(pattern));
    CHECK(matched(plain, names) == expected);
    CHECK(matched(changed, names) == expected);
  }
  // What transformers since 5.9 calls them is as good.
  CHECK(matched(json["clients"]["ct"], {"vit.layers.1.mlp.fc1.weight"}).size() == 1);
  CHECK(matched(json["clients"]["ct"], {"vit.layers.11.mlp.fc1.weight"}).empty());
  CHECK(nlohmann::json::parse(test::slurp(
            dir / "peft/mri/adapter_config.json"))["layers_to_transform"] == nlohmann::json{11});
}

TEST_CASE_METHOD(Fixture, "export: units that are names of weights, and layers of several lists") {
  Names names = layers("text_model.encoder.layers", 3);
  const Names vision = layers("vision_model.encoder.layers", 2);
  names.insert(names.end(), vision.begin(), vision.end());
  names.push_back("logit_scale");
  write_weights(dir / "clip", names);
  const auto trained = [&](const std::string& unit) {
    return matched(patterns_of(unit, "clip"), names);
  };
  CHECK(trained("vision.block.1") == starting_with("vision_model.encoder.layers.1.", names));
  CHECK(trained("text.layer.2") == starting_with("text_model.encoder.layers.2.", names));
  CHECK(trained("text_model.encoder.layers.0.mlp") ==
        Names{"text_model.encoder.layers.0.mlp.fc1.weight"});
  CHECK(trained("vision_model") == vision);
  CHECK(trained("logit_scale") == Names{"logit_scale"});

  const auto refuses = [&](const std::string& unit, const Names& says) {
    dir.write("scores.csv", "client," + unit + "\nct,1\n");
    refused({"--export", "unfrozen:out", "--export-model", "clip", "--out", "plan.json"}, says);
  };
  refuses("block.1", {"client \"ct\"", "\"block.1\"", "\"text_model.encoder.layers\"",
                      "\"vision_model.encoder.layers\""});
  refuses("vision.block.2", {"is layer 2", "layers 0 to 1"});
  refuses("mlp", {"\"mlp\" stands in several weights' names"});
  refuses("lora.1", {"\"lora.1\" is no layer", "no part of a weight's name in clip"});
  refuses("head", {"\"head\"", "clip has no weight of", "\"lm_head\""});
}

TEST_CASE_METHOD(Fixture,
                 "export: shards' names are those of the index; without weights, usual ones") {
  dir.write("shards/model.safetensors.index.json",
            R"({"weight_map": {"model.layers.0.q.weight": "a", "model.layers.1.q.weight": "b"}})");
  CHECK(patterns_of("layer.1", "shards") == Names{"^model[.]layers[.]1[.]"});
  CHECK(patterns_of("layer.1", "llama") == Names{"^(.+[.])?layers[.]1[.]"});
  CHECK(patterns_of("head", "llama") == Names{"^(.+[.])?model[.]norm[.]", "^(.+[.])?lm_head[.]"});
  CHECK(patterns_of("model.layers.1.mlp", "llama") ==
        Names{"^(.+[.])?model[.]layers[.]1[.]mlp[.]"});
  dir.write("scores.csv", "client,h.3,mixer\nct,2,1\n");
  const auto outcome = plan({"--export", "requires_grad:t.json"}, "2");
  REQUIRE(outcome.code == 0);
  CHECK_THAT(outcome.err, Catch::Contains("\"mixer\"") && Catch::Contains("--export-model"));
  const Names patterns = nlohmann::json::parse(test::slurp(dir / "t.json"))["clients"]["ct"];
  CHECK(matched(patterns, {"transformer.h.3.attn.weight", "transformer.h.30.attn.weight",
                           "a.mixer.weight", "a.remixer.weight"}) ==
        Names{"transformer.h.3.attn.weight", "a.mixer.weight"});
}

TEST_CASE_METHOD(Fixture, "export: a head is all that stands behind the blocks") {
  const auto write_model = [&](const std::string& type, Names names) {
    const Names blocks = layers(type == "gpt2" ? "transformer.h" : "model.layers", 2);
    names.insert(names.end(), blocks.begin(), blocks.end());
    write_weights(dir / "mine", names);
    dir.write("mine/config.json", "{\"model_type\": \"" + type + "\"}");
    return names;
  };
  const Names names = write_model("llama", {"model.norm.weight", "lm_head.weight"});
  CHECK(matched(patterns_of("head", "mine"), names) ==
        Names{"model.norm.weight", "lm_head.weight"});
  // The words' table, which is the last layer, too, is the embeddings'.
  write_model("gpt2", {"transformer.ln_f.bias", "transformer.wte.weight"});
  CHECK(patterns_of("head", "mine") == Names{"^(.+[.])?transformer[.]ln_f[.]"});
  write_model("llama", {"lm_head.weight"});
  dir.write("scores.csv", "client,head\nct,1\n");
  refused({"--export", "unfrozen:out", "--export-model", "mine", "--out", "plan.json"},
          {"\"head\"", "mine has no weight of \"model.norm\", \"lm_head\""});
}

TEST_CASE_METHOD(Fixture,
                 "export: layers of two towers are refused where numbers alone are known") {
  dir.write("scores.csv", "client,block.0,vision.block.0\nct,2,1\n");
  const Names says = {"--export", "several towers (\"block\", \"vision.block\")", "same numbers"};
  for (const char* to : {"unfrozen:u", "requires_grad:t.json", "peft:p"})
    refused({"--export", to, "--out", "plan.json"}, says);
  refused({"--export", "unfrozen:u", "--export-model", "llama"}, says);
  // Names are not numbers.
  dir.write("scores.csv", "client,model.layers.0.mlp,vision.block.0\nct,2,1\n");
  CHECK(plan({"--export", "requires_grad:t.json"}, "2").code == 0);
}

TEST_CASE_METHOD(Fixture, "export: what every client trains besides is in every client's files") {
  dir.write("scores.json", R"({"version": 1, "metric": "lntk", "clients": ["ct", "mri"],
    "units": ["block.0", "block.1", "head"], "roles": ["body", "body", "head"],
    "scores": [[0.7, 0.3, 0], [0.2, 0.8, 0]]})");
  const auto outcome =
      run_strata({"plan", "--scores", "scores.json", "--budget", "1", "--export", "peft:peft",
                  "--export", "requires_grad:t.json", "--export-model", "vit"},
                 dir.path());
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  const auto json = nlohmann::json::parse(test::slurp(dir / "t.json"));
  for (const char* client : {"ct", "mri"}) {
    CHECK(json["clients"][client].size() == 3);
    const auto config = nlohmann::json::parse(
        test::slurp(dir / ("peft/" + std::string(client) + "/adapter_config.json")));
    CHECK(config["modules_to_save"] == nlohmann::json{"vit.layernorm", "classifier"});
  }
}

TEST_CASE_METHOD(Fixture, "export: wrong kinds, models, ranks and folders are refused") {
  dir.write("scores.csv", "client,block.0,block.1\nct,0,5\nmri,1,0\n");
  refused({"--export", "pfet:out"},
          {"--export", "pfet:out", "did you mean \"peft\"?", "unfrozen:DIR", "requires_grad:FILE"});
  refused({"--export", "unfrozen"}, {"--export", "unfrozen:DIR"});
  refused({"--export", "unfrozen:"}, {"--export", "unfrozen:DIR"});
  refused({"--export", "requires_grad:same.json", "--out", "same.json"}, {"same file: same.json"});
  refused({"--export", "unfrozen:out", "--export-template", "lora.json"},
          {"--export-template is for --export peft:DIR"});
  refused({"--export", "unfrozen:out", "--export-model", "lama"}, {"did you mean \"llama\"?"});
  std::filesystem::create_directories(dir / "empty");
  refused({"--export", "unfrozen:out", "--export-model", "empty"},
          {"--export-model", "empty has no weights", "model.safetensors"});
  dir.write("broken/model.safetensors.index.json", R"({"weights": 1})");
  refused({"--export", "unfrozen:out", "--export-model", "broken"}, {"weight_map"});
  refused({"--export", "requires_grad:t.json", "--ranks", "2"}, {"ranks are of LoRA pairs"}, "2");
  refused({"--export", "peft:new", "--adapters", "new"}, {"--export", "two", "in new"});
  dir.write("out/oct/unfrozen_parameters.yaml", "unfrozen_parameters: []\n");
  refused({"--export", "unfrozen:out"}, {"--export: out", "\"oct\"", "empty folder"});
  dir.write("scores.csv", "client,block.0\na/b,1\n");
  refused({"--export", "unfrozen:new"}, {"\"a/b\" cannot name a folder"});
}
