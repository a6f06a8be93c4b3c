#include "models/architectures/architectures.h"

#include <algorithm>

#include "catch.h"
#include "models/blueprint.h"
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

std::shared_ptr<const Architecture> from_yaml(const test::TempDir& dir, const std::string& text) {
  const Document document = load_yaml(dir.write("a.yaml", text));
  return architecture_from_yaml(ObjectReader(document));
}

Shape shape_of(const Architecture& architecture, const std::string& parameter) {
  for (const Layer& layer : architecture.layers()) {
    for (const Parameter& own : layer.parameters)
      if (own.name == parameter) return own.shape;
  }
  FAIL("no parameter " << parameter);
  return {};
}

}  // namespace

TEST_CASE("a config.json of transformers is read") {
  const auto model = read_architecture(kReference / "config.json");
  CHECK(model->type() == "vilt");
  CHECK(model->labels() == std::vector<std::string>{"yes", "no", "red", "blue", "two"});
  CHECK(model->text_tokens() == 40);
  CHECK(model->vocabulary_size() == 50);
  CHECK(model->image_model().image_size == 32);
  CHECK(model->image_model().patch_size == 8);
  std::vector<std::string> stages;
  for (const Stage& stage : model->stages()) stages.push_back(stage.name);
  CHECK(stages == std::vector<std::string>{"embeddings", "block.0", "block.1", "head"});
  CHECK(shape_of(*model, "vilt.embeddings.position_embeddings") == Shape{1, 17, 32});
  CHECK(shape_of(*model, "vilt.encoder.layer.1.intermediate.dense.weight") == Shape{128, 32});
  const Json config = model->config();
  CHECK(config.at("num_attention_heads") == 4);
  CHECK(config.at("layer_norm_eps") == 1e-12);
  CHECK(config.at("qkv_bias") == true);
}

TEST_CASE("a written config.json reads back the same, and writing it again gives the same bytes") {
  test::TempDir dir;
  Json json = load_json(kReference / "config.json").root;
  json["hidden_dropout_prob"] = 0.125;
  json["initializer_range"] = 0.03;
  json["max_position_embeddings"] = 24;
  const auto model = read_architecture(dir.write("one.json", json.dump()));
  const Json written = model->config();
  CHECK(written.at("hidden_dropout_prob") == 0.125);
  CHECK(written.at("initializer_range") == 0.03);
  const auto back = read_architecture(dir.write("two.json", written.dump()));
  CHECK(back->labels() == model->labels());
  CHECK(back->text_tokens() == 24);
  CHECK(back->config().dump() == written.dump());
  // The keys stand in transformers' order.
  std::vector<std::string> keys;
  for (const auto& entry : written.items()) keys.push_back(entry.key());
  CHECK(std::is_sorted(keys.begin(), keys.end()));
}

TEST_CASE("a config.json that is not ours is refused by name") {
  test::TempDir dir;
  const auto refused = [&](const std::string& from, const std::string& to,
                           const std::string& message) {
    const auto file = edited(dir, from, to);
    CHECK_THROWS_WITH(read_architecture(file), Contains(message) && Contains("config.json"));
    CHECK_THROWS_AS(read_architecture(file), InputError);
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

TEST_CASE("an architecture that is not there names those that are") {
  test::TempDir dir;
  CHECK_THROWS_WITH(read_architecture(edited(dir, "\"vilt\"", "\"dinov2\"")),
                    Contains("\"dinov2\"") && Contains("\"vilt\"") && Contains("\"vit\""));
}

TEST_CASE("a ViT is read without what only text needs, and with ViTConfig's defaults") {
  test::TempDir dir;
  const auto model = read_architecture(
      dir.write("config.json", R"({"model_type": "vit", "id2label": {"0": "cat", "1": "dog"}})"));
  CHECK(model->text_tokens() == 0);
  CHECK(model->vocabulary_size() == 0);
  CHECK(model->image_model().image_size == 224);
  CHECK(shape_of(*model, "vit.embeddings.position_embeddings") == Shape{1, 197, 768});
  const std::string text = model->config().dump(2);
  CHECK_THAT(text, Contains("ViTForImageClassification") && Contains("\"model_type\": \"vit\""));
  CHECK_THAT(text, !Contains("vocab_size"));
  CHECK(read_architecture(dir.write("one.json", text))->config().dump(2) == text);
}

TEST_CASE("model.architecture of an experiment file") {
  test::TempDir dir;
  const std::string required =
      "hidden_size: 64\nlayers: 8\nheads: 4\nimage_size: 64\npatch_size: 16\n";
  const auto model = from_yaml(dir, required + "dropout: 0.1\nmax_text: 20\n");
  CHECK(model->type() == "vilt");
  CHECK(model->config().at("intermediate_size") == 256);
  CHECK(model->stages().size() == 10);
  CHECK(model->text_tokens() == 20);
  CHECK(model->config().at("hidden_dropout_prob") == 0.1);
  const auto labelled = model->with({"yes", "no"}, 77);
  CHECK(labelled->labels().size() == 2);
  CHECK(shape_of(*labelled, "classifier.3.weight") == Shape{2, 128});
  CHECK(shape_of(*labelled, "vilt.embeddings.text_embeddings.word_embeddings.weight") ==
        Shape{77, 64});
  CHECK(from_yaml(dir, "type: vit\n" + required)->type() == "vit");
  CHECK_THROWS_WITH(from_yaml(dir, "type: vit\n" + required + "max_text: 20\n"),
                    Contains("max_text"));
  CHECK_THROWS_WITH(from_yaml(dir, "type: resent\n" + required), Contains("\"vilt\""));
  CHECK_THROWS_WITH(from_yaml(dir, required + "hiden_size: 3\n"), Contains("hidden_size"));
  CHECK_THROWS_WITH(from_yaml(dir, "hidden_size: 64\n"), Contains("layers"));
  CHECK_THROWS_WITH(
      from_yaml(dir, "hidden_size: 64\nlayers: 8\nheads: 5\nimage_size: 64\npatch_size: 16\n"),
      Contains("not a multiple of heads = 5"));
}
