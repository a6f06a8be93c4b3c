#include <cstring>
#include <set>

#include "catch.h"
#include "models/architectures/architectures.h"
#include "models/architectures/timm_vit.h"
#include "models/checkpoint.h"
#include "models/model.h"
#include "peft/files.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/core/safetensors.h"
#include "support/captured_gradients.h"
#include "support/peft_methods.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::models;
using Catch::Matchers::Contains;
using torch::Tensor;

namespace {

const std::filesystem::path kReference =
    std::filesystem::path(STRATA_SOURCE_DIR) / "tests" / "reference" / "image_encoders";
const std::vector<std::string> kLabels = {"basophil", "eosinophil", "lymphocyte"};

Tensor recorded(const std::string& name, const std::string& kind) {
  const SafetensorsFile file(kReference / kind / "recorded.safetensors");
  const TensorEntry* entry = file.find(name);
  REQUIRE(entry);
  Tensor tensor = torch::empty(entry->shape, torch::kFloat);
  std::memcpy(tensor.data_ptr(), file.bytes(*entry).data(), file.bytes(*entry).size());
  return tensor;
}

Batch batch_of(const Tensor& pixels) {
  Batch batch;
  batch.pixels = pixels;
  batch.labels = torch::zeros({pixels.size(0)}, torch::kInt64);
  return batch;
}

double difference_from_recorded(const Model& model, const std::string& kind) {
  return test::largest_difference(model.forward(batch_of(recorded("pixels", kind))),
                                  recorded("logits", kind));
}

/// A folder with a file's tensors under other names, and another config.json. No name: left out.
void write_folder(const std::filesystem::path& to, const std::string& kind, const Json& config,
                  const std::function<std::string(const std::string&)>& name) {
  std::filesystem::create_directories(to);
  const SafetensorsFile file(kReference / kind / "model.safetensors");
  std::vector<TensorView> views;
  for (const TensorEntry& entry : file.tensors()) {
    const std::string found = name(entry.name);
    if (!found.empty()) views.push_back({found, entry.dtype, entry.shape, file.bytes(entry)});
  }
  write_safetensors(to / "model.safetensors", views);
  write_file(to / "config.json", config.dump());
}

/// The gradients that were recorded, in a model of which they are the weights.
Model gradients_in_file(const std::string& kind, const std::filesystem::path& folder) {
  const std::string prefix = "gradient.";
  std::filesystem::create_directories(folder);
  const SafetensorsFile file(kReference / kind / "recorded.safetensors");
  std::vector<TensorView> views;
  for (const TensorEntry& entry : file.tensors())
    if (entry.name.starts_with(prefix))
      views.push_back(
          {entry.name.substr(prefix.size()), entry.dtype, entry.shape, file.bytes(entry)});
  write_safetensors(folder / "model.safetensors", views);
  std::filesystem::copy_file(kReference / kind / "config.json", folder / "config.json");
  return peft::load_model(folder);
}

std::string same(const std::string& name) {
  return name;
}

Json config_of(const std::string& kind) {
  return load_json(kReference / kind / "config.json").root;
}

std::shared_ptr<const Architecture> read(const Json& config) {
  const test::TempDir dir;
  return read_architecture(dir.write("config.json", config.dump()));
}

/// The names of tensors whose bytes are others in two files of the same names in the same order.
std::set<std::string> changed_tensors(const std::filesystem::path& one,
                                      const std::filesystem::path& other) {
  const SafetensorsFile before(one / "model.safetensors"), after(other / "model.safetensors");
  REQUIRE(before.tensors().size() == after.tensors().size());
  std::set<std::string> changed;
  for (std::size_t i = 0; i < before.tensors().size(); ++i) {
    const TensorEntry &a = before.tensors()[i], &b = after.tensors()[i];
    CHECK(a.name == b.name);
    CHECK(a.shape == b.shape);
    if (before.bytes(a) != after.bytes(b)) changed.insert(a.name);
  }
  return changed;
}

}  // namespace

TEST_CASE("a ViT of timm has timm's logits") {
  const Model model = peft::load_model(kReference / "timm");
  CHECK(model.architecture().type() == "vit");
  CHECK(model.architecture().labels() == kLabels);
  CHECK(difference_from_recorded(model, "timm") < 1e-5);
}

