// `strata export` with the real programs: what federated runs have changed of a ViT and a ResNet.
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "catch.h"
#include "command.h"
#include "strata/core/safetensors.h"
#include "wrong_input.h"

using namespace strata;
using nlohmann::json;
using test::succeed;
namespace fs = std::filesystem;

namespace {

std::string config(const std::string& architecture) {
  return R"(version: 1
name: exported
task: image_classification
data: {folder: images, partition: iid, clients: 2}
model:
  folder: foundation
  architecture: )" +
         architecture + R"(
pretrain: {data: images, epochs: 1, batch_size: 8, learning_rate: 0.003}
units: {scheme: norm, buffers: average}
run:
  strategies: [random]
  rounds: 2
  budget: 2
  local: {steps: 2, batch_size: 4, learning_rate: 0.05}
)";
}

const char* const kVit =
    "{type: vit, hidden_size: 8, layers: 3, heads: 2, intermediate_size: 16, image_size: 32, "
    "patch_size: 16}";
const char* const kResnet =
    "{type: resnet, hidden_sizes: [8, 12], depths: [1, 1], embedding_size: 4, image_size: 32}";

/// A folder with a foundation and two images a split and modality.
class Workshop {
 public:
  explicit Workshop(const std::string& architecture) {
    make_images();
    dir.write("run.yaml", config(architecture));
    succeed({"pretrain", "run.yaml", "--out", "foundation", "--threads", "1"}, dir);
  }

  void run(const std::string& out, const std::string& scheme) {
    succeed({"run", "run.yaml", "--out", out, "--threads", "1", "--set", "units.scheme=" + scheme},
            dir);
  }

  json export_changes(const std::string& run, const std::string& out) {
    return json::parse(
        succeed({"export", run + "/model", "--base", "foundation", "--out", out, "--json"}, dir));
  }

  /// The exported files beside the foundation's, and what each model answers.
  void check_answers(const std::string& run, const std::string& out) {
    fs::copy(dir / "foundation", dir / (out + "-both"), fs::copy_options::recursive);
    fs::copy(dir / out, dir / (out + "-both"), fs::copy_options::recursive);
    const std::string expected = answers(run + "/model");
    CHECK(answers(out + "-both") == expected);
    CHECK(answers("foundation") != expected);
  }

  /// The names of the tensors that are not the same bytes in both models.
  std::set<std::string> changed(const std::string& run) const {
    const SafetensorsFile before(dir / "foundation/model.safetensors");
    const SafetensorsFile after(dir / (run + "/model/model.safetensors"));
    std::set<std::string> names;
    for (const TensorEntry& entry : after.tensors()) {
      if (after.bytes(entry) != before.bytes(*before.find(entry.name))) names.insert(entry.name);
    }
    REQUIRE_FALSE(names.empty());
    return names;
  }

  test::TempDir dir;

 private:
  std::string answers(const std::string& model) {
    succeed({"evaluate", model, "--data", "images", "--predictions", "lines.jsonl", "--logits",
             "--threads", "1"},
            dir);
    return test::slurp(dir / "lines.jsonl");
  }

  void make_images() {
    succeed({"data", "make", "phantoms", "--out", "data", "--size", "32", "--images", "10",
             "--shapes", "5"},
            dir);
    std::ifstream in(dir / "data/manifest.jsonl");
    for (std::string line; std::getline(in, line);) {
      const json example = json::parse(line);
      const fs::path image = example["image"].get<std::string>();
      const fs::path folder = dir / "images" / example["split"].get<std::string>() /
                              example["client"].get<std::string>();
      fs::create_directories(folder);
      if (!fs::exists(folder / image.filename()))
        fs::copy_file(dir / "data" / image, folder / image.filename());
    }
  }
};

/// PEFT's and a renamed ViT's names of the run's tensors; each has the bytes of the run's.
std::set<std::string> base_names(const fs::path& file, const fs::path& model) {
  const SafetensorsFile exported(file), run(model);
  std::set<std::string> names;
  for (const TensorEntry& entry : exported.tensors()) {
    std::string name = entry.name;
    const auto replace = [&](const std::string& what, const std::string& by) {
      const std::size_t at = name.find(what);
      if (at != std::string::npos) name.replace(at, what.size(), by);
    };
    replace("base_model.model.", "");
    replace(".ln_tuning_layers", "");
    if (!run.find(name)) {
      replace("vit.layers.", "vit.encoder.layer.");
      replace("attention.q_proj", "attention.attention.query");
      replace("attention.k_proj", "attention.attention.key");
      replace("attention.v_proj", "attention.attention.value");
      replace("attention.o_proj", "attention.output.dense");
      replace("mlp.fc1", "intermediate.dense");
      replace("mlp.fc2", "output.dense");
    }
    INFO(entry.name << " " << name);
    REQUIRE(run.find(name));
    CHECK(exported.bytes(entry) == run.bytes(*run.find(name)));
    names.insert(name);
  }
  return names;
}

}  // namespace

