#include "models/checkpoint.h"

#include "catch.h"
#include "models/blueprint.h"
#include "strata/core/error.h"
#include "support/tiny_model.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::models;
using Catch::Matchers::Contains;

namespace {

const std::filesystem::path kReference =
    std::filesystem::path(STRATA_SOURCE_DIR) / "tests" / "reference" / "vilt";

/// As a model folder's file is checked.
void check(const std::filesystem::path& file, const Blueprint& blueprint) {
  Checkpoint(file).check(stored(blueprint.base_parameters()), "config.json");
}

/// The reference's tensors but one, and perhaps another.
std::filesystem::path written(const test::TempDir& dir, const std::string& drop,
                              const std::string& add) {
  const SafetensorsFile good(kReference / "model.safetensors");
  std::vector<TensorView> views;
  for (const TensorEntry& entry : good.tensors()) {
    if (entry.name != drop)
      views.push_back({entry.name, entry.dtype, entry.shape, good.bytes(entry)});
  }
  static const std::string bytes(16, '\0');
  if (!add.empty()) views.push_back({add, Dtype::kI64, {2}, bytes});
  write_safetensors(dir / "model.safetensors", views);
  return dir / "model.safetensors";
}

/// The reference's tensors in two shards, in turns, and their index.
void write_shards(const test::TempDir& dir) {
  const SafetensorsFile file(kReference / "model.safetensors");
  std::vector<TensorView> shards[2];
  Json map = Json::object();
  std::size_t next = 0;
  for (const TensorEntry& entry : file.tensors()) {
    const std::size_t shard = next++ % 2;
    shards[shard].push_back({entry.name, entry.dtype, entry.shape, file.bytes(entry)});
    map[entry.name] = "model-0000" + std::to_string(shard + 1) + "-of-00002.safetensors";
  }
  for (const int shard : {0, 1}) {
    write_safetensors(dir / ("model-0000" + std::to_string(shard + 1) + "-of-00002.safetensors"),
                      shards[shard]);
  }
  dir.write("model.safetensors.index.json",
            Json{{"metadata", {{"total_size", 1}}}, {"weight_map", map}}.dump());
  std::filesystem::copy_file(kReference / "config.json", dir / "config.json");
}

}  // namespace

TEST_CASE("a checkpoint must hold the configuration's weights") {
  const test::TempDir dir;
  const Blueprint blueprint = read_base_blueprint(kReference);
  CHECK_NOTHROW(check(kReference / "model.safetensors", blueprint));
  CHECK_THROWS_WITH(
      check(written(dir, "vilt.pooler.dense.bias", ""), blueprint),
      Contains("\"vilt.pooler.dense.bias\" is missing") && Contains("model.safetensors"));
  CHECK_THROWS_WITH(
      check(written(dir, "vilt.pooler.dense.bias", "vilt.poler.dense.bias"), blueprint),
      Contains("unknown weight \"vilt.poler.dense.bias\"") &&
          Contains("did you mean \"vilt.pooler.dense.bias\"?"));
  CHECK_NOTHROW(check(written(dir, "", "vilt.embeddings.text_embeddings.position_ids"), blueprint));
  test::ModelShape other;
  other.hidden_size = 32;
  other.num_hidden_layers = 2;
  other.num_attention_heads = 4;
  other.intermediate_size = 64;
  other.vocab_size = 50;
  other.image_size = 32;
  other.patch_size = 8;
  other.labels = {"yes", "no", "red", "blue", "two"};
  CHECK_THROWS_WITH(check(kReference / "model.safetensors", other),
                    Contains("has shape (128, 32), but config.json asks for (64, 32)"));
  CHECK_THROWS_AS(check(kReference / "model.safetensors", other), InputError);
}

TEST_CASE("a model in shards is the model") {
  const test::TempDir dir;
  write_shards(dir);
  CHECK(peft::load_model(dir.path()).fingerprint() == peft::load_model(kReference).fingerprint());
  // One file is preferred, as transformers does.
  dir.write("model.safetensors", "nothing");
  CHECK_THROWS_WITH(peft::load_model(dir.path()), Contains("model.safetensors"));
}

TEST_CASE("an index and its shards must agree") {
  const auto refused = [](const test::TempDir& dir, const std::string& message) {
    CHECK_THROWS_WITH(Checkpoint::of_folder(dir.path()), Contains(message));
    CHECK_THROWS_AS(Checkpoint::of_folder(dir.path()), InputError);
  };
  const std::string second = "model-00002-of-00002.safetensors";
  {
    const test::TempDir dir;
    write_shards(dir);
    std::filesystem::remove(dir / second);
    refused(dir, "the shard \"" + second + "\" is not in the folder");
  }
  {
    const test::TempDir dir;
    write_shards(dir);
    std::filesystem::resize_file(dir / second, std::filesystem::file_size(dir / second) - 8);
    refused(dir, second);
  }
  {
    const test::TempDir dir;
    write_shards(dir);
    Json index = Json::parse(test::slurp(dir / "model.safetensors.index.json"));
    index["weight_map"]["vilt.pooler.dense.bias"] = second;
    index["weight_map"]["vilt.pooler.dense.weight"] = second;
    dir.write("model.safetensors.index.json", index.dump());
    refused(dir, "the shard \"" + second + "\" does not hold it");
  }
  {
    const test::TempDir dir;
    write_shards(dir);
    Json index = Json::parse(test::slurp(dir / "model.safetensors.index.json"));
    index["weight_map"]["vilt.pooler.dense.bias"] = "../" + second;
    dir.write("model.safetensors.index.json", index.dump());
    refused(dir, "is not a file's name");
  }
}