TEST_CASE("timm's ViTs have the parameters and sizes that timm counts") {
  const Json networks = load_json(kReference / "names.json").root.at("networks");
  CHECK(networks.size() == vit_timm_names().size());
  for (const std::string& name : vit_timm_names()) {
    INFO(name);
    const auto architecture = read({{"architecture", name}, {"num_classes", 3}});
    const Json config = architecture->config();
    CHECK(Blueprint(architecture).parameter_count() == networks.at(name).at("parameters"));
    CHECK(Json({config.at("hidden_size"), config.at("num_hidden_layers"),
                config.at("num_attention_heads"), config.at("patch_size"),
                config.at("image_size")}) == networks.at(name).at("sizes"));
    const bool clip = name.find("_clip_") != std::string::npos;
    CHECK(config.at("layer_norm_eps") == (clip ? 1e-5 : 1e-6));
    CHECK(config.at("hidden_act") == networks.at(name).value("activation", "gelu"));
  }
  CHECK(networks.at("vit_base_patch16_clip_224").at("parameters") == 85801731);
}

TEST_CASE("a CLIP tower of timm has timm's logits and gradients") {
  const test::TempDir dir;
  Model model = peft::load_model(kReference / "timm_clip");
  CHECK(model.architecture().type() == "vit");
  CHECK(model.architecture().labels() == kLabels);
  CHECK(difference_from_recorded(model, "timm_clip") < 1e-5);

  const Model gradients = gradients_in_file("timm_clip", dir / "gradients");
  Batch batch = batch_of(recorded("pixels", "timm_clip"));
  test::in_double(model, batch);
  for (auto& [name, weight] : model.weights()) weight.set_requires_grad(true);
  test::loss_of(model, batch, torch::tensor({0, 2, 1, 2})).backward();
  for (const auto& [name, weight] : model.weights()) {
    CAPTURE(name);
    REQUIRE(weight.grad().defined());
    CHECK(test::largest_difference(weight.grad().to(torch::kFloat), gradients.weight(name)) < 1e-5);
  }
}

TEST_CASE("a folder of timm's CLIP tower stays one of timm") {
  const test::TempDir dir;
  Model model = peft::load_model(kReference / "timm_clip");
  CHECK(model.units().front().name == "embeddings");
  peft::save_model(model, dir / "same");
  CHECK(changed_tensors(kReference / "timm_clip", dir / "same").empty());
  CHECK(load_json(dir / "same/config.json").root == config_of("timm_clip"));

  const torch::NoGradGuard no_grad;
  model.own({"vit.norm_pre.weight", "classifier.bias"});
  model.weight("vit.norm_pre.weight").add_(1);
  model.weight("classifier.bias").add_(1);
  peft::save_model(model, dir / "saved");
  CHECK(changed_tensors(kReference / "timm_clip", dir / "saved") ==
        std::set<std::string>{"norm_pre.weight", "head.bias"});
  const Model again = peft::load_model(dir / "saved");
  CHECK(again.fingerprint() == model.fingerprint());
}

TEST_CASE("a CLIP tower of timm takes every method that a ViT takes, and files have it once") {
  const test::TempDir dir;
  const Batch batch = batch_of(recorded("pixels", "timm_clip"));
  for (const std::string& method : test::transformer_methods()) {
    INFO(method);
    Model model = peft::load_model(kReference / "timm_clip");
    test::add_method(model, method);
    const Tensor logits = model.forward(batch);
    CHECK(test::largest_difference(logits, recorded("logits", "timm_clip")) > 1e-4);
    std::filesystem::remove_all(dir / "saved");
    peft::save_model(model, dir / "saved");
    CHECK(test::largest_difference(peft::load_model(dir / "saved").forward(batch), logits) < 1e-6);
    if (method != "lora:rank=2,targets=query+fc2") continue;
    // Two pairs a block, under one of a ViT's names: no model of transformers has the other.
    CHECK(SafetensorsFile(dir / "saved/adapter_model.safetensors").tensors().size() == 2 * 2 * 2);
  }
}

TEST_CASE("what is captured of timm's CLIP tower gives autograd's gradients") {
  for (const std::string method :
       {"", "lora:rank=2,targets=query+fc2+projection", "prompts:length=2"}) {
    INFO(method);
    Model model = peft::load_model(kReference / "timm_clip");
    if (!method.empty()) test::add_method(model, method);
    test::check_captured_gradients(model, batch_of(recorded("pixels", "timm_clip")),
                                   torch::tensor({0, 2, 1, 2}));
  }
}

