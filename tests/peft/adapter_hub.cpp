#include "peft/adapter_hub.h"

#include <set>

#include "catch.h"
#include "core/document.h"
#include "models/model.h"
#include "peft/export.h"
#include "peft/files.h"
#include "peft/methods.h"
#include "strata/core/safetensors.h"
#include "support/error_text.h"
#include "support/peft_methods.h"
#include "support/tiny_model.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::models;
using namespace strata::peft;
using Catch::Matchers::Contains;

namespace fs = std::filesystem;

namespace {

/// The export of a narrow ViT with the method; gives the model.
Model export_of(const test::TempDir& dir, const std::string& method,
                const std::string& type = "vit") {
  Model model = test::make_model(test::narrow_shape(type), 4);
  save_model(model, dir / "base");
  test::add_method(model, method, 3, 0.5);
  save_model(model, dir / "tuned");
  export_changes(dir / "tuned", dir / "base", dir / "out");
  return model;
}

/// AdapterHub's files beside the base's.
fs::path put_together(const test::TempDir& dir) {
  fs::copy(dir / "base", dir / "both", fs::copy_options::recursive);
  fs::copy(dir / "out/adapterhub", dir / "both", fs::copy_options::recursive);
  return dir / "both";
}

}  // namespace

TEST_CASE("AdapterHub's folder of a bottleneck is read back as the method that it was") {
  const std::string output = "vit.encoder.layer.11.output.output_adapters.adapters.strata.";
  for (const auto& [method, form, tensors] : std::vector<std::tuple<std::string, std::string, int>>{
           {"adapters:reduction=4", "seq_bn", 48},
           {"adapters:reduction=4,placement=houlsby", "double_seq_bn", 96},
           {"adaptformer:bottleneck=3,scale=0.5", "par_bn", 48},
           {"adaptformer:bottleneck=4,scale=2", "par_bn", 48}}) {
    DYNAMIC_SECTION(method) {
      const test::TempDir dir;
      const Model model = export_of(dir, method);
      CHECK(hub_form(*methods_of(model.blueprint()).front(), model.blueprint()) == form);
      const fs::path both = put_together(dir);
      const SafetensorsFile held(both / kHubWeightsFile);
      CHECK(held.tensors().size() == static_cast<std::size_t>(tensors));
      CHECK(held.find(output + "adapter_down.0.weight"));
      CHECK(held.find(output + "adapter_up.bias"));
      CHECK(
          (held.find("vit.encoder.layer.0.attention_adapters.adapters.strata.adapter_up.weight") !=
           nullptr) == (form == "double_seq_bn"));
      Model read = load_model(both);
      CHECK(read.fingerprint() == model.fingerprint());
      const Batch batch = test::vit_images(3);
      const auto logits = model.forward(batch);
      CHECK(torch::equal(read.forward(batch), logits));
      CHECK(test::largest_difference(load_model(dir / "base").forward(batch), logits) > 1e-4);
      // Saved, it has our own files in place of theirs.
      save_model(read, both);
      CHECK_FALSE(fs::exists(both / kHubWeightsFile));
      CHECK_FALSE(fs::exists(both / kHubConfigFile));
      CHECK(load_model(both).fingerprint() == model.fingerprint());
    }
  }
}

TEST_CASE("what AdapterHub does not have gets no folder of its") {
  for (const auto& [type, method] : std::vector<std::pair<std::string, std::string>>{
           {"vilt", "adapters:reduction=4"},
           {"vit", "adaptformer:bottleneck=3,normed=true"},
           {"vit", "ssf"}}) {
    const test::TempDir dir;
    export_of(dir, method, type);
    CHECK_FALSE(fs::exists(dir / "out/adapterhub"));
    CHECK(fs::exists(dir / "out/strata_adapters.safetensors"));
  }
}

TEST_CASE("a folder of AdapterHub's that Strata does not compute is refused by key") {
  const test::TempDir dir;
  export_of(dir, "adapters:reduction=4");
  const fs::path both = put_together(dir);
  const Json good = load_json(both / kHubConfigFile).root;
  const auto refused = [&](const char* key, const Json& value, const std::string& message) {
    Json changed = good;
    changed["config"][key] = value;
    dir.write("both/adapter_config.json", changed.dump(2));
    CHECK_THAT(test::input_error([&] { load_model(both); }),
               Contains("adapter_config.json") && Contains(key) && Contains(message));
  };
  refused("non_linearity", "swish", "only \"relu\" is");
  refused("leave_out", Json{1}, "not supported");
  refused("ln_before", true, "only false is");
  refused("reduction_factor", 2.5, "it must be whole");
  refused("scaling", 4.0, "only 1 is supported");
  refused("original_ln_before", false, "of seq_bn only true");
  dir.write("both/adapter_config.json", good.dump(2));
  fs::rename(both / kHubWeightsFile, both / "pytorch_adapter.bin");
  CHECK_THAT(test::input_error([&] { load_model(both); }), Contains("use_safetensors=True"));
  test::ModelShape shape = test::narrow_shape("vilt");
  save_model(test::make_model(shape, 4), dir / "vilt");
  dir.write("vilt/adapter_config.json", good.dump(2));
  CHECK_THAT(test::input_error([&] { load_model(dir / "vilt"); }), Contains("of a ViT alone"));
}
