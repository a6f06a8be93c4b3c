#include "peft/fused_lora.h"

#include "catch.h"
#include "core/document.h"
#include "models/model.h"
#include "peft/export.h"
#include "peft/files.h"
#include "strata/core/atomic_file.h"
#include "strata/core/safetensors.h"
#include "support/error_text.h"
#include "support/peft_methods.h"
#include "support/recorded.h"
#include "support/tiny_sam.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::models;
using namespace strata::peft;
using Catch::Matchers::Contains;
using strata::test::masks;
using torch::Tensor;
namespace fs = std::filesystem;

namespace {

const std::string kFirst = "vision_encoder.layers.0.attn.", kPrefix = "base_model.model.";

/// base/, and tuned/ with a method; out/ is the export, both/ the export beside the base.
struct Exported {
  test::TempDir dir;
  Model model = test::tiny_sam({"kidney"}, 3, 2);

  explicit Exported(const std::string& method) {
    save_model(model, dir / "base");
    test::add_method(model, method, 3, 0.2);
    save_model(model, dir / "tuned");
    export_changes(dir / "tuned", dir / "base", dir / "out");
    fs::copy(dir / "base", dir / "both", fs::copy_options::recursive);
    fs::copy(dir / "out", dir / "both", fs::copy_options::recursive);
  }
  Json config() const { return load_json(dir / "out/adapter_config.json").root; }
};

/// PEFT's files of one pair of rank 2 beside block 0's attention, with this B.
void write_peft(const test::TempDir& dir, const Tensor& down, const Tensor& up,
                const std::string& further = "") {
  const Model model = test::tiny_sam({"kidney"}, 3, 2);
  save_model(model, dir / "peft");
  const auto bytes = [](const Tensor& tensor) {
    return std::string_view(static_cast<const char*>(tensor.data_ptr()), tensor.nbytes());
  };
  const std::string at = kPrefix + kFirst + "qkv.lora_";
  write_safetensors(dir / "peft/adapter_model.safetensors",
                    {{at + "A.weight", Dtype::kF32, down.sizes().vec(), bytes(down)},
                     {at + "B.weight", Dtype::kF32, up.sizes().vec(), bytes(up)}});
  write_file(dir / "peft/adapter_config.json",
             R"({"peft_type": "LORA", "r": 2, "lora_alpha": 3, "bias": "none", "target_modules": [)"
             "\"layers.0.attn.qkv\"]" +
                 further + "}");
}

/// The base with scale · B A added to its queries, keys and values.
Tensor masks_with(const Tensor& change) {
  Model model = test::tiny_sam({"kidney"}, 3, 2);
  const torch::NoGradGuard no_grad;
  std::int64_t row = 0;
  for (const char* part : {"query", "key", "value"}) {
    model.weight(kFirst + part + ".weight").add_(change.narrow(0, row, 16));
    row += 16;
  }
  return masks(model);
}

}  // namespace

TEST_CASE("pairs of queries and values are one pair beside PEFT's fused layer, and come back") {
  const Exported exported("lora:rank=3,alpha=6,targets=query+value+q_proj+v_proj");
  const Json config = exported.config();
  CHECK(config["r"] == 3);
  CHECK(config["target_modules"] ==
        Json({kFirst + "qkv", "vision_encoder.layers.1.attn.qkv", "self_attn.q_proj",
              "self_attn.v_proj", "cross_attn_token_to_image.q_proj",
              "cross_attn_token_to_image.v_proj", "cross_attn_image_to_token.q_proj",
              "cross_attn_image_to_token.v_proj", "final_attn_token_to_image.q_proj",
              "final_attn_token_to_image.v_proj"}));
  CHECK(config["rank_pattern"] ==
        Json({{kFirst + "qkv", 6}, {"vision_encoder.layers.1.attn.qkv", 6}}));
  CHECK(config["alpha_pattern"] ==
        Json({{kFirst + "qkv", 12.0}, {"vision_encoder.layers.1.attn.qkv", 12.0}}));

  const SafetensorsFile file(exported.dir / "out/adapter_model.safetensors");
  CHECK(file.tensors().size() == 2 * (2 + 14));
  CHECK(file.find(kPrefix + kFirst + "qkv.lora_A.weight")->shape == Shape{6, 16});
  CHECK(file.find(kPrefix + kFirst + "qkv.lora_B.weight")->shape == Shape{48, 6});
  CHECK_FALSE(file.find(kPrefix + kFirst + "query.lora_A.weight"));
  CHECK(file.find(kPrefix + "mask_decoder.transformer.layers.1.self_attn.v_proj.lora_B.weight"));

  const Model back = load_model(exported.dir / "both");
  CHECK(back.fingerprint() == exported.model.fingerprint());
  CHECK(torch::equal(masks(back), masks(exported.model)));
  CHECK(back.weight(kFirst + "value.lora_B.weight").sizes() == torch::IntArrayRef({16, 3}));
  // Saved again it is as of a run.
  save_model(back, exported.dir / "both");
  CHECK(load_model(exported.dir / "both").fingerprint() == exported.model.fingerprint());
}