TEST_CASE("a folder of timm's ViT stays one of timm, queries, keys and values in one tensor") {
  const test::TempDir dir;
  Model model = peft::load_model(kReference / "timm");
  peft::save_model(model, dir / "same");
  CHECK(changed_tensors(kReference / "timm", dir / "same").empty());
  CHECK(load_json(dir / "same/config.json").root == config_of("timm"));

  const torch::NoGradGuard no_grad;
  const std::string block = "vit.encoder.layer.1.attention.attention.";
  model.own({block + "key.weight", block + "value.bias"});
  model.weight(block + "key.weight").add_(1);
  model.weight(block + "value.bias").add_(1);
  peft::save_model(model, dir / "saved");
  CHECK(changed_tensors(kReference / "timm", dir / "saved") ==
        std::set<std::string>{"blocks.1.attn.qkv.weight", "blocks.1.attn.qkv.bias"});
  const SafetensorsFile before(kReference / "timm/model.safetensors"),
      after(dir / "saved/model.safetensors");
  const auto rows = [](const SafetensorsFile& file, std::size_t part) {
    const std::string_view all = file.bytes(*file.find("blocks.1.attn.qkv.weight"));
    return all.substr(part * all.size() / 3, all.size() / 3);
  };
  CHECK(rows(after, 0) == rows(before, 0));
  CHECK(rows(after, 1) != rows(before, 1));
  CHECK(rows(after, 2) == rows(before, 2));
  const Model again = peft::load_model(dir / "saved");
  CHECK(again.fingerprint() == model.fingerprint());
  const Batch batch = batch_of(recorded("pixels", "timm"));
  CHECK(again.forward(batch).equal(model.forward(batch)));
}

TEST_CASE("what timm's ViT lacks, or has in another shape, is named") {
  const test::TempDir dir;
  const auto load = [&](const std::function<std::string(const std::string&)>& name) {
    write_folder(dir / "vit", "timm", config_of("timm"), name);
    return peft::load_model(dir / "vit");
  };
  const std::string qkv = "blocks.0.attn.qkv.weight";
  CHECK_THROWS_WITH(load([&](const std::string& name) { return name == qkv ? "" : name; }),
                    Contains("query.weight\" is missing"));
  CHECK_THROWS_WITH(
      load(
          [&](const std::string& name) { return name == qkv ? "blocks.0.attn.qvk.weight" : name; }),
      Contains("unknown weight \"blocks.0.attn.qvk.weight\"") && Contains("\"" + qkv + "\""));
  CHECK_THROWS_WITH(load([&](const std::string& name) {
                      return name == qkv                           ? "blocks.0.attn.proj.weight"
                             : name == "blocks.0.attn.proj.weight" ? qkv
                                                                   : name;
                    }),
                    Contains("\"" + qkv + "\" has shape (16, 16)") && Contains("(48, 16)"));
  Json bare = config_of("timm");
  bare["model_args"]["embed_dim"] = 8;
  write_folder(dir / "vit", "timm", bare, same);
  CHECK_THROWS_WITH(peft::load_model(dir / "vit"), Contains("config.json asks for"));
}

TEST_CASE("timm's config.json of a ViT says what network it is") {
  Json config = config_of("timm");
  const auto refused = [&](const std::string& key, const Json& value, const std::string& message) {
    Json changed = config;
    changed["model_args"][key] = value;
    CHECK_THROWS_WITH(read(changed), Contains("model_args." + key) && Contains(message));
  };
  refused("class_token", false, "unknown key");
  refused("pre_norm", true, "unknown key");
  refused("global_pool", "avg", "\"token\"");
  refused("img_size", {16, 24}, "the size of a square");
  refused("img_size", 20, "not a multiple of patch_size");
  refused("embed_dim", 18, "not a multiple of num_heads");
  refused("num_classes", 2, "3");
  config["model_args"]["img_size"] = 24;
  CHECK(read(config)->config().at("image_size") == 24);
  config["model_args"].erase("img_size");
  CHECK(read(config)->config().at("image_size") == 16);  // pretrained_cfg's
  config["pretrained_cfg"]["fixed_input_size"] = false;
  CHECK(read(config)->config().at("image_size") == 224);  // the network's
  config["architecture"] = "vit_base_patch16_siglip_224";
  CHECK_THROWS_WITH(read(config), Contains("architecture") && Contains("is not one of") &&
                                      Contains("\"vit_base_patch16_clip_224\""));
  config["architecture"] = "vit_base_patch16_clip_224";
  CHECK(read(config)->config().at("hidden_act") == "gelu");
  config["global_pool"] = "avg";
  CHECK_THROWS_WITH(read(config), Contains("global_pool"));
}

