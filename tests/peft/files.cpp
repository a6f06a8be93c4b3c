#include "peft/files.h"

#include <algorithm>
#include <set>

#include "catch.h"
#include "core/document.h"
#include "models/checkpoint.h"
#include "strata/core/error.h"
#include "strata/core/safetensors.h"
#include "support/tiny_model.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::peft;
using Catch::Matchers::Contains;

namespace {

/// The model with these methods, in a folder.
void save(const std::filesystem::path& folder, const test::PeftShape& peft,
          const std::string& type = "vilt") {
  test::ModelShape shape = test::narrow_shape(type);
  shape.peft = peft;
  save_model(test::make_model(shape, 3), folder);
}

std::vector<std::string> method_files(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto name = entry.path().filename().string();
    if (name.find("adapter") != std::string::npos) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string methods_in(const std::filesystem::path& folder) {
  return methods_json(methods_of(read_blueprint(folder))).dump();
}

std::vector<std::string> written_targets(const std::vector<std::string>& targets,
                                         const std::string& type, std::int64_t layers = 12) {
  test::ModelShape shape = test::narrow_shape(type);
  shape.num_hidden_layers = layers;
  const models::Blueprint blueprint = with_methods(shape, {make_lora({2, 8, targets})}, "here");
  const Document document = parse_json(
      lora_type().write_peft(*methods_of(blueprint).front(), blueprint).dump(), "written");
  return document.root.at("target_modules").get<std::vector<std::string>>();
}

/// PEFT's rule, in its words: `key in target_modules or any(key.endswith("." + target))`.
bool peft_selects(const std::vector<std::string>& targets, const std::string& key) {
  return std::any_of(targets.begin(), targets.end(), [&](const std::string& target) {
    return key == target || key.ends_with("." + target);
  });
}

/// The linear layers of a block: before transformers 5.9, and since then.
const std::vector<std::pair<std::string, std::string>> kNames = {
    {"attention.attention.query", "attention.q_proj"},
    {"attention.attention.key", "attention.k_proj"},
    {"attention.attention.value", "attention.v_proj"},
    {"attention.output.dense", "attention.o_proj"},
    {"intermediate.dense", "mlp.fc1"},
    {"output.dense", "mlp.fc2"}};

}  // namespace

TEST_CASE("every method is written and read back, each kind in its own file") {
  test::TempDir dir;
  const test::PeftShape all{4, 4, 12.5, {"key", "intermediate.dense"}, 3};
  save(dir / "a", all);
  CHECK(methods_in(dir / "a") ==
        R"({"adapters":{"reduction":4},"lora":{"rank":4,"alpha":12.5,)"
        R"("targets":["key","intermediate.dense"]},"prompts":{"length":3}})");
  CHECK(method_files(dir / "a") ==
        std::vector<std::string>{"adapter_config.json", "adapter_model.safetensors",
                                 "strata_adapters.json", "strata_adapters.safetensors"});
  CHECK(test::slurp(dir / "a" / "strata_adapters.json") ==
        "{\n  \"version\": 1,\n  \"adapter_reduction\": 4,\n  \"prompt_length\": 3\n}\n");
  save_model(load_model(dir / "a"), dir / "b");
  for (const auto& name : method_files(dir / "a"))
    CHECK(test::slurp(dir / "a" / name) == test::slurp(dir / "b" / name));
  // A method that is gone takes its files with it.
  save(dir / "a", {4, 0, 8, {}, 3});
  CHECK(method_files(dir / "a") ==
        std::vector<std::string>{"strata_adapters.json", "strata_adapters.safetensors"});
  save(dir / "a", {});
  CHECK(method_files(dir / "a").empty());
  CHECK(methods_in(dir / "a") == "{}");
}

TEST_CASE("no adapter_config.json stands in a folder whose methods PEFT does not know") {
  // transformers hands a file of that name to PEFT, which refuses it without a peft_type.
  for (const test::PeftShape& peft :
       {test::PeftShape{8, 0, 8, {}, 0}, test::PeftShape{0, 0, 8, {}, 5}}) {
    test::TempDir dir;
    save(dir.path(), peft);
    CHECK(method_files(dir.path()) ==
          std::vector<std::string>{"strata_adapters.json", "strata_adapters.safetensors"});
  }
}

TEST_CASE("LoRA is written in PEFT's fields and nothing else") {
  test::TempDir dir;
  save(dir.path(), {0, 8, 16, {"query", "value"}, 2});
  const Document document = load_json(dir / "adapter_config.json");
  ObjectReader reader(document);
  CHECK(reader.text("peft_type") == "LORA");
  CHECK(reader.integer("r", 1, 100) == 8);
  CHECK(reader.integer("lora_alpha", 1, 100) == 16);
  CHECK(reader.texts("target_modules") == std::vector<std::string>{"query", "value"});
  CHECK_FALSE(reader.has("strata"));
  // PEFT refuses a pattern without chosen layers.
  CHECK_FALSE(reader.has("layers_pattern"));
}

TEST_CASE("folders of before, with Strata's methods in adapter_config.json, are read") {
  test::TempDir dir;
  save(dir.path(), {4, 3, 8, {"query"}, 2});
  // What stands in two files of a kind today stood in one.
  std::vector<TensorView> views;
  const SafetensorsFile own(dir / kOwnWeightsFile), theirs(dir / kPeftWeightsFile);
  for (const SafetensorsFile* file : {&theirs, &own}) {
    for (const TensorEntry& entry : file->tensors())
      views.push_back({entry.name, entry.dtype, entry.shape, file->bytes(entry)});
  }
  const std::string fingerprint = load_model(dir.path()).fingerprint();
  write_safetensors(dir / "all.safetensors", views);
  std::filesystem::rename(dir / "all.safetensors", dir / kPeftWeightsFile);
  std::filesystem::remove(dir / kOwnWeightsFile);
  std::filesystem::remove(dir / kOwnConfigFile);
  dir.write(kPeftConfigFile,
            R"({"peft_type": "LORA", "r": 3, "target_modules": ["query"], )"
            R"("strata": {"version": 1, "adapter_reduction": 4, "prompt_length": 2}})");
  const models::Model model = load_model(dir.path());
  CHECK(model.fingerprint() == fingerprint);
  // Written again, they are as new ones are.
  save_model(model, dir / "again");
  CHECK(method_files(dir / "again").size() == 4);
  CHECK_FALSE(load_json(dir / "again" / kPeftConfigFile).root.contains("strata"));
  // Without LoRA, the file had ours alone.
  dir.write(kPeftConfigFile, R"({"strata": {"version": 1, "adapter_reduction": 4}})");
  CHECK(methods_in(dir.path()) == R"({"adapters":{"reduction":4}})");
}

TEST_CASE("ViT's targets are written under both of their names, ViLT's under the one they have") {
  using Names = std::vector<std::string>;
  CHECK(written_targets({"query", "value"}, "vit") == Names{"query", "value", "q_proj", "v_proj"});
  CHECK(written_targets({"q_proj", "v_proj"}, "vit") ==
        Names{"query", "value", "q_proj", "v_proj"});
  CHECK(written_targets({"query", "value"}, "vilt") == Names{"query", "value"});
  CHECK(written_targets({"v_proj", "query"}, "vilt") == Names{"query", "value"});
  CHECK(written_targets({"output.dense"}, "vit") == Names{"output.dense", "o_proj", "fc2"});
  CHECK(written_targets({"fc2"}, "vit", 2) ==
        Names{"layer.0.output.dense", "layer.1.output.dense", "fc2"});
  CHECK(written_targets({"layer.1.attention.attention.query", "layers.2.mlp.fc2"}, "vit") ==
        Names{"layer.1.attention.attention.query", "layer.2.output.dense",
              "layers.1.attention.q_proj", "layers.2.mlp.fc2"});
}

TEST_CASE("what is written selects the same layers for PEFT, whatever transformers calls them") {
  // Every set of linear layers, in twelve blocks, so that "1" and "11" differ.
  for (int set = 1; set < 64; ++set) {
    std::vector<std::string> targets;
    for (int kind = 0; kind < 6; ++kind) {
      if (set >> kind & 1) targets.push_back(kNames[kind].second);
    }
    const auto old_vilt = written_targets(targets, "vilt");
    const auto vit = written_targets(targets, "vit");
    INFO(quoted_list(vit, 100));
    bool same = true;
    for (int block = 0; block < 12; ++block) {
      for (int kind = 0; kind < 6; ++kind) {
        const bool wanted = set >> kind & 1;
        const std::string number = std::to_string(block) + ".";
        const std::string old_name = "encoder.layer." + number + kNames[kind].first;
        const std::string new_name = "vit.layers." + number + kNames[kind].second;
        same = same && peft_selects(old_vilt, "vilt." + old_name) == wanted &&
               peft_selects(vit, "vit." + old_name) == wanted &&
               peft_selects(vit, new_name) == wanted;
      }
    }
    CHECK(same);
    CHECK_FALSE(peft_selects(vit, "vilt.pooler.dense"));
    CHECK_FALSE(peft_selects(old_vilt, "vilt.pooler.dense"));
    // Read back, the targets mean the same.
    CHECK(written_targets(vit, "vit") == vit);
  }
}

TEST_CASE("a file of PEFT with what Strata does not compute is refused by key") {
  test::TempDir dir;
  save(dir.path(), {});
  const auto refused = [&](const std::string& fields, const std::string& message) {
    dir.write(kPeftConfigFile, "{" + fields + "}");
    CHECK_THROWS_WITH(read_blueprint(dir.path()),
                      Contains(message) && Contains("adapter_config.json"));
    CHECK_THROWS_AS(read_blueprint(dir.path()), InputError);
  };
  const std::string lora = R"("peft_type": "LORA", "r": 4, "target_modules": ["query"])";
  dir.write(kPeftConfigFile, "{" + lora + R"(, "rank_pattern": {}, "bias": "none",
      "layers_to_transform": null, "lora_dropout": 0.0, "corda_config": null,
      "init_lora_weights": true})");
  CHECK(methods_in(dir.path()) == R"({"lora":{"rank":4,"alpha":8.0,"targets":["query"]}})");
  refused("", "peft_type: the key is missing");
  refused(R"("peft_type": "IA4")", "\"IA4\" is not one of");
  refused(R"("peft_type": "LORA", "target_modules": ["query"])", "r: the key is missing");
  refused(R"("peft_type": "LORA", "r": 9, "target_modules": ["query"])", "from 1 to 8");
  // As in PEFT, all-linear has pooler and classifier, too, whose labels may be fewer than ranks.
  dir.write(kPeftConfigFile, R"({"peft_type": "LORA", "r": 4, "target_modules": "all-linear"})");
  const models::Blueprint all = read_blueprint(dir.path());
  std::set<std::string> heads;
  for (const models::Layer& layer : all.layers())
    if (layer.role == Role::kHead && !layer.method.empty()) heads.insert(layer.name);
  CHECK(heads.size() == 6);
  for (const std::string layer : {"vilt.pooler.dense", "classifier.0", "classifier.3"})
    CHECK((heads.count(layer + ".lora_A") + heads.count(layer + ".lora_B")) == 2);
  dir.write(kPeftConfigFile, R"({"peft_type": "LORA", "r": 4, "target_modules": ["dense"]})");
  CHECK(read_blueprint(dir.path()).has("vilt.pooler.dense.lora_B.weight"));
  refused(R"("peft_type": "LORA", "r": 4, "target_modules": [])", "at least one target");
  refused(R"("peft_type": "LORA", "r": 4, "target_modules": ["layer.17.output.dense"])",
          "target_modules: no layer of the model is called \"layer.17.output.dense\"");
  refused(R"("peft_type": "LOHA", "r": 4, "target_modules": ["dense"])",
          "unknown LoHa target \"dense\"");
  refused(R"("peft_type": "LORA", "r": 4, "target_modules": ["key", "key"])", "named twice");
  const std::string oft = R"("peft_type": "OFT", "target_modules": ["query"])";
  refused(oft + R"(, "r": 4, "oft_block_size": 32)",
          "oft_block_size: 32 is not supported; only 0 is");
  refused(oft + R"(, "r": 4096)", "would have one number each");
  refused(oft + R"(, "oft_block_size": 4, "num_cayley_neumann_terms": 1)", "from 2 to 64");
  refused(oft + R"(, "oft_block_size": 4, "coft": true, "eps": 0)", "eps: ");
  refused(lora + R"(, "use_qalora": true)", "use_qalora: true is not supported; only false is");
  // Of these the pairs act at some tokens alone, for which nothing in the weights stands.
  refused(lora + R"(, "alora_invocation_tokens": [5, 7])",
          "alora_invocation_tokens: [5,7] is not supported; only null is");
  for (const std::string key : {"arrow_config", "kasa_config", "monteclora_config", "use_bdlora"})
    refused(lora + ", \"" + key + R"(": {"top_k": 3})", key + ": {\"top_k\":3} is not supported");
  refused(lora + R"(, "lora_bias": true, "use_dora": true)", "does not go with DoRA");
  refused(lora + R"(, "lora_bias": 1)", "lora_bias: ");
  refused(lora + R"(, "rank_pattern": {"layers.[0-3.query": 2})", "is no regular expression");
  refused(lora + R"(, "exclude_modules": ["query"])", "no target is left");
  refused(lora + R"(, "bias": "some")", "bias: \"some\" is not one of");
  refused(lora + R"(, "init_lora_weights": "pissa")",
          "init_lora_weights: \"pissa\" is not supported, as it changes the model's own weights");
  refused(lora + R"(, "lora_dropout": 1.5)", "lora_dropout: ");
  refused(lora + R"(, "lora_dropout": "much")", "lora_dropout: ");
  refused(lora + R"(, "layers_to_transform": [17])", "no target is left");
  refused(lora + R"(, "lora_alpha": 0)", "lora_alpha must be above 0");
  refused(R"("strata": {"version": 1, "adapter_reduction": 4, "promt_length": 3})", "promt_length");
  refused(R"("strata": {"version": 2})", "version");
}

TEST_CASE("PEFT's dropout, which is training's alone, is passed over") {
  test::TempDir dir;
  save(dir.path(), {});
  const auto methods = [&](const std::string& type, const std::string& dropout) {
    dir.write(kPeftConfigFile, R"({"peft_type": ")" + type + R"(", "r": 4, "target_modules": )" +
                                   R"(["query"])" + dropout + "}");
    return methods_in(dir.path());
  };
  for (const auto& [type, key] :
       {std::pair("LORA", "lora_dropout"), std::pair("VERA", "vera_dropout"),
        std::pair("LOHA", "rank_dropout"), std::pair("LOKR", "module_dropout")}) {
    CAPTURE(type);
    const std::string field = std::string(", \"") + key + "\": ";
    const std::string without = methods(type, "");
    CHECK(without.size() > 2);
    for (const std::string value : {"0.05", "1", "0", "null"})
      CHECK(methods(type, field + value) == without);
  }
}

TEST_CASE("PEFT's targets need not all select a layer, as long as one does") {
  test::TempDir dir;
  save(dir.path(), {});
  dir.write(kPeftConfigFile,
            R"({"peft_type": "LORA", "r": 4, "target_modules": ["query", "Wqkv"]})");
  const models::Blueprint blueprint = read_blueprint(dir.path());
  CHECK(blueprint.has("vilt.encoder.layer.0.attention.attention.query.lora_A.weight"));
  CHECK(factors_of(blueprint).size() == 12);
}

TEST_CASE("a wrong strata_adapters.json is refused by key") {
  test::TempDir dir;
  save(dir.path(), {});
  const auto refused = [&](const std::string& fields, const std::string& message) {
    dir.write(kOwnConfigFile, "{" + fields + "}");
    CHECK_THROWS_WITH(read_blueprint(dir.path()),
                      Contains(message) && Contains("strata_adapters.json"));
    CHECK_THROWS_AS(read_blueprint(dir.path()), InputError);
  };
  refused(R"("adapter_reduction": 16)", "version: the key is missing");
  refused(R"("version": 3, "adapter_reduction": 4)", "version");
  refused(R"("version": 1, "adapter_reduction": 9)", "from 1 to 8");
  refused(R"("version": 1, "promt_length": 3)", "promt_length");
  refused(R"("version": 2)", "peft: the key is missing");
  refused(R"("version": 2, "peft": {"sff": {}})", "did you mean \"ssf\"?");
}

TEST_CASE("a LoRA weight of ViT has two names in files, every other weight one") {
  for (const std::string type : {"vit", "vilt"}) {
    test::TempDir dir;
    save(dir.path(), {4, 2, 8, {"query", "output.dense"}, 2}, type);
    const SafetensorsFile file(dir / kPeftWeightsFile);
    CHECK(file.tensors().size() == (type == "vit" ? 144u : 72u));
    const std::string block = "base_model.model." + type + ".encoder.layer.11.";
    CHECK(file.find(block + "attention.output.dense.lora_A.weight"));
    CHECK((file.find("base_model.model." + type + ".layers.11.mlp.fc2.lora_B.weight") != nullptr) ==
          (type == "vit"));
    const SafetensorsFile own(dir / kOwnWeightsFile);
    CHECK(own.tensors().size() == 1 + 12 * 4);
    CHECK(own.find("prompt_embeddings"));
  }
}

TEST_CASE("a folder's weights are checked against its files, each under its own name") {
  test::TempDir dir;
  save(dir.path(), {4, 2, 8, {"query"}, 2});
  CHECK_NOTHROW(check_weights(dir.path(), read_blueprint(dir.path())));
  std::filesystem::copy_file(dir / "model.safetensors", dir / "copy.safetensors");
  std::filesystem::copy_file(dir / kPeftWeightsFile, dir / "model.safetensors",
                             std::filesystem::copy_options::overwrite_existing);
  CHECK_THROWS_WITH(check_weights(dir.path(), read_blueprint(dir.path())),
                    Contains("model.safetensors") && Contains("unknown weight"));
  std::filesystem::rename(dir / "copy.safetensors", dir / "model.safetensors");
  std::filesystem::copy_file(dir / kPeftWeightsFile, dir / kOwnWeightsFile,
                             std::filesystem::copy_options::overwrite_existing);
  CHECK_THROWS_WITH(check_weights(dir.path(), read_blueprint(dir.path())),
                    Contains(kOwnWeightsFile) && Contains("unknown weight"));
}

TEST_CASE("what a folder of PEFT brings of the base is named by module, bias and norm") {
  test::TempDir dir;
  save(dir.path(), {}, "vit");
  const std::string lora = R"({"peft_type": "LORA", "r": 4, "target_modules": ["query"])";
  const auto refused = [&](const std::string& text, const std::string& message) {
    dir.write(kPeftConfigFile, text);
    CHECK_THROWS_WITH(check_weights(dir.path(), read_blueprint(dir.path())),
                      Contains(message) && Contains("adapter_config.json"));
  };
  refused(lora + R"(, "modules_to_save": ["clasifier"]})", "did you mean \"classifier\"?");
  refused(lora + R"(, "bias": "ia3_only"})", "bias: \"ia3_only\" is not one of");
  refused(R"({"peft_type": "LN_TUNING", "target_modules": ["query"]})",
          "no normalisation layer of the model is called \"query\"");
}

TEST_CASE("PEFT's files are read under the names that either generation of transformers has") {
  const std::filesystem::path recorded =
      std::filesystem::path(STRATA_SOURCE_DIR) / "tests" / "reference" / "vlms" / "llava";
  const test::TempDir dir;
  std::filesystem::create_directories(dir / "base");
  for (const char* file : {"config.json", "model.safetensors"})
    std::filesystem::copy(recorded / file, dir / "base" / file);
  for (const std::string method :
       {"lora:rank=2,targets=q_proj+fc1,dora=true", "ia3:targets=k_proj+fc1,feedforward=fc1",
        "loha:rank=2,targets=v_proj"}) {
    INFO(method);
    models::Model model = load_model(dir / "base");
    add_methods(model, {parse_method(method, "here")}, 5);
    const auto folder = dir / method.substr(0, method.find(':'));
    save_model(model, folder);
    // As the other generation has it: the language model and the tower stand elsewhere.
    const std::vector<std::pair<std::string, std::string>> renamed = {
        {"model.language_model.model.", "model.model.language_model."},
        {"model.vision_tower.vision_model.", "model.model.vision_tower."}};
    std::vector<TensorView> views;
    std::size_t moved = 0;
    const auto file = folder / kPeftWeightsFile;
    const std::string bytes = test::slurp(file);
    dir.write("was.safetensors", bytes);
    const SafetensorsFile was(dir / "was.safetensors");
    for (const TensorEntry& entry : was.tensors()) {
      std::string name = entry.name;
      if (name.starts_with("base_model.model.model.")) continue;  // it stands there already
      for (const auto& [own, other] : renamed) {
        const auto at = name.find(own);
        if (at == std::string::npos) continue;
        name.replace(at, own.size(), other);
        ++moved;
        break;
      }
      views.push_back({name, entry.dtype, entry.shape, was.bytes(entry)});
    }
    REQUIRE(moved > 0);
    REQUIRE(moved == views.size());
    write_safetensors(file, views);
    CHECK_NOTHROW(check_weights(folder, read_blueprint(folder)));
    const models::Model other = load_model(folder);
    for (const auto& parameter : model.blueprint().parameters())
      CHECK(torch::equal(other.weight(parameter.name), model.weight(parameter.name)));
    // Saved again it has the names that the base's file has.
    save_model(other, dir / "again");
    CHECK(test::slurp(dir / "again" / kPeftWeightsFile) == bytes);
    std::filesystem::remove_all(dir / "again");
  }
}
