#include "models/peft_config.h"

#include "catch.h"
#include "core/document.h"
#include "strata/core/error.h"
#include "temp_dir.h"

using namespace strata;
using Catch::Matchers::Contains;

TEST_CASE("adapter_config.json is written and read back") {
  test::TempDir dir;
  PeftConfig config;
  config.adapter_reduction = 16;
  config.lora_rank = 4;
  config.lora_alpha = 12.5;
  config.lora_targets = {"key", "intermediate.dense"};
  config.prompt_length = 3;
  write_peft_config(config, dir / "adapter_config.json");
  const PeftConfig back = read_peft_config(dir / "adapter_config.json", 768);
  CHECK(back.adapter_reduction == 16);
  CHECK(back.lora_rank == 4);
  CHECK(back.lora_alpha == 12.5);
  CHECK(back.lora_targets == config.lora_targets);
  CHECK(back.prompt_length == 3);
  write_peft_config(back, dir / "again.json");
  CHECK(test::slurp(dir / "again.json") == test::slurp(dir / "adapter_config.json"));
}

TEST_CASE("LoRA alone is written in PEFT's fields and nothing else") {
  test::TempDir dir;
  PeftConfig config;
  config.lora_rank = 8;
  config.lora_alpha = 16;
  write_peft_config(config, dir / "adapter_config.json");
  const Document document = load_json(dir / "adapter_config.json");
  ObjectReader reader(document);
  CHECK(reader.text("peft_type") == "LORA");
  CHECK(reader.integer("r", 1, 100) == 8);
  CHECK(reader.integer("lora_alpha", 1, 100) == 16);
  CHECK(reader.texts("target_modules") == std::vector<std::string>{"query", "value"});
  CHECK_FALSE(reader.has("strata"));
  CHECK_FALSE(read_peft_config(dir / "adapter_config.json", 768).adapter_reduction);

  config = {};
  config.adapter_reduction = 16;
  write_peft_config(config, dir / "adapters.json");
  CHECK(read_peft_config(dir / "adapters.json", 768).lora_rank == 0);
}

TEST_CASE("a file of PEFT with what Strata does not compute is refused by key") {
  test::TempDir dir;
  const auto refused = [&](const std::string& fields, const std::string& message) {
    const auto file = dir.write("adapter_config.json", "{" + fields + "}");
    CHECK_THROWS_WITH(read_peft_config(file, 64),
                      Contains(message) && Contains("adapter_config.json"));
    CHECK_THROWS_AS(read_peft_config(file, 64), InputError);
  };
  const std::string lora = R"("peft_type": "LORA", "r": 4, "target_modules": ["query"])";
  CHECK(
      read_peft_config(dir.write("good.json", "{" + lora + R"(, "rank_pattern": {}, "bias": "none",
      "layers_to_transform": null, "lora_dropout": 0.0, "corda_config": null,
      "init_lora_weights": true})"),
                       64)
          .lora_alpha == 8);
  refused("", "peft_type: the key is missing");
  refused(R"("peft_type": "IA3")", "\"IA3\" is not one of");
  refused(R"("peft_type": "LORA", "target_modules": ["query"])", "r: the key is missing");
  refused(R"("peft_type": "LORA", "r": 65, "target_modules": ["query"])", "from 1 to 64");
  refused(R"("peft_type": "LORA", "r": 4, "target_modules": "all-linear")", "target_modules");
  refused(R"("peft_type": "LORA", "r": 4, "target_modules": [])", "at least one target");
  refused(R"("peft_type": "LORA", "r": 4, "target_modules": ["querry"])",
          "did you mean \"query\"?");
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
  CHECK(peft_file_name(layer + "attention.attention.key.lora_A.weight") ==
        "base_model.model." + layer + "attention.attention.key.lora_A.weight");
  CHECK(peft_file_name("prompt_embeddings") == "prompt_embeddings");
}