TEST_CASE("what runs train of a ViT is exported, and beside the foundation gives their answers") {
  Workshop workshop(kVit);
  workshop.run("norms", "norm+only");
  json said = workshop.export_changes("norms", "norms-out");
  REQUIRE(said.at("files").size() == 1);
  CHECK(said.at("files")[0].at("format") == "PEFT's LN_TUNING");
  const fs::path norms = workshop.dir / "norms-out/adapter_model.safetensors";
  CHECK(base_names(norms, workshop.dir / "norms/model/model.safetensors") ==
        workshop.changed("norms"));
  workshop.check_answers("norms", "norms-out");

  workshop.run("biases", "bias+only");
  said = workshop.export_changes("biases", "biases-out");
  REQUIRE(said.at("files").size() == 1);
  CHECK(said.at("files")[0].at("format") == "partial");
  const fs::path biases = workshop.dir / "biases-out/partial.safetensors";
  const auto changed = workshop.changed("biases");
  CHECK(base_names(biases, workshop.dir / "biases/model/model.safetensors") == changed);
  CHECK(said.at("files")[0].at("tensors") == changed.size());
  workshop.check_answers("biases", "biases-out");

  const std::string table =
      succeed({"export", "norms/model", "--base", "foundation", "--out", "again"}, workshop.dir);
  CHECK_THAT(table, Catch::Contains("again/adapter_model.safetensors") &&
                        Catch::Contains("PEFT's LN_TUNING"));
  const fs::path folder = workshop.dir.path();
  test::check_refused({"export", "foundation", "--base", "foundation", "--out", "no"}, folder,
                      {"foundation: no weight differs", "nothing to export"});
  for (const char* out : {"norms/model", "foundation/"})
    test::check_refused({"export", "norms/model", "--base", "foundation", "--out", out}, folder,
                        {"--out: ", "is a model"});
  test::check_refused({"export", "norms/model", "--base", "nowhere", "--out", "no"}, folder,
                      {"nowhere/config.json"});
  test::check_refused({"export", "norms/model", "--out", "no"}, folder, {"--base"});
}

TEST_CASE("BatchNorms that a run has trained are exported with their running statistics") {
  Workshop workshop(kResnet);
  workshop.run("norms", "norm+only");
  const json said = workshop.export_changes("norms", "out");
  REQUIRE(said.at("files").size() == 1);
  CHECK(said.at("files")[0].at("format") == "PEFT's LN_TUNING");
  const auto names = base_names(workshop.dir / "out/adapter_model.safetensors",
                                workshop.dir / "norms/model/model.safetensors");
  // All of each layer that has changed, and no other.
  std::set<std::string> layers, changed;
  const auto layer_of = [](const std::string& name) { return name.substr(0, name.rfind('.')); };
  for (const std::string& name : names) layers.insert(layer_of(name));
  for (const std::string& name : workshop.changed("norms")) {
    CHECK(names.count(name) == 1);
    changed.insert(layer_of(name));
  }
  CHECK(layers == changed);
  workshop.check_answers("norms", "out");
}

TEST_CASE("files of methods beside another foundation, and ranks above its matrices, are refused") {
  Workshop workshop(kVit);
  const fs::path folder = workshop.dir.path();
  const auto run = [](const std::string& out, const std::string& rank) {
    return std::vector<std::string>{"run",       "run.yaml",
                                    "--out",     out,
                                    "--threads", "1",
                                    "--set",     "units.scheme=lora",
                                    "--set",     "model.peft={lora: {rank: " + rank + "}}"};
  };
  const auto evaluate = [](const std::string& model) {
    return std::vector<std::string>{"evaluate", model, "--data", "images", "--threads", "1"};
  };
  test::check_refused(run("no", "9"), folder,
                      {"run.yaml: model.peft: lora_rank: found 9, but a whole number from 1 to 8"});

  succeed(run("pairs", "2"), workshop.dir);
  std::string wide = kVit;
  wide.replace(wide.find("hidden_size: 8"), 14, "hidden_size: 12");
  succeed({"pretrain", "run.yaml", "--out", "wide", "--threads", "1", "--set",
           "model.architecture=" + wide},
          workshop.dir);
  for (const char* file : {"adapter_config.json", "adapter_model.safetensors"})
    fs::copy_file(folder / "pairs/model" / file, folder / "wide" / file);
  test::check_refused(evaluate("wide"), folder,
                      {"wide/adapter_model.safetensors: the weight ",
                       "query.lora_A.weight\" has shape (2, 8)", "asks for (2, 12)"});

  // Of the same shapes: what is written there says which foundation it is of.
  workshop.run("biases", "bias+only");
  workshop.export_changes("biases", "changes");
  fs::copy(folder / "biases/model", folder / "other", fs::copy_options::recursive);
  fs::copy(folder / "changes", folder / "other", fs::copy_options::recursive);
  for (const auto& arguments : {evaluate("other"), std::vector<std::string>{"inspect", "other"}})
    test::check_refused(arguments, folder,
                        {"other/partial.json: base_fingerprint: ", "exported from the foundation"});
}
