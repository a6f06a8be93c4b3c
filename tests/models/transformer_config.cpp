#include "models/transformer_config.h"

#include "catch.h"
#include "strata/core/error.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::models;
using Catch::Matchers::Contains;

namespace {

const std::filesystem::path kReference =
    std::filesystem::path(STRATA_SOURCE_DIR) / "tests" / "reference" / "vilt";

/// The reference's config.json with one piece of text replaced.
std::filesystem::path edited(const test::TempDir& dir, const std::string& from,
                             const std::string& to) {
  std::string text = test::slurp(kReference / "config.json");
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return dir.write("config.json", text.replace(at, from.size(), to));
}

TransformerConfig from_yaml(const test::TempDir& dir, const std::string& text) {
  const Document document = load_yaml(dir.write("a.yaml", text));
  return transformer_config_from_yaml(ObjectReader(document));
}

}  // namespace

TEST_CASE("a config.json of transformers is read") {
  const TransformerConfig config = read_transformer_config(kReference / "config.json");
  CHECK(config.hidden_size == 32);
  CHECK(config.num_hidden_layers == 2);
  CHECK(config.num_attention_heads == 4);
  CHECK(config.intermediate_size == 128);
  CHECK(config.vocab_size == 50);
  CHECK(config.patches() == 16);
  CHECK(config.head_size() == 8);
  CHECK(config.layer_norm_eps == 1e-12);
  CHECK(config.qkv_bias);
  CHECK(config.labels == std::vector<std::string>{"yes", "no", "red", "blue", "two"});
}

TEST_CASE("a written config.json reads back the same, and writing it again gives the same bytes") {
  test::TempDir dir;
  TransformerConfig config = read_transformer_config(kReference / "config.json");
  config.hidden_dropout_prob = 0.125;
  config.initializer_range = 0.03;
  write_transformer_config(config, dir / "one.json");
  const TransformerConfig back = read_transformer_config(dir / "one.json");
  CHECK(back.hidden_dropout_prob == 0.125);
  CHECK(back.initializer_range == 0.03);
  CHECK(back.labels == config.labels);
  write_transformer_config(back, dir / "two.json");
  CHECK(test::slurp(dir / "one.json") == test::slurp(dir / "two.json"));
}

TEST_CASE("a config.json that is not ours is refused by name") {
  test::TempDir dir;
  const auto refused = [&](const std::string& from, const std::string& to,
                           const std::string& message) {
    const auto file = edited(dir, from, to);
    CHECK_THROWS_WITH(read_transformer_config(file), Contains(message) && Contains("config.json"));
    CHECK_THROWS_AS(read_transformer_config(file), InputError);
  };
  refused("\"model_type\": \"vilt\"", "\"model_type\": \"bert\"", "model_type");
  refused("\"hidden_act\": \"gelu\"", "\"hidden_act\": \"relu\"", "hidden_act");
  refused("\"hidden_size\": 32", "\"hidden_size\": \"wide\"", "hidden_size");
  refused("\"hidden_size\": 32", "\"hidden_size\": 30",
          "not a multiple of num_attention_heads = 4");
  refused("\"image_size\": 32", "\"image_size\": 36", "not a multiple of patch_size = 8");
  refused("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 0", "num_hidden_layers");
  refused("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 16777216",
          "num_hidden_layers: a whole number from 1 to 1000 was expected, found 16777216");
  refused("\"hidden_size\": 32", "\"hidden_size\": 131072", "from 1 to 65536");
  refused("\"image_size\": 32", "\"image_size\": 16777216", "from 1 to 4096");
  refused("\"4\": \"two\"", "\"7\": \"two\"", "the ids must be 0 to 4");
  refused("\"id2label\"", "\"labels\"", "id2label");
}

TEST_CASE("a ViT is read without what only text needs, and with ViTConfig's defaults") {
  test::TempDir dir;
  const TransformerConfig config = read_transformer_config(
      dir.write("config.json", R"({"model_type": "vit", "id2label": {"0": "cat", "1": "dog"}})"));
  CHECK_FALSE(config.has_text());
  CHECK(config.prefix() == "vit.");
  CHECK(config.patches() == 196);
  CHECK(config.hidden_size == 768);
  write_transformer_config(config, dir / "one.json");
  const std::string text = test::slurp(dir / "one.json");
  CHECK_THAT(text, Contains("ViTForImageClassification") && Contains("\"model_type\": \"vit\""));
  CHECK_THAT(text, !Contains("vocab_size"));
  write_transformer_config(read_transformer_config(dir / "one.json"), dir / "two.json");
  CHECK(test::slurp(dir / "two.json") == text);
}

TEST_CASE("a model folder's configuration has its adapters") {
  test::TempDir dir;
  std::filesystem::copy_file(kReference / "config.json", dir / "config.json");
  CHECK_FALSE(read_model_config(dir.path()).peft.any());
  PeftConfig peft;
  peft.adapter_reduction = 8;
  write_peft_configs(peft, "vilt", 2, dir.path());
  CHECK(read_model_config(dir.path()).peft.adapter_reduction == 8);
  peft.adapter_reduction = 33;
  write_peft_configs(peft, "vilt", 2, dir.path());
  CHECK_THROWS_WITH(read_model_config(dir.path()), Contains("adapter_reduction"));
  dir.write(kOwnConfigFile, R"({"version": 1})");
  dir.write(kPeftConfigFile,
            R"({"peft_type": "LORA", "r": 2, "target_modules": ["layer.7.output.dense"]})");
  CHECK_THROWS_WITH(read_model_config(dir.path()),
                    Contains(kPeftConfigFile) && Contains("target_modules: no layer of the model"));
}

TEST_CASE("model.architecture of an experiment file") {
  test::TempDir dir;
  const std::string required =
      "hidden_size: 64\nlayers: 8\nheads: 4\nimage_size: 64\npatch_size: 16\n";
  const TransformerConfig config = from_yaml(dir, required + "dropout: 0.1\nmax_text: 20\n");
  CHECK(config.intermediate_size == 256);
  CHECK(config.num_hidden_layers == 8);
  CHECK(config.patches() == 16);
  CHECK(config.max_position_embeddings == 20);
  CHECK(config.hidden_dropout_prob == 0.1);
  CHECK_THROWS_WITH(from_yaml(dir, required + "hiden_size: 3\n"), Contains("hidden_size"));
  CHECK_THROWS_WITH(from_yaml(dir, "hidden_size: 64\n"), Contains("layers"));
  CHECK_THROWS_WITH(
      from_yaml(dir, "hidden_size: 64\nlayers: 8\nheads: 5\nimage_size: 64\npatch_size: 16\n"),
      Contains("not a multiple of heads = 5"));
}
