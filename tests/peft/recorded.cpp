// Adapter folders that PEFT wrote, with what it computes, by tests/reference/peft_methods.py and
// peft_architectures.py.

#include <cstdlib>
#include <map>
#include <set>

#include "catch.h"
#include "core/document.h"
#include "models/model.h"
#include "peft/export.h"
#include "peft/files.h"
#include "peft/merge.h"
#include "strata/core/error.h"
#include "support/peft_methods.h"
#include "support/recorded.h"
#include "support/speaking.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::models;
using torch::Tensor;

namespace fs = std::filesystem;

namespace {

const fs::path kReference = fs::path(STRATA_SOURCE_DIR) / "tests" / "reference";

/// The base of an adapter's folder "vit_ia3" with the adapter.
void put_together(const fs::path& adapter, const fs::path& folder) {
  const bool vit = adapter.filename().string().compare(0, 4, "vit_") == 0;
  const fs::path base = vit ? kReference / "vit" : kReference / "resnet" / "bottleneck";
  fs::create_directories(folder);
  for (const char* file : {"config.json", "model.safetensors"})
    fs::copy_file(base / file, folder / file);
  for (const char* file : {"adapter_config.json", "adapter_model.safetensors"})
    fs::copy_file(adapter / file, folder / file);
}

std::vector<fs::path> adapters() {
  std::vector<fs::path> found;
  for (const auto& version : fs::directory_iterator(kReference / "peft_methods"))
    if (version.is_directory())
      for (const auto& adapter : fs::directory_iterator(version.path()))
        found.push_back(adapter.path());
  std::sort(found.begin(), found.end());
  return found;
}

/// Logits and gradients are the recorded ones; gives how many weights were held.
std::size_t check_recorded(Model& model, const fs::path& adapter) {
  const test::Recorded recorded(adapter / "recorded.safetensors");
  Batch batch;
  batch.pixels = recorded("pixels");
  batch.labels = recorded("labels");
  std::vector<std::string> names, filed;
  std::vector<Tensor> leaves;
  const auto hold = [&](const std::string& parameter, const std::string& name) {
    if (!recorded.has("gradient:" + name)) return;
    names.push_back(parameter);
    filed.push_back("gradient:" + name);
    leaves.push_back(model.weight(parameter).detach().requires_grad_(true));
    model.weight(parameter) = leaves.back();
  };
  for (const auto& method : peft::methods_of(model.blueprint())) {
    for (const Layer& layer : model.blueprint().layers()) {
      if (layer.method != method->name() || layer.frozen) continue;
      for (const Parameter& parameter : layer.parameters)
        for (const std::string& name : method->file_names(layer, parameter))
          hold(parameter.name, name);
    }
  }
  // Of the base, by the name that PEFT's wrappers give.
  for (const Layer& layer : model.architecture().layers()) {
    for (const Parameter& parameter : layer.parameters) {
      const std::string tail = parameter.name.substr(layer.name.size());
      for (const std::string& name : {layer.name, layer.renamed})
        for (const char* wrapper : {"", ".base_layer", ".ln_tuning_layers"})
          if (!name.empty()) hold(parameter.name, "base_model.model." + name + wrapper + tail);
    }
  }
  const Tensor logits = model.forward(batch);
  CHECK(test::largest_difference(logits, recorded("logits")) <= 1e-4);
  const auto gradients =
      torch::autograd::grad({torch::cross_entropy_loss(logits, batch.labels)}, leaves);
  for (std::size_t i = 0; i < names.size(); ++i) {
    INFO(names[i]);
    const Tensor expected = recorded(filed[i]);
    REQUIRE(gradients[i].sizes() == expected.sizes());
    CHECK(test::largest_difference(gradients[i], expected) <=
          1e-4 * std::max(1.0, expected.abs().max().item<double>()));
  }
  std::size_t all = 0;
  for (const TensorEntry& entry : recorded.tensors())
    if (entry.name.compare(0, 9, "gradient:") == 0) ++all;
  CHECK(names.size() == all);
  return names.size();
}

}  // namespace

