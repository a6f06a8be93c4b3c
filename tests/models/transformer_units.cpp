#include <numeric>
#include <set>

#include "catch.h"
#include "models/transformer_config.h"
#include "strata/core/error.h"
#include "strata/core/safetensors.h"
#include "temp_dir.h"

using namespace strata;
using Catch::Matchers::Contains;

namespace {

const std::filesystem::path kReference =
    std::filesystem::path(STRATA_SOURCE_DIR) / "tests" / "reference" / "vilt";

std::int64_t count(const std::vector<Unit>& units) {
  std::int64_t sum = 0;
  for (const Unit& unit : units) sum += unit.parameter_count;
  return sum;
}

}  // namespace

TEST_CASE("the units hold every weight exactly once") {
  TransformerConfig config = read_transformer_config(kReference / "config.json");
  for (const bool qkv_bias : {true, false}) {
    config.qkv_bias = qkv_bias;
    std::multiset<std::string> in_units, all;
    const std::vector<Unit> units = transformer_units(config, 9);
    for (const Unit& unit : units) in_units.insert(unit.parameters.begin(), unit.parameters.end());
    for (const WeightShape& weight : transformer_weights(config)) all.insert(weight.name);
    CHECK(in_units == all);
    CHECK(std::set<std::string>(all.begin(), all.end()).size() == all.size());
    std::vector<std::string> names;
    for (const Unit& unit : units) names.push_back(unit.name);
    CHECK(names == std::vector<std::string>{"embeddings", "block.0", "block.1", "head"});
    for (const Unit& unit : units) CHECK(unit.bytes == 4 * unit.parameter_count);
  }
}

TEST_CASE("ViLT-B/32 for VQA has the parameters that transformers counts") {
  const SafetensorsFile recorded(kReference / "recorded.safetensors");
  TransformerConfig config;
  config.labels.resize(3129);
  const std::vector<Unit> units = transformer_units(config, 40);
  CHECK(std::to_string(count(units)) == recorded.metadata().at("vilt_b32_vqa_parameters"));
  CHECK(count(units) == 117588537);
  CHECK(units.size() == 14);
  CHECK(units[1].parameter_count == 7087872);  // 12·768² + 13·768, a BERT-base block
}

TEST_CASE("costs of a block by hand") {
  TransformerConfig config;
  config.hidden_size = 8;
  config.intermediate_size = 32;
  config.num_attention_heads = 2;
  config.num_hidden_layers = 2;
  config.image_size = 4;
  config.patch_size = 2;
  config.labels = {"yes", "no"};
  const std::vector<Unit> units = transformer_units(config, 5);  // 5 + 1 + 4 = 10 tokens
  CHECK(units[0].forward_flops == 2 * 4 * 12 * 8);
  // q, k, v and the output: 4 · 10 · 8²; both products of attention: 2 · 10² · 8; MLP: 2 · 10 · 8
  // · 32.
  CHECK(units[1].forward_flops == 2 * (2560 + 1600 + 5120));
  // The last block: k and v for all tokens, the rest for the first.
  CHECK(units[2].forward_flops == 2 * (1280 + 128 + 160 + 512));
  CHECK(units[3].forward_flops == 2 * (64 + 128 + 32));
  CHECK(units[1].activation_bytes == 4 * (8 * 80 + 2 * 320 + 2 * 100 + 40));
  CHECK(units[0].activation_bytes == 4 * (48 + 50) + 40);
}

TEST_CASE("a checkpoint must hold the configuration's weights") {
  test::TempDir dir;
  TransformerConfig config = read_transformer_config(kReference / "config.json");
  const SafetensorsFile good(kReference / "model.safetensors");
  CHECK_NOTHROW(check_transformer_weights(good, config));

  const auto written = [&](const std::string& drop, const std::string& add) {
    std::vector<TensorView> views;
    for (const TensorEntry& entry : good.tensors()) {
      if (entry.name != drop) {
        views.push_back({entry.name, entry.dtype, entry.shape, good.bytes(entry)});
      }
    }
    static const std::string bytes(16, '\0');
    if (!add.empty()) views.push_back({add, Dtype::kI64, {2}, bytes});
    write_safetensors(dir / "model.safetensors", views);
    return SafetensorsFile(dir / "model.safetensors");
  };
  CHECK_THROWS_WITH(
      check_transformer_weights(written("vilt.pooler.dense.bias", ""), config),
      Contains("\"vilt.pooler.dense.bias\" is missing") && Contains("model.safetensors"));
  CHECK_THROWS_WITH(
      check_transformer_weights(written("vilt.pooler.dense.bias", "vilt.poler.dense.bias"), config),
      Contains("unknown weight \"vilt.poler.dense.bias\"") &&
          Contains("did you mean \"vilt.pooler.dense.bias\"?"));
  CHECK_NOTHROW(check_transformer_weights(
      written("", "vilt.embeddings.text_embeddings.position_ids"), config));
  config.intermediate_size = 64;
  CHECK_THROWS_WITH(check_transformer_weights(good, config),
                    Contains("has shape (128, 32), but config.json asks for (64, 32)"));
  CHECK_THROWS_AS(check_transformer_weights(good, config), InputError);
}
