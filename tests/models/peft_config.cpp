#include "models/peft_config.h"

#include <algorithm>

#include "catch.h"
#include "core/document.h"
#include "strata/core/error.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::models;
using Catch::Matchers::Contains;

namespace {

Json parsed(const std::filesystem::path& file) {
  return load_json(file).root;
}

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> written_targets(const std::vector<std::string>& targets,
                                         const std::string& model_type, std::int64_t layers = 12) {
  test::TempDir dir;
  PeftConfig config;
  config.lora_rank = 2;
  config.lora_targets = targets;
  write_peft_configs(config, model_type, layers, dir.path());
  return parsed(dir / "adapter_config.json")["target_modules"].get<std::vector<std::string>>();
}

/// PEFT's rule, in its words: `key in target_modules or any(key.endswith("." + target))`.
bool peft_selects(const std::vector<std::string>& targets, const std::string& key) {
  return std::any_of(targets.begin(), targets.end(), [&](const std::string& target) {
    const std::string end = "." + target;
    return key == target ||
           (key.size() >= end.size() && key.compare(key.size() - end.size(), end.size(), end) == 0);
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
  PeftConfig config;
  config.adapter_reduction = 16;
  config.lora_rank = 4;
  config.lora_alpha = 12.5;
  config.lora_targets = {"key", "intermediate.dense"};
  config.prompt_length = 3;
  for (const std::string folder : {"a", "b"}) {
    std::filesystem::create_directory(dir / folder);
    write_peft_configs(config, "vilt", 12, dir / folder);
    config = read_peft_configs(dir / folder, 768);
    CHECK(config.adapter_reduction == 16);
    CHECK(config.lora_rank == 4);
    CHECK(config.lora_alpha == 12.5);
    CHECK(config.lora_targets == std::vector<std::string>{"key", "intermediate.dense"});
    CHECK(config.prompt_length == 3);
  }
  CHECK(names_in(dir / "a") ==
        std::vector<std::string>{"adapter_config.json", "strata_adapters.json"});
  for (const auto& name : names_in(dir / "a"))
    CHECK(test::slurp(dir / "a" / name) == test::slurp(dir / "b" / name));
  // A method that is gone takes its file with it.
  config.lora_rank = 0;
  write_peft_configs(config, "vilt", 12, dir / "a");
  CHECK(names_in(dir / "a") == std::vector<std::string>{"strata_adapters.json"});
  write_peft_configs({}, "vilt", 12, dir / "a");
  CHECK(names_in(dir / "a").empty());
  CHECK_FALSE(read_peft_configs(dir / "a", 768).any());
}

TEST_CASE("no adapter_config.json stands in a folder whose methods PEFT does not know") {
  // transformers hands a file of that name to PEFT, which refuses it without a peft_type.
  test::TempDir dir;
  PeftConfig config;
  config.adapter_reduction = 16;
  write_peft_configs(config, "vilt", 12, dir.path());
  CHECK(names_in(dir.path()) == std::vector<std::string>{"strata_adapters.json"});
  CHECK(read_peft_configs(dir.path(), 768).adapter_reduction == 16);
  CHECK(read_peft_configs(dir.path(), 768).lora_rank == 0);
  config = {};
  config.prompt_length = 5;
  write_peft_configs(config, "vit", 12, dir.path());
  CHECK(names_in(dir.path()) == std::vector<std::string>{"strata_adapters.json"});
  CHECK(read_peft_configs(dir.path(), 768).prompt_length == 5);
}

TEST_CASE("LoRA is written in PEFT's fields and nothing else") {
  test::TempDir dir;
  PeftConfig config;
  config.lora_rank = 8;
  config.lora_alpha = 16;
  config.prompt_length = 2;
  write_peft_configs(config, "vilt", 12, dir.path());
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
  const std::string ours =
      R"("strata": {"version": 1, "adapter_reduction": 4, "prompt_length": 2})";
  dir.write("adapter_config.json", "{" + ours + "}");
  PeftConfig config = read_peft_configs(dir.path(), 64);
  CHECK(config.adapter_reduction == 4);
  CHECK(config.prompt_length == 2);
  CHECK(config.lora_rank == 0);
  dir.write("adapter_config.json",
            R"({"peft_type": "LORA", "r": 3, "target_modules": ["query"], )" + ours + "}");
  config = read_peft_configs(dir.path(), 64);
  CHECK(config.lora_rank == 3);
  CHECK(config.adapter_reduction == 4);
  // Written again, they are as new ones are.
  write_peft_configs(config, "vilt", 2, dir.path());
  CHECK(names_in(dir.path()) ==
        std::vector<std::string>{"adapter_config.json", "strata_adapters.json"});
  CHECK_FALSE(parsed(dir / "adapter_config.json").contains("strata"));
  CHECK(read_peft_configs(dir.path(), 64).adapter_reduction == 4);
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
}

TEST_CASE("what is written selects the same layers for PEFT, whatever transformers calls them") {
  // Every set of linear layers, in twelve blocks, so that "1" and "11" differ.
  for (int set = 1; set < 64; ++set) {
    PeftConfig config;
    config.lora_rank = 1;
    config.lora_targets.clear();
    for (int kind = 0; kind < 6; ++kind) {
      if (set >> kind & 1) config.lora_targets.push_back(kNames[kind].second);
    }
    const auto old_vilt = written_targets(config.lora_targets, "vilt");
    const auto vit = written_targets(config.lora_targets, "vit");
    INFO(quoted_list(vit, 100));
    bool same = true;
    for (int block = 0; block < 12; ++block) {
      for (int kind = 0; kind < 6; ++kind) {
        const bool wanted = set >> kind & 1;
        const std::string number = std::to_string(block) + ".";
        const std::string old_name = "encoder.layer." + number + kNames[kind].first;
        const std::string new_name = "vit.layers." + number + kNames[kind].second;
        same = same && config.targets("vit." + old_name) == wanted &&
               peft_selects(old_vilt, "vilt." + old_name) == wanted &&
               peft_selects(vit, "vit." + old_name) == wanted &&
               peft_selects(vit, new_name) == wanted;
      }
    }
    CHECK(same);
    CHECK_FALSE(peft_selects(vit, "vilt.pooler.dense"));
    // Read back, the targets mean the same.
    CHECK(written_targets(vit, "vit") == vit);
    CHECK(written_targets(vit, "vilt") == old_vilt);
  }
}

TEST_CASE("a target of one block alone is kept apart") {
  PeftConfig config;
  config.lora_rank = 1;
  config.lora_targets = {"layer.1.attention.attention.query", "layers.2.mlp.fc2"};
  check_peft_config(config, 64, "here");
  CHECK(config.targets("vit.encoder.layer.1.attention.attention.query"));
  CHECK_FALSE(config.targets("vit.encoder.layer.11.attention.attention.query"));
  CHECK(config.targets("vit.encoder.layer.2.output.dense"));
  CHECK_FALSE(config.targets("vit.encoder.layer.2.attention.output.dense"));
  CHECK(written_targets(config.lora_targets, "vit") ==
        std::vector<std::string>{"layer.1.attention.attention.query", "layer.2.output.dense",
                                 "layers.1.attention.q_proj", "layers.2.mlp.fc2"});
}

TEST_CASE("a file of PEFT with what Strata does not compute is refused by key") {
  test::TempDir dir;
  const auto refused = [&](const std::string& fields, const std::string& message) {
    dir.write("adapter_config.json", "{" + fields + "}");
    CHECK_THROWS_WITH(read_peft_configs(dir.path(), 64),
                      Contains(message) && Contains("adapter_config.json"));
    CHECK_THROWS_AS(read_peft_configs(dir.path(), 64), InputError);
  };
  const std::string lora = R"("peft_type": "LORA", "r": 4, "target_modules": ["query"])";
  dir.write("adapter_config.json", "{" + lora + R"(, "rank_pattern": {}, "bias": "none",
      "layers_to_transform": null, "lora_dropout": 0.0, "corda_config": null,
      "init_lora_weights": true})");
  CHECK(read_peft_configs(dir.path(), 64).lora_alpha == 8);
  refused("", "peft_type: the key is missing");
  refused(R"("peft_type": "IA3")", "\"IA3\" is not one of");
  refused(R"("peft_type": "LORA", "target_modules": ["query"])", "r: the key is missing");
  refused(R"("peft_type": "LORA", "r": 65, "target_modules": ["query"])", "from 1 to 64");
  refused(R"("peft_type": "LORA", "r": 4, "target_modules": "all-linear")", "target_modules");
  refused(R"("peft_type": "LORA", "r": 4, "target_modules": [])", "at least one target");
  refused(R"("peft_type": "LORA", "r": 4, "target_modules": ["querry"])",
          "did you mean \"query\"?");
  // To PEFT that is ViLT's pooler, too.
  refused(R"("peft_type": "LORA", "r": 4, "target_modules": ["dense"])",
          "unknown LoRA target \"dense\"");
  refused(R"("peft_type": "LORA", "r": 4, "target_modules": ["key", "key"])", "named twice");
  refused(lora + R"(, "use_dora": true)", "use_dora: true is not supported; only false is");
  refused(lora + R"(, "init_lora_weights": "pissa")",
          "init_lora_weights: \"pissa\" is not supported, as it changes the model's own weights");
  refused(lora + R"(, "lora_dropout": 0.1)", "lora_dropout: 0.1 is not supported");
  refused(lora + R"(, "layers_to_transform": [3])", "layers_to_transform: [3]");
  refused(lora + R"(, "lora_alpha": 0)", "lora_alpha must be above 0");
  refused(R"("strata": {"version": 1, "adapter_reduction": 16, "promt_length": 3})",
          "promt_length");
  refused(R"("strata": {"version": 2})", "version");
}

TEST_CASE("a wrong strata_adapters.json is refused by key") {
  test::TempDir dir;
  const auto refused = [&](const std::string& fields, const std::string& message) {
    dir.write("strata_adapters.json", "{" + fields + "}");
    CHECK_THROWS_WITH(read_peft_configs(dir.path(), 64),
                      Contains(message) && Contains("strata_adapters.json"));
    CHECK_THROWS_AS(read_peft_configs(dir.path(), 64), InputError);
  };
  refused(R"("adapter_reduction": 16)", "version: the key is missing");
  refused(R"("version": 2, "adapter_reduction": 16)", "version");
  refused(R"("version": 1, "adapter_reduction": 65)", "from 0 to 64");
  refused(R"("version": 1, "promt_length": 3)", "promt_length");
}

TEST_CASE("targets follow PEFT's suffix rule") {
  PeftConfig config;
  config.lora_rank = 2;
  config.lora_targets = {"output.dense", "key"};
  const std::string layer = "vilt.encoder.layer.1.";
  CHECK(config.targets(layer + "attention.output.dense"));
  CHECK(config.targets(layer + "output.dense"));
  CHECK(config.targets(layer + "attention.attention.key"));
  CHECK_FALSE(config.targets(layer + "attention.attention.query"));
  CHECK_FALSE(config.targets(layer + "intermediate.dense"));
  config.lora_rank = 0;
  CHECK_FALSE(config.targets(layer + "output.dense"));
}

TEST_CASE("a LoRA weight of ViT has two names in files, every other weight one") {
  using Names = std::vector<std::string>;
  const std::string pair = ".lora_A.weight", prefix = "base_model.model.";
  for (const auto& [old_name, new_name] : kNames) {
    CHECK(peft_file_names("vit.encoder.layer.11." + old_name + pair) ==
          Names{prefix + "vit.encoder.layer.11." + old_name + pair,
                prefix + "vit.layers.11." + new_name + pair});
    CHECK(peft_file_names("vilt.encoder.layer.11." + old_name + pair) ==
          Names{prefix + "vilt.encoder.layer.11." + old_name + pair});
  }
  CHECK(peft_file_names("prompt_embeddings") == Names{"prompt_embeddings"});
  CHECK(peft_file_names("vit.encoder.layer.0.output.dense.weight") ==
        Names{"vit.encoder.layer.0.output.dense.weight"});
}