TEST_CASE("PEFT's folders of every type are read, and give its logits and gradients") {
  std::set<std::string> types;
  for (const fs::path& adapter : adapters())
    types.insert(load_json(adapter / "adapter_config.json").root.at("peft_type"));
  CHECK(types == std::set<std::string>{"IA3", "LN_TUNING", "LOHA", "LOKR", "LORA", "OFT", "VERA"});

  for (const fs::path& adapter : adapters()) {
    DYNAMIC_SECTION(adapter.parent_path().filename().string() + " " + adapter.filename().string()) {
      const test::TempDir folder;
      put_together(adapter, folder / "model");
      Model model = peft::load_model(folder / "model");
      REQUIRE(check_recorded(model, adapter) > 0);

      // What is written back is read as the same, whatever names it chooses layers by.
      peft::save_model(model, folder / "again");
      Model again = peft::load_model(folder / "again");
      check_recorded(again, adapter);
      peft::save_model(again, folder / "third");
      if (peft::methods_of(model.blueprint()).empty()) continue;
      CHECK(test::slurp(folder / "third" / "adapter_config.json") ==
            test::slurp(folder / "again" / "adapter_config.json"));
      CHECK(test::slurp(folder / "third" / "adapter_model.safetensors") ==
            test::slurp(folder / "again" / "adapter_model.safetensors"));
    }
  }
}

TEST_CASE("methods with what PEFT's files alone can say are merged, too") {
  const std::set<std::string> names = {
      "resnet_loha_tucker", "resnet_lokr_tucker", "resnet_oft",          "vit_lokr_both",
      "vit_lokr_bounded",   "vit_oft_blocks",     "vit_oft_constrained", "vit_oft_shared"};
  std::size_t folders = 0;
  for (const fs::path& adapter : adapters()) {
    const std::string name = adapter.filename().string();
    if (!names.count(name)) continue;
    CAPTURE(adapter.string());
    const test::TempDir folder;
    put_together(adapter, folder / "model");
    const test::Recorded recorded(adapter / "recorded.safetensors");
    Batch batch;
    batch.pixels = recorded("pixels");
    batch.labels = recorded("labels");
    const Model plain = peft::merged(peft::load_model(folder / "model"), name);
    CHECK(plain.blueprint().attachments().empty());
    CHECK(test::largest_difference(plain.forward(batch), recorded("logits")) <= 1e-4);
    ++folders;
  }
  CHECK(folders == 2 * names.size());
}

TEST_CASE("what PEFT's folder of VeRA leaves out is drawn as PEFT draws it, to the bit") {
  for (const std::string version : {"4.57.1", "5.24.0"}) {
    CAPTURE(version);
    const fs::path adapter = kReference / "peft_methods" / version / "vit_vera";
    const test::TempDir folder;
    put_together(adapter, folder / "model");
    const SafetensorsFile whole(adapter / "adapter_model.safetensors");
    std::vector<TensorView> vectors;
    for (const TensorEntry& entry : whole.tensors()) {
      if (entry.name != "base_model.vera_A" && entry.name != "base_model.vera_B")
        vectors.push_back({entry.name, entry.dtype, entry.shape, whole.bytes(entry)});
    }
    REQUIRE(vectors.size() + 2 == whole.tensors().size());
    write_safetensors(folder / "model/adapter_model.safetensors", vectors);
    Json config = load_json(adapter / "adapter_config.json").root;
    config["save_projection"] = false;
    folder.write("model/adapter_config.json", config.dump());
    Model model = peft::load_model(folder / "model");
    const test::Recorded recorded(adapter / "adapter_model.safetensors");
    for (const std::string name : {"vera_A", "vera_B"})
      CHECK(torch::equal(model.weight(name), recorded("base_model." + name)));
    check_recorded(model, adapter);

    // What is written holds them, and tells of whom they are.
    peft::save_model(model, folder / "again");
    const Json again = load_json(folder / "again/adapter_config.json").root;
    CHECK(again.at("save_projection") == true);
    CHECK(again.at("projection_prng_key") == 0);
    CHECK(peft::load_model(folder / "again").fingerprint() == model.fingerprint());

    config["projection_prng_key"] = 7;
    folder.write("model/adapter_config.json", config.dump());
    model = peft::load_model(folder / "model");
    CHECK_FALSE(torch::equal(model.weight("vera_A"), recorded("base_model.vera_A")));
    peft::save_model(model, folder / "other");
    CHECK(load_json(folder / "other/adapter_config.json").root.at("projection_prng_key") == 7);
  }
}

