#include "peft/export.h"

#include <set>

#include "catch.h"
#include "core/document.h"
#include "models/model.h"
#include "models/short_weights.h"
#include "peft/files.h"
#include "peft/replaced.h"
#include "strata/core/safetensors.h"
#include "support/error_text.h"
#include "support/folder_contents.h"
#include "support/peft_methods.h"
#include "support/tiny_model.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::models;
using namespace strata::peft;
using Catch::Matchers::Contains;

namespace fs = std::filesystem;

namespace {

/// Adds to every parameter and buffer of the base for which `chosen` is true; gives their names.
template <typename Chosen>
std::set<std::string> change(Model& model, const Chosen& chosen) {
  const torch::NoGradGuard no_grad;
  std::set<std::string> changed;
  for (const Layer& layer : model.architecture().layers()) {
    for (const auto* own : {&layer.parameters, &layer.buffers}) {
      for (const Parameter& parameter : *own) {
        if (!chosen(layer, parameter)) continue;
        model.weight(parameter.name) = computable(model.weight(parameter.name)).add(1);
        changed.insert(parameter.name);
      }
    }
  }
  REQUIRE_FALSE(changed.empty());
  return changed;
}

/// base/ and, with what `chosen` says changed, tuned/; exports to out/.
template <typename Chosen>
std::set<std::string> export_from(const test::TempDir& dir, Model model, const Chosen& chosen,
                                  const std::vector<std::string>& methods = {}) {
  save_model(model, dir / "base");
  for (const std::string& method : methods) test::add_method(model, method, 3, 0.1);
  const auto changed = change(model, chosen);
  save_model(model, dir / "tuned");
  const auto files = export_changes(dir / "tuned", dir / "base", dir / "out");
  // What PEFT's folder of a method takes in needs no file of its own; tests say what is where.
  CHECK(files.size() >= std::max<std::size_t>(methods.size(), 1));
  return changed;
}

/// The exported files beside the base's are the model.
void check_read_back(const test::TempDir& dir) {
  fs::copy(dir / "base", dir / "both", fs::copy_options::recursive);
  fs::copy(dir / "out", dir / "both", fs::copy_options::recursive);
  const Model both = load_model(dir / "both"), tuned = load_model(dir / "tuned");
  CHECK(both.fingerprint() == tuned.fingerprint());
  CHECK(both.fingerprint() != load_model(dir / "base").fingerprint());
  // Saved again it is a plain model: none of the files is left.
  save_model(both, dir / "both");
  CHECK_FALSE(fs::exists(dir / "both/partial.safetensors"));
  CHECK_FALSE(fs::exists(dir / "both/partial.json"));
  CHECK(load_model(dir / "both").fingerprint() == tuned.fingerprint());
}

std::set<std::string> names_in(const fs::path& file) {
  std::set<std::string> names;
  const SafetensorsFile held(file);
  for (const TensorEntry& entry : held.tensors()) names.insert(entry.name);
  return names;
}

Json config_of(const test::TempDir& dir) {
  return load_json(dir / "out/adapter_config.json").root;
}

Model vit() {
  return test::make_model(test::narrow_shape("vit"), 4);
}

bool is_block_norm(const Layer& layer, const std::string& block) {
  return layer.name == "vit.encoder.layer." + block + ".layernorm_before";
}

}  // namespace

TEST_CASE("changed norms of a ViT are PEFT's LN_TUNING, under both of their names") {
  const test::TempDir dir;
  export_from(dir, vit(), [](const Layer& layer, const Parameter& parameter) {
    // Of the second norm β alone: the folder has all of a layer.
    return is_block_norm(layer, "1") || (is_block_norm(layer, "10") && parameter.bias);
  });
  std::set<std::string> expected;
  for (const std::string at :
       {"vit.encoder.layer.1.", "vit.layers.1.", "vit.encoder.layer.10.", "vit.layers.10."})
    for (const char* tail : {"weight", "bias"})
      expected.insert("base_model.model." + at + "layernorm_before.ln_tuning_layers." + tail);
  CHECK(names_in(dir / "out/adapter_model.safetensors") == expected);
  CHECK(config_of(dir).at("peft_type") == "LN_TUNING");
  CHECK(config_of(dir).at("modules_to_save").is_null());
  CHECK(config_of(dir).at("target_modules") ==
        Json{"layer.1.layernorm_before", "layer.10.layernorm_before", "layers.1.layernorm_before",
             "layers.10.layernorm_before"});
  CHECK_FALSE(fs::exists(dir / "out/partial.safetensors"));
  check_read_back(dir);
}

