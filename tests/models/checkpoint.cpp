#include "models/checkpoint.h"

#include "catch.h"
#include "core/text.h"
#include "models/blueprint.h"
#include "strata/core/error.h"
#include "support/shards.h"
#include "support/short_files.h"
#include "support/tiny_model.h"
#include "support/torch_zip.h"
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

/// A model folder with its weights in two shards.
void write_shards(const test::TempDir& dir, const std::filesystem::path& model = kReference) {
  test::write_shards(model / "model.safetensors", dir.path());
  std::filesystem::copy_file(model / "config.json", dir / "config.json");
}

Json config_of(const std::filesystem::path& folder) {
  return Json::parse(test::slurp(folder / "config.json"));
}

/// What a file holds, by name: type, shape and bytes.
std::map<std::string, std::string> contents(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  std::map<std::string, std::string> all;
  for (const TensorEntry& entry : file.tensors()) {
    all[entry.name] =
        dtype_name(entry.dtype) + shape_text(entry.shape) + std::string(file.bytes(entry));
  }
  return all;
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

TEST_CASE("a head in place of another stands in the last shard, and in the index") {
  const test::TempDir dir, out;
  write_shards(dir,
               std::filesystem::path(STRATA_SOURCE_DIR) / "tests" / "reference" / "vlms" / "llava");
  Model model = peft::load_model(dir.path());
  model.relabel({"edema", "nodule"}, 3);
  peft::save_model(model, out.path());
  CHECK(peft::load_model(out.path()).fingerprint() == model.fingerprint());
  const Json map = load_json(out.path() / "model.safetensors.index.json").root.at("weight_map");
  CHECK(map.at("score.weight") == test::kSecondShard);
  CHECK_FALSE(map.contains("language_model.lm_head.weight"));
  const auto first = contents(out.path() / test::kFirstShard),
             second = contents(out.path() / test::kSecondShard);
  CHECK(first.size() + second.size() == map.size());
  CHECK(second.count("score.weight") == 1);
  auto before = contents(dir.path() / test::kFirstShard);
  before.erase("language_model.lm_head.weight");
  CHECK(first == before);
}

TEST_CASE("an index and its shards must agree") {
  const auto refused = [](const test::TempDir& dir, const std::string& message) {
    CHECK_THROWS_WITH(Checkpoint::of_folder(dir.path()), Contains(message));
    CHECK_THROWS_AS(Checkpoint::of_folder(dir.path()), InputError);
  };
  const std::string second = test::kSecondShard;
  {
    const test::TempDir dir;
    write_shards(dir);
    std::filesystem::remove(dir / second);
    refused(dir, "the shard \"" + second + "\" is not in the folder");
  }
  {
    const test::TempDir dir;
    write_shards(dir);
    const std::string left = std::to_string(test::cut_off(dir / second));
    refused(dir, second + ": tensor \"");
    refused(dir, "leave the file's " + left + " bytes of data");
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

TEST_CASE("a model in PyTorch's file or shards is the model, and is written as safetensors") {
  const test::TempDir dir;
  const Dtype dtype = GENERATE(Dtype::kF32, Dtype::kF16);
  CAPTURE(dtype_name(dtype));
  test::copy_rounded(kReference, dir / "safetensors", dtype, false);
  const SafetensorsFile ours(dir / "safetensors/model.safetensors");
  static const std::string odd(3, '\7'), ids(80, '\7');
  std::vector<TensorView> all = {{"a.position_ids", Dtype::kU8, {3}, odd},
                                 {"b.position_ids", Dtype::kI64, {1, 10}, ids}};
  for (const TensorEntry& entry : ours.tensors())
    all.push_back({entry.name, entry.dtype, entry.shape, ours.bytes(entry)});
  for (const char* folder : {"one", "two"}) {
    std::filesystem::create_directories(dir / folder);
    std::filesystem::copy_file(kReference / "config.json", dir / folder / "config.json");
  }
  dir.write("one/pytorch_model.bin", test::torch_file(all));
  Json map = Json::object();
  for (const int shard : {0, 1}) {
    const std::string file = "pytorch_model-0000" + std::to_string(shard + 1) + "-of-00002.bin";
    std::vector<TensorView> tensors;
    for (std::size_t i = 0; i < all.size(); ++i)
      if (i % 2 == static_cast<std::size_t>(shard)) tensors.push_back(all[i]);
    for (const TensorView& tensor : tensors) map[tensor.name] = file;
    dir.write("two/" + file, test::torch_file(tensors));
  }
  dir.write("two/pytorch_model.bin.index.json", Json{{"weight_map", map}}.dump());

  const std::string fingerprint = peft::load_model(dir / "safetensors").fingerprint();
  const Model one = peft::load_model(dir / "one"), two = peft::load_model(dir / "two");
  CHECK(one.fingerprint() == fingerprint);
  CHECK(two.fingerprint() == fingerprint);
  CHECK(Checkpoint::of_folder(dir / "one").name() == (dir / "one/pytorch_model.bin").string());

  // Written beside themselves, and read in place of them.
  peft::save_model(two, dir / "two");
  peft::save_model(one, dir / "one");
  auto written = contents(dir / "one/model.safetensors");
  CHECK(written.size() == all.size());
  for (const TensorView& tensor : all) {
    INFO(tensor.name);
    CHECK(written[tensor.name] ==
          dtype_name(tensor.dtype) + shape_text(tensor.shape) + std::string(tensor.bytes));
  }
  const SafetensorsFile file(dir / "one/model.safetensors");
  CHECK(file.metadata().at("format") == "pt");
  for (const TensorEntry& entry : file.tensors()) CHECK(entry.begin % dtype_size(entry.dtype) == 0);
  auto shards = contents(dir / "two" / test::kFirstShard);
  shards.merge(contents(dir / "two" / test::kSecondShard));
  CHECK(shards == written);
  const Json index = Json::parse(test::slurp(dir / "two/model.safetensors.index.json"));
  CHECK(index["weight_map"]["a.position_ids"] == test::kFirstShard);
  CHECK(index["weight_map"]["b.position_ids"] == test::kSecondShard);
  for (const char* folder : {"one", "two"}) {
    CHECK(Checkpoint::of_folder(dir / folder).name().find("/model.safetensors") !=
          std::string::npos);
    CHECK(peft::load_model(dir / folder).fingerprint() == fingerprint);
  }
}

TEST_CASE("an index of PyTorch's shards must name them as transformers does") {
  const test::TempDir dir;
  const std::string bytes(4, '\1');
  for (const char* name : {"model.bin", "pytorch_model.bin", "pytorch_model-1.pt"}) {
    dir.write(name, test::torch_file({{"x", Dtype::kF32, {1}, bytes}}));
    dir.write("pytorch_model.bin.index.json", Json{{"weight_map", {{"x", name}}}}.dump());
    std::filesystem::remove(dir / "pytorch_model.bin");
    CHECK_THROWS_WITH(Checkpoint::of_folder(dir.path()),
                      Contains(std::string("\"") + name +
                               "\" is not a name such as \"pytorch_model-00001.bin\""));
  }
}

TEST_CASE("weights that PyTorch's file ties are each a model's own") {
  const test::TempDir dir;
  const SafetensorsFile good(kReference / "model.safetensors");
  const std::string first = "vilt.layernorm.weight", second = "vilt.layernorm.bias";
  std::vector<TensorView> all;
  for (const TensorEntry& entry : good.tensors())
    all.push_back({entry.name, entry.dtype, entry.shape,
                   good.bytes(entry.name == second ? *good.find(first) : entry)});
  dir.write("pytorch_model.bin", test::torch_file(all, {first, second}));
  std::filesystem::copy_file(kReference / "config.json", dir / "config.json");
  const Model model = peft::load_model(dir.path());
  const auto &one = model.weights().at(first), &other = model.weights().at(second);
  CHECK(torch::equal(one, other));
  CHECK(one.data_ptr() != other.data_ptr());
  // And not because they begin where no float may.
  const TorchFile file(dir / "pytorch_model.bin");
  CHECK(reinterpret_cast<std::uintptr_t>(file.bytes(*file.find(first)).data()) % 64 == 0);
}

TEST_CASE("what was not trained is written byte for byte, into the files that it came from") {
  const test::TempDir dir;
  const Dtype dtype = GENERATE(Dtype::kF32, Dtype::kF16, Dtype::kBF16);
  CAPTURE(dtype_name(dtype));
  // A file of another order and other metadata than ours, with a buffer that no model has.
  test::copy_rounded(kReference, dir / "one", dtype, false);
  const SafetensorsFile ours(dir / "one/model.safetensors");
  std::vector<TensorView> views;
  for (const TensorEntry& entry : ours.tensors())
    views.insert(views.begin(), {entry.name, entry.dtype, entry.shape, ours.bytes(entry)});
  static const std::string ids(80, '\7');
  views.insert(views.begin() + 3,
               {"vilt.embeddings.text_embeddings.position_ids", Dtype::kI64, {1, 10}, ids});
  std::filesystem::remove(dir / "one/model.safetensors");
  write_safetensors(dir / "one/model.safetensors", views, {{"format", "pt"}, {"by", "someone"}});
  const test::TempDir shards;
  write_shards(shards, dir / "one");

  const Model one = peft::load_model(dir / "one");
  peft::save_model(one, dir / "out");
  CHECK(test::slurp(dir / "out/model.safetensors") == test::slurp(dir / "one/model.safetensors"));
  const std::string type = dtype == Dtype::kF32   ? "float32"
                           : dtype == Dtype::kF16 ? "float16"
                                                  : "bfloat16";
  CHECK(config_of(dir / "out").at("torch_dtype") == type);

  // Over a model in one file, whose file would otherwise be read in place of the shards.
  Model sharded = peft::load_model(shards.path());
  sharded.own({"vilt.pooler.dense.bias"});
  peft::save_model(sharded, dir / "out");
  CHECK(!std::filesystem::exists(dir / "out/model.safetensors"));
  for (const std::string& file :
       {test::kFirstShard, test::kSecondShard, std::string("model.safetensors.index.json")}) {
    CAPTURE(file);
    std::string expected = test::slurp(shards / file);
    if (file.ends_with(".safetensors")) {
      // Files without metadata, which transformers 4 refuses, get it.
      CHECK(SafetensorsFile(dir / "out" / file).metadata().at("format") == "pt");
      CHECK(contents(dir / "out" / file) == contents(shards / file));
    } else {
      CHECK(test::slurp(dir / "out" / file) == expected);
    }
  }
  CHECK(peft::load_model(dir / "out").fingerprint() == one.fingerprint());
  peft::save_model(one, dir / "out");
  CHECK(!std::filesystem::exists(dir / "out/model.safetensors.index.json"));
}

TEST_CASE(
    "keys of the user's config.json that no architecture has are kept, but what labels are for") {
  const test::TempDir dir;
  test::copy_rounded(kReference, dir / "short", Dtype::kBF16, false);
  Json config = config_of(dir / "short");
  config["_name_or_path"] = "hospital/vilt";
  config["zz_note"] = {{"by", "someone"}};
  config["dtype"] = "bfloat16";
  config["num_labels"] = 99;
  config["problem_type"] = "multi_label_classification";
  config["torch_dtype"] = "float64";
  dir.write("short/config.json", config.dump());
  Model model = peft::load_model(dir / "short");
  peft::save_model(model, dir / "same");
  Json same = config_of(dir / "same");
  CHECK(same.at("_name_or_path") == "hospital/vilt");
  CHECK(same.at("zz_note").at("by") == "someone");
  CHECK_FALSE(same.contains("num_labels"));
  CHECK_FALSE(same.contains("problem_type"));
  CHECK(same.at("dtype") == "bfloat16");
  CHECK(same.at("torch_dtype") == "bfloat16");
  std::vector<std::string> keys;
  for (const auto& [key, value] : same.items()) keys.push_back(key);
  CHECK(std::is_sorted(keys.begin(), keys.end()));

  // What Strata knows is what the model is now.
  model.relabel({"no", "yes"}, 1);
  peft::save_model(model, dir / "relabelled");
  const Json relabelled = config_of(dir / "relabelled");
  CHECK(relabelled.at("id2label").size() == 2);
  CHECK(relabelled.at("dtype") == "float32");
  CHECK(relabelled.at("zz_note") == same.at("zz_note"));
  CHECK(peft::load_model(dir / "relabelled").fingerprint() == model.fingerprint());
}

TEST_CASE("what was trained is written as float32 under its name, and all else byte for byte") {
  const test::TempDir dir, shards;
  test::copy_rounded(kReference, dir / "one", Dtype::kBF16, false);
  write_shards(shards, dir / "one");
  Model model = peft::load_model(shards.path());
  const std::string trained = "vilt.pooler.dense.bias";
  model.own({trained, "vilt.pooler.dense.weight"});
  {
    const torch::NoGradGuard no_grad;
    model.weight(trained).add_(1e-4);
  }
  peft::save_model(model, dir / "out");
  int changed = 0;
  for (const std::string& file : {test::kFirstShard, test::kSecondShard}) {
    const auto before = contents(shards / file), after = contents(dir / "out" / file);
    REQUIRE(before.size() == after.size());
    for (const auto& [name, content] : before) {
      CAPTURE(file, name);
      if (name == trained) {
        ++changed;
        const torch::Tensor now = model.weight(name);
        CHECK(after.at(name) ==
              "F32" + shape_text(now.sizes().vec()) +
                  std::string(static_cast<const char*>(now.data_ptr()), now.nbytes()));
      } else {
        CHECK(after.at(name) == content);
      }
    }
  }
  CHECK(changed == 1);
  const Json index = Json::parse(test::slurp(dir / "out/model.safetensors.index.json"));
  CHECK(index.at("metadata").at("total_size") == 1 + 2 * model.weight(trained).numel());
  CHECK(index.at("weight_map") ==
        Json::parse(test::slurp(shards / "model.safetensors.index.json")).at("weight_map"));
  // In several types, so that transformers must not round the trained one.
  CHECK(config_of(dir / "out").at("torch_dtype") == "float32");
  const Model again = peft::load_model(dir / "out");
  CHECK(again.fingerprint() == model.fingerprint());
  CHECK(again.weight(trained).scalar_type() == torch::kFloat);
  CHECK(again.weight("vilt.pooler.dense.weight").scalar_type() == torch::kBFloat16);
}

TEST_CASE("a changed tensor begins where its type may begin") {
  // Five labels: the bias of the output layer has ten bytes in bfloat16.
  const test::TempDir dir;
  test::copy_rounded(kReference, dir / "one", Dtype::kBF16, false);
  Model model = peft::load_model(dir / "one");
  model.own({"vilt.pooler.dense.bias"});
  {
    const torch::NoGradGuard no_grad;
    model.weight("vilt.pooler.dense.bias").add_(1e-4);
  }
  const SafetensorsFile before(dir / "one/model.safetensors");
  REQUIRE(before.find("classifier.3.bias")->begin < before.find("vilt.pooler.dense.bias")->begin);
  peft::save_model(model, dir / "out");
  const SafetensorsFile after(dir / "out/model.safetensors");
  for (const TensorEntry& entry : after.tensors())
    CHECK(entry.begin % dtype_size(entry.dtype) == 0);
  CHECK(after.tensors().front().name == "vilt.pooler.dense.bias");
  CHECK(after.tensors()[1].name == before.tensors()[0].name);
  CHECK(peft::load_model(dir / "out").fingerprint() == model.fingerprint());
}

TEST_CASE("a fresh output layer takes the place of the file's") {
  const test::TempDir dir;
  test::copy_rounded(kReference, dir / "one", Dtype::kF16, false);
  Model model = peft::load_model(dir / "one");
  model.relabel({"a", "b", "c"}, 1);
  peft::save_model(model, dir / "out");
  const SafetensorsFile file(dir / "out/model.safetensors");
  const TensorEntry* bias = file.find("classifier.3.bias");
  REQUIRE(bias);
  CHECK(bias->dtype == Dtype::kF32);
  CHECK(bias->shape == std::vector<std::int64_t>{3});
  CHECK(peft::load_model(dir / "out").fingerprint() == model.fingerprint());
}
