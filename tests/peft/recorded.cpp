// Adapter folders that PEFT wrote, with what it computes, by tests/reference/peft_methods.py.

#include <set>

#include "catch.h"
#include "core/document.h"
#include "models/model.h"
#include "peft/files.h"
#include "strata/core/error.h"
#include "support/peft_methods.h"
#include "support/recorded.h"
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
