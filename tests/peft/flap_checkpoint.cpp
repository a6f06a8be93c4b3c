#include "peft/flap_checkpoint.h"

#include <set>

#include "catch.h"
#include "core/torch_file.h"
#include "models/architectures/published_checkpoints.h"
#include "models/model.h"
#include "peft/files.h"
#include "support/error_text.h"
#include "support/peft_methods.h"
#include "support/tiny_model.h"
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

const char* const kFlapLora = "lora:rank=3,alpha=6,targets=query+value+q_proj+v_proj";

/// What a folder with nothing but the model's configuration and this checkpoint makes.
Model read_back(const test::TempDir& dir, const Model& model) {
  Model plain = model;
  plain.set_attachments({}, 1);
  save_model(plain, dir / "back");
  fs::remove(dir / "back/model.safetensors");
  fs::copy_file(dir / "flap.pth", dir / "back/flap.pth", fs::copy_options::overwrite_existing);
  return load_model(dir / "back");
}

}  // namespace

TEST_CASE("a SAM with classes and LoRA is FLAP-SAM's checkpoint, which makes the same masks") {
  const test::TempDir dir;
  Model model = test::tiny_sam({"kidney", "tumor"});
  const Tensor before = masks(model);
  test::add_method(model, kFlapLora, 3, 0.2);
  const Tensor expected = masks(model);
  CHECK((expected - before).abs().max().item<double>() > 1e-3);
  const ExportedFile file = write_flap_checkpoint(model, dir / "flap.pth");
  CHECK(file.file == "flap.pth");

  const TorchFile found(dir / "flap.pth");
  CHECK(file.tensors == static_cast<std::int64_t>(found.tensors().size()));
  // As its state_dict() has them (tests/reference/flap_checkpoint.py loads them strictly).
  const auto shape = [&](const std::string& name) {
    CAPTURE(name);
    REQUIRE(found.find(name));
    return found.find(name)->shape;
  };
  CHECK(shape("image_encoder.blocks.1.attn.qkv.weight") == Shape{48, 16});
  CHECK(shape("image_encoder.blocks.1.attn.lora_w_a_q.0.weight") == Shape{3, 16});
  CHECK(shape("image_encoder.blocks.1.attn.lora_w_b_v.0.weight") == Shape{16, 3});
  const std::string layers = "mask_decoder.transformer.layers.0.";
  CHECK(shape(layers + "self_attn.lora_w_a_v.0.weight") == Shape{3, 32});
  CHECK(shape(layers + "cross_attn_token_to_image.lora_w_b_q.0.weight") == Shape{16, 3});
  CHECK(shape("mask_decoder.transformer.final_attn_token_to_image.lora_w_b_v.0.weight") ==
        Shape{16, 3});
  CHECK(shape("mask_decoder.output_upscaling.6.weight") == Shape{4, 2, 2, 2});
  CHECK(shape("mask_decoder.mask_tokens.weight") == Shape{3, 32});
  std::size_t factors = 0;
  for (const TensorEntry& entry : found.tensors())
    factors += entry.name.find("lora_w_") != std::string::npos;
  CHECK(factors == 4 * (2 + 7));
  // alpha / rank is 2, and theirs weigh 1.
  CHECK(torch::allclose(tensors_of(found).at("image_encoder.blocks.1.attn.lora_w_b_q.0.weight"),
                        2 * model.weight("vision_encoder.layers.1.attn.query.lora_B.weight")));
  CHECK(torch::allclose(masks(read_back(dir, model)), expected, 1e-4, 1e-5));
}

TEST_CASE("pairs that a model lacks, and ranks, are zeros in FLAP-SAM's checkpoint") {
  const test::TempDir dir;
  Model model = test::tiny_sam({"brain"});
  test::add_method(model, "lora:rank=2,alpha=2,targets=query+v_proj", 3, 0.2);
  write_flap_checkpoint(model, dir / "flap.pth");
  const TorchFile found(dir / "flap.pth");
  const auto tensors = tensors_of(found);
  const Tensor absent = tensors.at("image_encoder.blocks.0.attn.lora_w_a_v.0.weight");
  CHECK(absent.sizes() == torch::IntArrayRef({2, 16}));
  CHECK_FALSE(absent.any().item<bool>());
  CHECK(tensors.at("image_encoder.blocks.0.attn.lora_w_a_q.0.weight").any().item<bool>());
  CHECK(torch::allclose(masks(read_back(dir, model)), masks(model), 1e-4, 1e-5));

  Model plain = test::tiny_sam({"brain"});
  write_flap_checkpoint(plain, dir / "flap.pth");
  const TorchFile without(dir / "flap.pth");
  for (const TensorEntry& entry : without.tensors())
    CHECK(entry.name.find("lora") == std::string::npos);
  CHECK(torch::equal(masks(read_back(dir, plain)), masks(plain)));
}

TEST_CASE("what FLAP-SAM's program has no place for is refused, and nothing is written") {
  const test::TempDir dir;
  const auto refused = [&](const std::string& method) {
    Model model = test::tiny_sam({"brain"});
    test::add_method(model, method, 3, 0.2);
    return test::input_error([&] { write_flap_checkpoint(model, dir / "flap.pth"); });
  };
  CHECK_THAT(refused("lora:rank=2,alpha=2,targets=key"),
             Contains("beside queries and values alone, not beside \"vision_encoder.layers.0"));
  CHECK_THAT(refused("lora:rank=2,alpha=2,targets=query,dora=true"), Contains("no DoRA"));
  CHECK_THAT(refused("lora:rank=2,alpha=2,targets=query,bias=true"),
             Contains("no biases of LoRA pairs"));
  CHECK_THAT(refused("adapters:reduction=2"), Contains("LoRA alone; strata merge"));
  const Model vilt = test::make_model(test::narrow_shape(), 1);
  CHECK_THAT(test::input_error([&] { write_flap_checkpoint(vilt, dir / "flap.pth"); }),
             Contains("it is of a SAM, and the model is of the type \"vilt\""));
  CHECK_FALSE(fs::exists(dir / "flap.pth"));
}