TEST_CASE("parts with ranks and weights of their own share a pair of one weight") {
  const Exported exported("lora:rank=2,alpha=4,targets=query+key+value,rank_stabilized=true");
  CHECK(exported.config()["alpha_pattern"][kFirst + "qkv"].get<double>() ==
        Approx(4 / std::sqrt(2.0) * std::sqrt(6.0)));
  CHECK(torch::equal(masks(load_model(exported.dir / "both")), masks(exported.model)));

  const test::TempDir dir;
  Model model = test::tiny_sam({"kidney"}, 3, 2);
  save_model(model, dir / "base");
  LoraFields fields;
  fields.rank = 2, fields.alpha = 2, fields.targets = {"query", "value"};
  fields.rank_pattern = {{"value", 4}};
  fields.alpha_pattern = {{"value", 12}};
  add_methods(model, {make_lora(fields)}, 1);
  torch::manual_seed(9);
  const torch::NoGradGuard no_grad;
  for (const Layer& layer : model.blueprint().layers())
    if (!layer.method.empty())
      model.weight(layer.weight()->name).copy_(torch::randn(layer.weight()->shape) * 0.2);
  save_model(model, dir / "tuned");
  export_changes(dir / "tuned", dir / "base", dir / "out");
  const Json config = load_json(dir / "out/adapter_config.json").root;
  CHECK(config["rank_pattern"][kFirst + "qkv"] == 6);
  CHECK(config["alpha_pattern"][kFirst + "qkv"] == 6.0);  // the queries' weight is 1
  fs::copy(dir / "base", dir / "both", fs::copy_options::recursive);
  fs::copy(dir / "out", dir / "both", fs::copy_options::recursive);
  CHECK(torch::allclose(masks(load_model(dir / "both")), masks(model), 1e-4, 1e-5));
}

TEST_CASE("any pair of PEFT's beside a fused layer is read, also one that is no pair of parts") {
  const test::TempDir dir;
  torch::manual_seed(5);
  const Tensor down = torch::randn({2, 16}), dense = torch::randn({48, 2});
  write_peft(dir, down, dense);
  const Model model = load_model(dir / "peft");
  CHECK(torch::allclose(masks(model), masks_with(1.5 * dense.mm(down)), 1e-4, 1e-5));
  CHECK(model.blueprint().has(kFirst + "key.lora_A.weight"));

  // Values alone: they have all ranks.
  Tensor values = dense.clone();
  values.narrow(0, 0, 32).zero_();
  write_peft(dir, down, values);
  const Model of_values = load_model(dir / "peft");
  CHECK(torch::allclose(masks(of_values), masks_with(1.5 * values.mm(down)), 1e-4, 1e-5));
  CHECK_FALSE(of_values.blueprint().has(kFirst + "query.lora_A.weight"));
  CHECK(of_values.weight(kFirst + "value.lora_A.weight").size(0) == 2);

  // A fresh pair, of which nothing can be told.
  write_peft(dir, down, torch::zeros({48, 2}));
  CHECK(torch::equal(masks(load_model(dir / "peft")), masks_with(torch::zeros({48, 16}))));
}

TEST_CASE("PEFT's own adapter of a SamModel gives PEFT's masks") {
  // tests/reference/sam_lora.py
  const fs::path recorded = fs::path(STRATA_SOURCE_DIR) / "tests/reference/sam";
  const test::TempDir dir;
  fs::copy(recorded / "windows", dir / "model", fs::copy_options::recursive);
  fs::remove(dir / "model/sam.pth");
  for (const char* file : {"adapter_config.json", "adapter_model.safetensors"})
    fs::copy_file(recorded / "lora" / file, dir / "model" / file);
  const test::Recorded base(recorded / "windows/recorded.safetensors");
  const Tensor expected = test::Recorded(recorded / "lora/recorded.safetensors")("masks");
  Batch batch;
  batch.pixels = base("pixels");
  const Model model = load_model(dir / "model");
  CHECK(model.weight("vision_encoder.layers.1.attn.key.lora_A.weight").size(0) == 4);
  const torch::NoGradGuard no_grad;
  const Tensor found = model.run(batch).values.at(kMaskLogits);
  CHECK(found.sizes() == expected.sizes());
  CHECK((found - expected).abs().max().item<double>() < 1e-4);
  CHECK((expected - base("masks")).abs().max().item<double>() > 1e-2);
}

TEST_CASE("pairs beside fused layers that cannot be read or written are refused") {
  const test::TempDir dir;
  const Tensor down = torch::randn({2, 16}), up = torch::randn({48, 2});
  const auto refused = [&] { return test::input_error([&] { load_model(dir / "peft"); }); };
  write_peft(dir, down, up, R"(, "use_dora": true)");
  CHECK_THAT(refused(), Contains("adapter_config.json: use_dora: DoRA beside \"") &&
                            Contains("is not supported"));
  write_peft(dir, down, up, R"(, "lora_bias": true)");
  CHECK_THAT(refused(), Contains("adapter_config.json: lora_bias: a pair's bias beside \"") &&
                            Contains("is not supported"));
  write_peft(dir, down, torch::randn({32, 2}));
  CHECK_THAT(refused(), Contains("qkv.lora_B.weight\" is missing, or has not the shape (48, 2)"));
  write_peft(dir, torch::randn({2, 8}), up);
  CHECK_THAT(refused(), Contains("qkv.lora_A.weight"));

  save_model(test::tiny_sam({"kidney"}, 3, 2), dir / "base");
  const auto not_exported = [&](const std::string& flag) {
    Model model = test::tiny_sam({"kidney"}, 3, 2);
    test::add_method(model, "lora:rank=2,alpha=2,targets=query," + flag, 3, 0.2);
    save_model(model, dir / "tuned");
    return test::input_error([&] { export_changes(dir / "tuned", dir / "base", dir / "out"); });
  };
  const std::string place =
      " beside \"vision_encoder.layers.0.attn.qkv\", which PEFT has as one layer";
  CHECK_THAT(not_exported("dora=true"), Contains("--out: DoRA" + place));
  CHECK_THAT(not_exported("bias=true"), Contains("--out: a pair's bias" + place));
}