namespace {

const std::set<std::string> kClassifiers = {"clip", "vilt"};

fs::path base_of(const std::string& model) {
  if (model == "vilt") return kReference / "vilt";
  if (model == "clip") return kReference / "image_encoders" / "clip";
  return test::kSpeaking / model;
}

void copy_files(const fs::path& from, const fs::path& to, std::vector<std::string> files) {
  fs::create_directories(to);
  for (const std::string& file : files)
    fs::copy_file(from / file, to / file, fs::copy_options::overwrite_existing);
}

/// What is recorded of a model: a classifier's logits, or those that predict answers' tokens.
Tensor recorded_case(const Model& model, const std::string& name) {
  if (!kClassifiers.count(name)) {
    const Batch batch = test::batch_of(test::recorded_speaking(name), "right", name);
    return model.run(batch).values.at(kTokenLogits);
  }
  const test::Recorded recorded(base_of(name) / "recorded.safetensors");
  Batch batch;
  batch.pixels = recorded("pixels");
  if (recorded.has("input_ids")) {
    batch.input_ids = recorded("input_ids");
    batch.attention_mask = recorded("attention_mask");
  }
  return model.forward(batch);
}

/// One name for what transformers 4 and 5 call a weight of a model that speaks, and files of bases.
std::string canonical(std::string name) {
  const auto replace = [&](const std::string& old, const std::string& with) {
    const std::size_t at = name.find(old);
    if (at != std::string::npos) name.replace(at, old.size(), with);
  };
  for (const std::string part : {"language_model.", "vision_tower.", "multi_modal_projector."})
    replace(".model.model." + part, ".model." + part);
  replace(".language_model.model.", ".language_model.");
  replace(".vision_tower.vision_model.", ".vision_tower.");
  // The norm in ViLT's head, which PEFT was told to save as a whole.
  replace(".classifier.1.ln_tuning_layers.", ".classifier.1.");
  return name;
}

/// Shapes by such names, of the tensors that a method has of its own, or of all.
std::map<std::string, Shape> shapes_in(const fs::path& file, bool all) {
  std::map<std::string, Shape> found;
  const SafetensorsFile held(file);
  for (const TensorEntry& entry : held.tensors()) {
    bool own = all;
    for (const char* part :
         {".lora_", ".ia3_", ".vera_", "vera_A", "vera_B", ".hada_", ".lokr_", ".oft_"})
      own = own || test::contains(entry.name, part);
    if (own) found[canonical(entry.name)] = entry.shape;
  }
  return found;
}

/// Writes the folder again as Strata does, where PEFT loads it from.
void write_again(const Model& model, const std::string& name, const fs::path& folder,
                 bool has_method) {
  peft::save_model(model, folder);
  if (has_method) return;
  const test::TempDir out;
  const auto written = peft::export_changes(folder, base_of(name), out.path());
  REQUIRE(written.size() == 1);
  CHECK(written.front().format == "PEFT's LN_TUNING");
  copy_files(base_of(name), folder, {"config.json", "model.safetensors"});
  copy_files(out.path(), folder, {"adapter_config.json", "adapter_model.safetensors"});
}

/// What chooses layers is there under the names of every transformers, and is no number.
void check_names(const std::string& model, const Json& theirs, const Json& ours) {
  for (const std::string target : ours.at("target_modules"))
    CHECK(target.find_first_not_of("0123456789") != std::string::npos);
  if (!theirs.contains("rank_pattern") || theirs.at("rank_pattern").empty()) return;
  for (const char* key : {"rank_pattern", "alpha_pattern"}) {
    std::set<std::string> names;
    for (const auto& [name, value] : ours.at(key).items()) names.insert(name);
    CAPTURE(key);
    CHECK_FALSE(names.empty());
    if (model != "llava" && model != "paligemma") continue;
    for (const std::string& name : names) {
      if (!name.starts_with("language_model.model.")) continue;
      CHECK(names.count("model.language_model." +
                        name.substr(sizeof("language_model.model.") - 1)) == 1);
    }
  }
}

/// Reads a folder of PEFT's beside its base, holds what it computes, writes it again, and holds
/// that against the folder.
void check_folder(const fs::path& adapter, const fs::path& again) {
  const std::string name = adapter.parent_path().filename().string();
  const test::TempDir folder;
  copy_files(base_of(name), folder.path(), {"config.json", "model.safetensors"});
  copy_files(adapter, folder.path(), {"adapter_config.json", "adapter_model.safetensors"});
  const Model model = peft::load_model(folder.path());
  const Tensor expected = test::Recorded(adapter / "logits.safetensors")("logits");
  CHECK(test::largest_difference(recorded_case(model, name), expected) < 1e-4);
  const bool has_method = !peft::methods_of(model.blueprint()).empty();
  write_again(model, name, again, has_method);
  CHECK(test::largest_difference(recorded_case(peft::load_model(again), name), expected) < 1e-4);
  CHECK(shapes_in(again / "adapter_model.safetensors", !has_method) ==
        shapes_in(adapter / "adapter_model.safetensors", !has_method));
  const Json theirs = load_json(adapter / "adapter_config.json").root,
             ours = load_json(again / "adapter_config.json").root;
  for (const auto& [key, value] : ours.items()) {
    CAPTURE(key);
    CHECK(theirs.contains(key));
  }
  CHECK(ours.at("peft_type") == theirs.at("peft_type"));
  check_names(name, theirs, ours);
}

}  // namespace

