// `strata merge` with the real programs, on a federated run of a ResNet with LoRA pairs.
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "catch.h"
#include "command.h"
#include "strata/core/safetensors.h"
#include "wrong_input.h"

using namespace strata;
using nlohmann::json;
using test::run_strata;
using test::succeed;
namespace fs = std::filesystem;

namespace {

const char* const kConfig = R"(version: 1
name: merged
data: {folder: images, partition: iid, clients: 2}
model:
  folder: foundation
  architecture: {type: resnet, hidden_sizes: [8, 12], depths: [1, 1], embedding_size: 4, image_size: 32}
pretrain: {data: images, epochs: 1, batch_size: 8, learning_rate: 0.003}
units: {scheme: lora, always: [head]}
run:
  strategies: [random]
  rounds: 1
  budget: 1
  local: {steps: 2, batch_size: 4, learning_rate: 0.05, class_weights: balanced, focal_gamma: 2}
)";

/// The phantoms' images by modality: images/SPLIT/MODALITY/*.png.
void make_images(const test::TempDir& dir) {
  const auto made = run_strata({"data", "make", "phantoms", "--out", "data", "--size", "32",
                                "--images", "10", "--shapes", "5"},
                               dir.path());
  INFO(made.err);
  REQUIRE(made.code == 0);
  std::ifstream in(dir / "data/manifest.jsonl");
  for (std::string line; std::getline(in, line);) {
    const json example = json::parse(line);
    const fs::path image = example["image"].get<std::string>();
    const fs::path folder =
        dir / "images" / example["split"].get<std::string>() / example["client"].get<std::string>();
    fs::create_directories(folder);
    if (!fs::exists(folder / image.filename()))
      fs::copy_file(dir / "data" / image, folder / image.filename());
  }
}

std::vector<std::vector<double>> logits(const std::string& model, const test::TempDir& dir) {
  succeed({"evaluate", model, "--data", "images", "--predictions", "lines.jsonl", "--logits",
           "--threads", "1"},
          dir);
  std::vector<std::vector<double>> all;
  std::ifstream in(dir / "lines.jsonl");
  for (std::string line; std::getline(in, line);)
    all.push_back(json::parse(line)["logits"].get<std::vector<double>>());
  REQUIRE(all.size() > 3);
  return all;
}

double largest_difference(const std::vector<std::vector<double>>& a,
                          const std::vector<std::vector<double>>& b) {
  double largest = 0;
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t k = 0; k < a[i].size(); ++k)
      largest = std::max(largest, std::abs(a[i][k] - b[i][k]));
  return largest;
}

}  // namespace

TEST_CASE("a ResNet's LoRA runs, merges and gives the same predictions") {
  const test::TempDir dir;
  make_images(dir);
  dir.write("run.yaml", kConfig);
  succeed({"pretrain", "run.yaml", "--out", "foundation", "--threads", "1"}, dir);
  succeed({"run", "run.yaml", "--out", "run", "--threads", "1", "--set",
           "model.peft={lora: {rank: 2, targets: [convolution]}}"},
          dir);
  CHECK(fs::exists(dir / "run/model/adapter_config.json"));
  const std::string table = succeed({"merge", "run/model", "--out", "merged"}, dir);
  CHECK_THAT(table, Catch::Contains("merged") && Catch::Contains("LoRA pairs"));
  CHECK_FALSE(fs::exists(dir / "merged/adapter_config.json"));
  const auto with_pairs = logits("run/model", dir), merged = logits("merged", dir);
  CHECK(largest_difference(with_pairs, merged) <= 1e-4);
  fs::remove(dir / "run/model/adapter_config.json");
  fs::remove(dir / "run/model/adapter_model.safetensors");
  CHECK(largest_difference(logits("run/model", dir), merged) > 1e-3);

  test::check_refused({"merge", "merged", "--out", "again"}, dir.path(),
                      {"merged: the model has nothing to merge"});
  test::check_refused({"merge", "merged", "--out", "merged"}, dir.path(),
                      {"--out: merged is the model itself"});
  test::check_refused({"merge", "nowhere", "--out", "again"}, dir.path(), {"nowhere/config.json"});
}

TEST_CASE(
    "pairs beside a checkpoint of segment-anything's are merged as beside transformers' SAM") {
  const test::TempDir dir;
  const fs::path recorded = fs::path(STRATA_SOURCE_DIR) / "tests/reference/sam";
  for (const char* base : {"published", "folder"}) {
    fs::create_directory(dir / base);
    for (const char* file : {"adapter_config.json", "adapter_model.safetensors"})
      fs::copy_file(recorded / "lora" / file, dir / base / file);
  }
  fs::copy_file(recorded / "windows/sam.pth", dir / "published/sam.pth");
  for (const char* file : {"config.json", "model.safetensors"})
    fs::copy_file(recorded / "windows" / file, dir / "folder" / file);
  CHECK_THAT(succeed({"merge", "published", "--out", "one"}, dir), Catch::Contains("LoRA pairs"));
  succeed({"merge", "folder", "--out", "two"}, dir);
  CHECK(fs::exists(dir / "one/config.json"));
  const SafetensorsFile one(dir / "one/model.safetensors"), two(dir / "two/model.safetensors");
  const SafetensorsFile plain(dir / "folder/model.safetensors");
  REQUIRE(one.tensors().size() == two.tensors().size());
  std::size_t changed = 0;
  for (const TensorEntry& entry : one.tensors()) {
    CAPTURE(entry.name);
    REQUIRE(two.find(entry.name));
    CHECK(one.bytes(entry) == two.bytes(*two.find(entry.name)));
    const TensorEntry* before = plain.find(entry.name);
    changed += before && one.bytes(entry) != plain.bytes(*before);
  }
  // Three blocks' fused queries and values, and those of the decoder's seven attentions.
  CHECK(changed == 3 + 2 * 7);

  fs::remove(dir / "published/adapter_config.json");
  test::check_refused({"merge", "published", "--out", "three"}, dir.path(),
                      {"published: the model has nothing to merge"});
}