TEST_CASE("a head that was trained with the norms is one of LN_TUNING's modules to save") {
  const test::TempDir dir;
  export_from(dir, vit(), [](const Layer& layer, const Parameter&) {
    return layer.kind == LayerKind::kNorm || layer.name == "classifier";
  });
  CHECK(config_of(dir).at("modules_to_save") == Json{"classifier"});
  CHECK(config_of(dir).at("target_modules") ==
        Json{"layernorm_before", "layernorm_after", "layernorm"});
  const auto names = names_in(dir / "out/adapter_model.safetensors");
  CHECK(names.size() == 12 * 2 * 2 * 2 + 2 + 2);
  CHECK(names.count("base_model.model.classifier.bias"));
  CHECK(names.count("base_model.model.vit.layernorm.ln_tuning_layers.weight"));
  check_read_back(dir);
}

TEST_CASE("a BatchNorm's running statistics are in LN_TUNING's folder, under transformers' names") {
  const test::TempDir dir;
  export_from(dir, test::tiny_resnet(true, 2), [](const Layer& layer, const Parameter& parameter) {
    return layer.kind == LayerKind::kBatchNorm && parameter.bias;
  });
  const auto names = names_in(dir / "out/adapter_model.safetensors");
  const std::string stem = "base_model.model.resnet.embedder.embedder.normalization.";
  for (const char* tail : {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"})
    CHECK(names.count(stem + "ln_tuning_layers." + tail));
  for (const std::string& name : names)
    CHECK_THAT(name, Contains(".normalization.ln_tuning_layers."));
  check_read_back(dir);
}

TEST_CASE("what is neither norm nor head is a file of the changed tensors alone") {
  const test::TempDir dir;
  const auto changed = export_from(
      dir, vit(), [](const Layer&, const Parameter& parameter) { return parameter.bias; });
  const Model tuned = load_model(dir / "tuned");
  const SafetensorsFile partial(dir / "out/partial.safetensors");
  std::size_t renamed = 0;
  std::set<std::string> found;
  for (const TensorEntry& entry : partial.tensors()) {
    if (entry.name.find("vit.layers.") == 0) {
      ++renamed;
      continue;
    }
    found.insert(entry.name);
    const char* bytes = static_cast<const char*>(tuned.weight(entry.name).data_ptr());
    CHECK(partial.bytes(entry) == std::string_view(bytes, entry.byte_count()));
  }
  CHECK(found == changed);
  CHECK(renamed == 12 * 8);
  const Json index = load_json(dir / "out/partial.json").root;
  CHECK(index.at("base_fingerprint") == load_model(dir / "base").fingerprint());
  CHECK(index.at("parameters").size() == partial.tensors().size());
  CHECK(index.at("parameters").at("classifier.bias") == Json{2});
  CHECK_FALSE(fs::exists(dir / "out/adapter_config.json"));
  check_read_back(dir);
}

TEST_CASE("a file of changed tensors beside another foundation is refused") {
  const test::TempDir dir;
  export_from(dir, vit(), [](const Layer&, const Parameter& parameter) { return parameter.bias; });
  save_model(test::make_model(test::narrow_shape("vit"), 5), dir / "other");
  const std::string theirs = load_model(dir / "base").fingerprint(),
                    own = load_model(dir / "other").fingerprint();
  fs::copy(dir / "out", dir / "other", fs::copy_options::recursive);
  CHECK(test::input_error([&] { load_model(dir / "other"); }) ==
        (dir / "other/partial.json").string() +
            ": base_fingerprint: partial.safetensors was exported from the foundation \"" + theirs +
            "\", but the weights beside it are of another, \"" + own + "\"");
  // Other programs write no partial.json.
  fs::remove(dir / "other/partial.json");
  CHECK_NOTHROW(load_model(dir / "other"));
}

TEST_CASE("a head by itself is no LN_TUNING, and a later export leaves nothing of an earlier one") {
  const test::TempDir dir;
  export_from(dir, vit(), [](const Layer& layer, const Parameter&) { return is_norm(layer); });
  CHECK(fs::exists(dir / "out/adapter_config.json"));
  export_from(dir, vit(),
              [](const Layer& layer, const Parameter&) { return layer.name == "classifier"; });
  const auto contents = test::folder_contents(dir / "out");
  CHECK(contents.size() == 2);
  CHECK(contents.count("partial.json") + contents.count("partial.safetensors") == 2);
  check_read_back(dir);
}

TEST_CASE("methods are exported in their own files, what they leave room for beside them") {
  const auto norms = [](const Layer& layer, const Parameter&) {
    return layer.kind == LayerKind::kNorm;
  };
  SECTION("PEFT's files are the method's") {
    const test::TempDir dir;
    export_from(dir, vit(), norms, {"lora:rank=2"});
    CHECK(config_of(dir).at("peft_type") == "LORA");
    CHECK(names_in(dir / "out/partial.safetensors").size() == 12 * 4 * 2 + 2);
    check_read_back(dir);
  }
  SECTION("PEFT's files are free") {
    const test::TempDir dir;
    export_from(dir, vit(), norms, {"adapters:reduction=4"});
    CHECK(config_of(dir).at("peft_type") == "LN_TUNING");
    CHECK(fs::exists(dir / "out/strata_adapters.safetensors"));
    check_read_back(dir);
  }
  SECTION("nothing of the base has changed") {
    const test::TempDir dir;
    Model model = vit();
    save_model(model, dir / "base");
    test::add_method(model, "lora:rank=2", 3, 0.1);
    save_model(model, dir / "tuned");
    const auto files = export_changes(dir / "tuned", dir / "base", dir / "out");
    REQUIRE(files.size() == 1);
    CHECK(files.front().format == "PEFT's LORA");
    CHECK(files.front().numbers == 12 * 2 * 2 * 2 * 8);
    CHECK_FALSE(fs::exists(dir / "out/partial.safetensors"));
  }
}

TEST_CASE("a head and biases that were trained with LoRA are in PEFT's folder of the pairs") {
  const test::TempDir dir;
  const std::string all = "base_model.model.", old = all + "vit.encoder.layer.3.attention.",
                    renamed = all + "vit.layers.3.attention.";
  const auto file = [&] { return names_in(dir / "out/adapter_model.safetensors"); };
  SECTION("every bias") {
    export_from(dir, vit(),
                [](const Layer& layer, const Parameter& parameter) {
                  return parameter.bias || layer.name == "classifier";
                },
                {"lora:rank=2"});
    CHECK(config_of(dir).at("bias") == "all");
    CHECK(config_of(dir).at("modules_to_save") == Json{"vit.layernorm", "classifier"});
    const auto names = file();
    for (const std::string& name :
         {old + "attention.query.base_layer.bias", renamed + "q_proj.base_layer.bias",
          old + "attention.key.bias", renamed + "k_proj.bias",
          old + "attention.query.lora_A.weight", renamed + "q_proj.lora_A.weight",
          all + "classifier.weight", all + "classifier.bias", all + "vit.layernorm.weight",
          all + "vit.embeddings.patch_embeddings.projection.bias"}) {
      CAPTURE(name);
      CHECK(names.count(name) == 1);
    }
    CHECK(names.count(old + "attention.key.weight") == 0);
    CHECK(names.count(all + "classifier.modules_to_save.weight") == 0);
  }
  SECTION("biases of targets") {
    export_from(dir, vit(),
                [](const Layer& layer, const Parameter& parameter) {
                  return parameter.bias &&
                         layer.name.ends_with("layer.3.attention.attention.query");
                },
                {"lora:rank=2"});
    CHECK(config_of(dir).at("bias") == "lora_only");
    CHECK(config_of(dir).at("modules_to_save").is_null());
    // Two factors and a bias, of two targets in twelve blocks, under two names.
    CHECK(file().size() == 12 * 2 * 2 * 3);
    CHECK(file().count(old + "attention.key.bias") == 0);
  }
  SECTION("the head alone, whose method has no biases") {
    export_from(dir, vit(),
                [](const Layer& layer, const Parameter&) { return layer.name == "classifier"; },
                {"ia3"});
    CHECK(config_of(dir).at("peft_type") == "IA3");
    CHECK(config_of(dir).at("modules_to_save") == Json{"classifier"});
  }
  CHECK_FALSE(fs::exists(dir / "out/partial.safetensors"));
  check_read_back(dir);
}

TEST_CASE("what PEFT's folder of a method cannot say stands beside it") {
  const test::TempDir dir;
  const auto head = [](const Layer& layer, const Parameter&) { return layer.name == "classifier"; };
  const auto held = [&] { return names_in(dir / "out/partial.safetensors"); };
  const std::set<std::string> classifier = {"classifier.bias", "classifier.weight"};
  SECTION("biases beside IA3") {
    const auto changed = export_from(
        dir, vit(), [](const Layer&, const Parameter& parameter) { return parameter.bias; },
        {"ia3"});
    CHECK(held().size() == changed.size() + 12 * 8);
  }
  SECTION("of two methods") {
    export_from(dir, vit(), head, {"lora:rank=2", "ia3"});
    CHECK(held() == classifier);
  }
  SECTION("a head that the pairs change") {
    const fs::path reference = fs::path(STRATA_SOURCE_DIR) / "tests/reference";
    fs::copy(reference / "vit", dir / "with", fs::copy_options::recursive);
    fs::copy(reference / "peft_methods/5.24.0/vit_lora_all_linear", dir / "with",
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    export_from(dir, load_model(dir / "with"), head);
    CHECK(held() == classifier);
  }
  SECTION("a folder of timm's") {
    fs::copy(fs::path(STRATA_SOURCE_DIR) / "tests/reference/image_encoders/timm", dir / "base");
    export_from(dir, load_model(dir / "base"), head, {"lora:rank=2"});
    CHECK(held() == std::set<std::string>{"head.bias", "head.weight"});
  }
  if (fs::exists(dir / "out/adapter_config.json"))
    CHECK(config_of(dir).at("modules_to_save").is_null());
}

TEST_CASE("of timm's folders a changed part is written with the tensor that it is in") {
  const test::TempDir dir;
  fs::copy(fs::path(STRATA_SOURCE_DIR) / "tests/reference/image_encoders/timm", dir / "base");
  const Model model = load_model(dir / "base");
  std::set<std::string> expected = {"blocks.0.norm1.bias", "blocks.0.norm1.weight"};
  SECTION("norms alone") {
    export_from(dir, model,
                [](const Layer& layer, const Parameter&) { return is_block_norm(layer, "0"); });
  }
  SECTION("a norm and keys") {
    export_from(dir, model, [](const Layer& layer, const Parameter&) {
      return is_block_norm(layer, "0") || layer.name.ends_with("layer.1.attention.attention.key");
    });
    expected.insert({"blocks.1.attn.qkv.bias", "blocks.1.attn.qkv.weight"});
  }
  CHECK(names_in(dir / "out/partial.safetensors") == expected);
  check_read_back(dir);
}

TEST_CASE("a head for other answers is a change, another base is not") {
  const test::TempDir dir;
  Model model = vit();
  save_model(model, dir / "base");
  model.relabel({"a", "b", "c"}, 5);
  save_model(model, dir / "tuned");
  const auto files = export_changes(dir / "tuned", dir / "base", dir / "out");
  REQUIRE(files.size() == 1);
  CHECK(files.front().tensors == 2);
  CHECK(names_in(dir / "out/partial.safetensors") ==
        std::set<std::string>{"classifier.bias", "classifier.weight"});

  // Of an encoder the head is one that it did not have.
  test::ModelShape shape = test::narrow_shape("vit");
  shape.labels = {};
  save_model(test::make_model(shape, 4), dir / "encoder");
  CHECK(export_changes(dir / "tuned", dir / "encoder", dir / "out").front().tensors == 2);

  const auto refused = [&](const fs::path& tuned, const fs::path& base) {
    return test::input_error([&] { export_changes(tuned, base, dir / "no"); });
  };
  CHECK_THAT(refused(dir / "base", dir / "base"), Contains("there is nothing to export"));
  save_model(test::tiny_resnet(true, 2), dir / "resnet");
  CHECK_THAT(refused(dir / "tuned", dir / "resnet"),
             Contains("it has no weight \"vit.embeddings.cls_token\""));
  shape = test::narrow_shape("vit");
  shape.intermediate_size = 24;
  save_model(test::make_model(shape, 4), dir / "wide");
  CHECK_THAT(refused(dir / "tuned", dir / "wide"), Contains("has another shape"));
  shape = test::narrow_shape("vit");
  shape.num_hidden_layers = 13;
  save_model(test::make_model(shape, 4), dir / "deep");
  CHECK_THAT(refused(dir / "tuned", dir / "deep"),
             Contains("it has a weight \"vit.encoder.layer.12.") && Contains("besides"));
  CHECK_FALSE(fs::exists(dir / "no"));
}