TEST_CASE(
    "PEFT's folders of every architecture give its logits, and are written as PEFT has them") {
  // Where the folders are to stay, for tests/reference/peft_architectures.py --load.
  const char* kept = std::getenv("STRATA_WRITE_PEFT");
  int folders = 0;
  for (const std::string version : {"4.57.1", "5.24.0"}) {
    for (const char* name :
         {"clip", "vilt", "llava", "paligemma", "smolvlm", "blip2_opt", "blip2_t5"}) {
      for (const auto& adapter :
           fs::directory_iterator(kReference / "peft_architectures" / version / name)) {
        const std::string method = adapter.path().filename().string();
        CAPTURE(version, name, method);
        const test::TempDir again;
        check_folder(adapter.path(),
                     kept ? fs::path(kept) / version / name / method : again.path() / "model");
        ++folders;
      }
    }
  }
  CHECK(folders == 2 * 7 * 9);
}

TEST_CASE("a model of two methods of PEFT's has a folder for the second") {
  const test::TempDir folder;
  Model model = test::make_model(test::narrow_shape("vit"), 4);
  const auto method = [](const std::string& text) { return peft::parse_method(text, "--peft"); };
  peft::add_methods(model, {method("ia3"), method("lora:rank=2"), method("ssf")}, 5);
  peft::save_model(model, folder.path());
  const auto there = [&](const char* file) { return fs::exists(folder.path() / file); };
  CHECK(there("adapter_config.json"));
  CHECK(there("ia3/adapter_config.json"));
  CHECK(there("ia3/adapter_model.safetensors"));
  CHECK(there("strata_adapters.json"));
  const Model loaded = peft::load_model(folder.path());
  CHECK(loaded.fingerprint() == model.fingerprint());
  CHECK(peft::methods_of(loaded.blueprint()).size() == 3);

  // A later model without them leaves nothing of them.
  peft::save_model(test::make_model(test::narrow_shape("vit"), 4), folder.path());
  for (const char* file : {"adapter_config.json", "ia3", "strata_adapters.json",
                           "strata_adapters.safetensors", "adapter_model.safetensors"})
    CHECK_FALSE(there(file));
}