TEST_CASE("timm's config.json says how a ViT's images are processed") {
  const data::ImageProcessor images = read_base_blueprint(kReference / "timm").image_processor();
  CHECK(images.resize == data::ImageProcessor::Resize::kShortestEdge);
  CHECK(images.shortest_edge == 17);  // 16 / 0.9, rounded down
  CHECK(images.crop == data::ImageSize{16, 16});
  CHECK(images.filter == data::Filter::kBicubic);
  CHECK(images.mean == std::array<double, 3>{0.5, 0.5, 0.5});
}

TEST_CASE("an encoder of timm without classes gets a head under timm's name") {
  const test::TempDir dir;
  Json config = config_of("timm");
  config["num_classes"] = config["model_args"]["num_classes"] = 0;
  config.erase("label_names");
  write_folder(dir / "mae", "timm", config,
               [](const std::string& name) { return name.starts_with("head.") ? "" : name; });
  Model model = peft::load_model(dir / "mae");
  CHECK(model.architecture().labels().empty());
  CHECK(model.forward(batch_of(recorded("pixels", "timm"))).sizes() == at::IntArrayRef{4, 16});
  model.relabel({"no", "yes"}, 1);
  peft::save_model(model, dir / "saved");
  CHECK(SafetensorsFile(dir / "saved/model.safetensors").find("head.weight"));
  CHECK(load_json(dir / "saved/config.json").root.at("num_classes") == 2);
  CHECK(peft::load_model(dir / "saved").fingerprint() == model.fingerprint());
}

TEST_CASE("ViTMAE is a ViT without a head, the rows behind whose last norm are transformers'") {
  const test::TempDir dir;
  Model model = peft::load_model(kReference / "vit_mae");
  CHECK(model.architecture().labels().empty());
  CHECK(difference_from_recorded(model, "vit_mae") < 1e-5);
  const Tensor norm = model.weight("vit.layernorm.weight").clone();
  model.relabel(kLabels, 3);
  CHECK(model.weight("vit.layernorm.weight").equal(norm));
  CHECK(model.forward(batch_of(recorded("pixels", "vit_mae"))).sizes() == at::IntArrayRef{4, 3});
  peft::save_model(model, dir / "vit");
  const Json config = load_json(dir / "vit/config.json").root;
  CHECK(config.at("model_type") == "vit");
  CHECK(config.at("architectures") == Json({"ViTForImageClassification"}));
  const SafetensorsFile saved(dir / "vit/model.safetensors");
  CHECK(saved.tensors().size() == peft::load_model(dir / "vit").blueprint().parameters().size());
  CHECK(peft::load_model(dir / "vit").fingerprint() == model.fingerprint());
}

TEST_CASE("an encoder may be called without what stands before its names, and have a pooler") {
  const test::TempDir dir;
  Json config = config_of("vit_mae");
  const auto bare = [](const std::string& name) {
    if (name == "decoder.mask_token") return std::string("pooler.dense.weight");
    return name.starts_with("vit.") ? name.substr(4) : "";
  };
  for (const std::string type : {"vit", "vit_mae"}) {
    INFO(type);
    config["model_type"] = type;
    config["architectures"] = {type == "vit" ? "ViTModel" : "ViTMAEModel"};
    write_folder(dir / type, "vit_mae", config, bare);
    CHECK(difference_from_recorded(peft::load_model(dir / type), "vit_mae") < 1e-5);
    peft::save_model(peft::load_model(dir / type), dir / "again");
    CHECK(load_json(dir / "again/config.json").root.at("architectures") == Json({"ViTModel"}));
    CHECK(difference_from_recorded(peft::load_model(dir / "again"), "vit_mae") < 1e-5);
  }
  config["model_type"] = "vit";
  config["architectures"] = {"ViTForImageClassification"};
  write_folder(dir / "labelled", "vit_mae", config, bare);
  CHECK_THROWS_WITH(peft::load_model(dir / "labelled"), Contains("id2label"));
}

TEST_CASE("CLIP's logits are transformers', and what is saved is its folder") {
  const test::TempDir dir;
  Model model = peft::load_model(kReference / "clip");
  CHECK(model.architecture().labels() == kLabels);
  CHECK(difference_from_recorded(model, "clip") < 1e-5);
  peft::save_model(model, dir / "same");
  CHECK(changed_tensors(kReference / "clip", dir / "same").empty());
  const Json config = load_json(dir / "same/config.json").root, theirs = config_of("clip");
  CHECK(config.at("text_config") == theirs.at("text_config"));
  CHECK(config.at("vision_config").at("hidden_act") == "quick_gelu");
  for (const auto& [key, value] : config.at("vision_config").items())
    CHECK(theirs.at("vision_config").at(key) == value);
  // Nothing is computed with the norm of the class token.
  const auto& units = model.units();
  CHECK(units.back().parameters ==
        std::vector<std::string>{"classifier.weight", "classifier.bias"});
  CHECK(units[1].name == "block.0");
}

TEST_CASE("CLIP's image encoder is read alone, or beside the text's, and gets a head") {
  const test::TempDir dir;
  const Json own = config_of("clip");
  const Tensor pixels = recorded("pixels", "clip");
  const Tensor features = [&] {
    Json config = own;
    config["architectures"] = {"CLIPModel"};
    write_folder(dir / "whole", "clip", config, [](const std::string& name) {
      if (name == "classifier.weight") return std::string("visual_projection.weight");
      return name == "classifier.bias" ? "text_model.final_layer_norm.bias" : name;
    });
    const Model model = peft::load_model(dir / "whole");
    CHECK(model.architecture().labels().empty());
    return model.forward(batch_of(pixels));
  }();
  CHECK(features.sizes() == at::IntArrayRef{4, 16});
  Json vision = own.at("vision_config");
  vision["architectures"] = {"CLIPVisionModel"};
  for (const bool bare : {false, true}) {
    INFO(bare);
    write_folder(dir / "vision", "clip", vision, [&](const std::string& name) {
      if (name.starts_with("classifier")) return std::string();
      return bare ? name.substr(std::string("vision_model.").size()) : name;
    });
    Model model = peft::load_model(dir / "vision");
    CHECK(model.forward(batch_of(pixels)).equal(features));
    peft::save_model(model, dir / "encoder");
    CHECK(peft::load_model(dir / "encoder").fingerprint() == model.fingerprint());
    model.relabel(kLabels, 3);
    peft::save_model(model, dir / "saved");
    CHECK(load_json(dir / "saved/config.json").root.at("model_type") == "clip");
    const Model again = peft::load_model(dir / "saved");
    CHECK(again.fingerprint() == model.fingerprint());
    CHECK(again.architecture().labels() == kLabels);
  }
}

TEST_CASE(
    "CLIP takes every method that a ViT takes, and gives the logits again that it was saved with") {
  const test::TempDir dir;
  const Batch batch = batch_of(recorded("pixels", "clip"));
  for (std::string method : test::transformer_methods()) {
    for (const std::string name : {"query", "key", "value"})
      if (const auto at = method.find(name); at != std::string::npos)
        method.replace(at, name.size(), name.substr(0, 1) + "_proj");
    if (const auto at = method.find("projection"); at != std::string::npos)
      method.replace(at, method.size(), "patch_embedding");
    if (method == "ia3") method = "ia3:targets=k_proj+v_proj+fc2,feedforward=fc2";
    INFO(method);
    Model model = peft::load_model(kReference / "clip");
    test::add_method(model, method);
    const Tensor logits = model.forward(batch);
    CHECK(test::largest_difference(logits, recorded("logits", "clip")) > 1e-4);
    std::filesystem::remove_all(dir / "saved");
    peft::save_model(model, dir / "saved");
    CHECK(test::largest_difference(peft::load_model(dir / "saved").forward(batch), logits) < 1e-6);
  }
}

TEST_CASE("what is captured of CLIP gives autograd's gradients") {
  for (const std::string method :
       {"", "lora:rank=2,targets=q_proj+fc2", "prompts:length=2", "adapters:reduction=4"}) {
    INFO(method);
    Model model = peft::load_model(kReference / "clip");
    if (!method.empty()) test::add_method(model, method);
    test::check_captured_gradients(model, batch_of(recorded("pixels", "clip")),
                                   torch::tensor({0, 2, 1, 2}));
  }
}
