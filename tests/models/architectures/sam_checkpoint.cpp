#include "models/architectures/sam_checkpoint.h"

#include <map>

#include "catch.h"
#include "core/torch_file.h"
#include "models/architectures/published_checkpoints.h"
#include "models/architectures/sam.h"
#include "models/model.h"
#include "models/pass.h"
#include "peft/files.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "strata/core/safetensors.h"
#include "support/recorded.h"
#include "support/speaking.h"
#include "support/tiny_sam.h"
#include "support/torch_zip.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::models;
using Catch::Matchers::Contains;
using torch::Tensor;

namespace {

// A segment-anything of these sizes wrote it (tests/reference/sam.py).
const std::filesystem::path kWindows =
    std::filesystem::path(STRATA_SOURCE_DIR) / "tests" / "reference" / "sam" / "windows";

using Tensors = std::map<std::string, Tensor>;

Tensors published() {
  const TorchFile file(kWindows / "sam.pth");
  Tensors tensors;
  for (const auto& [name, tensor] : tensors_of(file)) tensors[name] = tensor.clone();
  return tensors;
}

/// A file of torch.save's.
void write(const std::filesystem::path& path, const Tensors& tensors,
           const std::string& start = "") {
  std::vector<TensorView> views;
  for (const auto& [name, tensor] : tensors) {
    REQUIRE(tensor.is_contiguous());
    views.push_back({start + name,
                     Dtype::kF32,
                     tensor.sizes().vec(),
                     {static_cast<const char*>(tensor.data_ptr()), tensor.nbytes()}});
  }
  write_file(path, test::torch_file(views));
}

/// What the shapes say, and the decoder's heads, which they do not.
Json config_of(const std::filesystem::path& folder) {
  Json config = infer_sam(folder)->config();
  config["mask_decoder_config"]["num_attention_heads"] = 2;
  return config;
}

Model load(const test::TempDir& dir) {
  if (infer_sam(dir.path())) dir.write("config.json", config_of(dir.path()).dump());
  return peft::load_model(dir.path());
}

/// The message with which a folder of one file is refused; "" where it is not.
std::string refusal(const Tensors& tensors) {
  const test::TempDir dir;
  write(dir / "sam.pth", tensors);
  try {
    load(dir);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

Tensor masks_of(const Model& model, const Tensor& pixels) {
  Batch batch;
  batch.pixels = pixels;
  return model.run(batch).values.at(kMaskLogits);
}

double relative(const Tensor& found, const Tensor& expected) {
  return ((found - expected).norm() / expected.norm()).item<double>();
}

constexpr const char* kQkv = "image_encoder.blocks.1.attn.qkv.weight";

}  // namespace

TEST_CASE("segment-anything's checkpoint is a model by itself, with its masks") {
  const test::TempDir dir;
  write(dir / "sam_vit_x.pth", published());
  const Blueprint inferred = read_base_blueprint(dir.path());
  const Json config = inferred.architecture().config();
  const Json theirs = load_json(kWindows / "config.json").root;
  for (const auto& [key, value] : theirs["vision_config"].items()) {
    CAPTURE(key);
    if (config["vision_config"].contains(key)) CHECK(config["vision_config"][key] == value);
  }
  CHECK(config["vision_config"]["global_attn_indexes"] == Json({1}));
  for (const char* key : {"num_hidden_layers", "mlp_dim", "iou_head_depth", "iou_head_hidden_dim",
                          "num_multimask_outputs", "attention_downsample_rate"})
    CHECK(config["mask_decoder_config"][key] == theirs["mask_decoder_config"][key]);
  CHECK(config["mask_decoder_config"]["num_attention_heads"] == 8);
  CHECK(config["mask_decoder_config"]["layer_norm_eps"] == 1e-5);
  CHECK(inferred.architecture().labels().empty());

  const test::Recorded reference(kWindows / "recorded.safetensors");
  const Model model = load(dir);
  const Tensor found = masks_of(model, reference("pixels"));
  CHECK(relative(found, reference("masks.published")) < 1e-5);

  // As a folder of transformers' it is the same.
  peft::save_model(model, dir / "saved");
  const Model saved = peft::load_model(dir / "saved");
  CHECK(saved.fingerprint() == model.fingerprint());
  CHECK(torch::equal(masks_of(saved, reference("pixels")), found));

  // Trained in parallel, it has its names behind "module.".
  const test::TempDir parallel;
  write(parallel / "sam.pt", published(), "module.");
  CHECK(load(parallel).fingerprint() == model.fingerprint());
}

namespace {

/// The gradients of the sum of masks times `weights`, by segment-anything's names; those of weights
/// on which no mask depends are left out.
Tensors published_gradients(const Model& loaded, const Tensor& pixels, const Tensor& weights) {
  Model model = loaded;
  Batch batch;
  batch.pixels = pixels;
  test::in_double(model, batch);
  Weights gradients;
  for (const auto& layer : model.architecture().layers())
    for (const auto* own : {&layer.parameters, &layer.buffers})
      for (const Parameter& parameter : *own)
        gradients[parameter.name] = torch::zeros(parameter.shape);
  for (const Parameter& parameter : model.blueprint().parameters())
    model.weight(parameter.name).set_requires_grad(true);
  (model.run(batch).values.at(kMaskLogits) * weights).sum().backward();
  for (const Parameter& parameter : model.blueprint().parameters()) {
    const Tensor gradient = model.weight(parameter.name).grad();
    if (gradient.defined()) gradients[parameter.name] = gradient;
  }
  Tensors found = published_sam_weights(model.architecture(), gradients);
  for (auto at = found.begin(); at != found.end();)
    at = at->second.abs().max().item<double>() == 0 ? found.erase(at) : std::next(at);
  return found;
}

}  // namespace

TEST_CASE("gradients are segment-anything's, and those of images of another size") {
  const test::TempDir dir;
  write(dir / "sam.pth", published());
  const test::Recorded recorded(kWindows / "recorded.safetensors");
  const test::Recorded theirs(kWindows / "published.safetensors");
  Model model = load(dir);
  const auto found = published_gradients(model, recorded("pixels"), recorded("weights"));
  const auto number = [&](const std::string& start) {
    return std::count_if(theirs.tensors().begin(), theirs.tensors().end(),
                         [&](const TensorEntry& entry) { return entry.name.starts_with(start); });
  };
  // Biases of keys change nothing, so that their gradients are rounding.
  constexpr double kNothing = 1e-5;
  CHECK(static_cast<std::ptrdiff_t>(found.size()) == number("gradient."));
  for (const auto& [name, gradient] : found) {
    CAPTURE(name);
    const Tensor expected = theirs("gradient." + name);
    const double length = std::max(expected.norm().item<double>(), kNothing);
    CHECK((gradient - expected).norm().item<double>() < 1e-4 * length);
  }

  model.set_image_size(32);
  const Tensor pixels = recorded("pixels.smaller");
  CHECK(relative(masks_of(model, pixels), theirs("masks.smaller")) < 1e-5);
  const auto smaller = published_gradients(model, pixels, theirs("weights.smaller"));
  CHECK(static_cast<std::ptrdiff_t>(smaller.size()) == number("length."));
  for (const auto& [name, gradient] : smaller) {
    CAPTURE(name);
    const double expected = theirs("length." + name).item<double>();
    CHECK(std::abs(gradient.norm().item<double>() - expected) <
          1e-4 * std::max(expected, kNothing));
  }
}

namespace {

/// Images of 32 pixels in patches of 8, so that blocks look at 4 x 4 places.
SamConfig small(std::int64_t depth, std::int64_t window, std::vector<std::int64_t> global) {
  SamConfig config = test::tiny_sam_config({}, 2);
  config.encoder.num_hidden_layers = depth;
  config.encoder.window_size = window;
  config.encoder.global_attn_indexes = std::move(global);
  config.decoder.num_attention_heads = 8;  // as every published one has
  config.decoder.num_multimask_outputs = 3;
  return config;
}

SamConfig with_classes(SamConfig config, std::int64_t classes, std::int64_t steps) {
  config.decoder.num_multimask_outputs = classes;
  config.decoder.upscaling_steps = steps;
  config.classes = unnamed_classes(static_cast<std::size_t>(classes));
  return config;
}

/// What is inferred of a checkpoint of such a SAM with random weights, and nothing beside it.
Json inferred(const SamConfig& config) {
  const Model model(Blueprint(make_sam(config)), 4);
  const test::TempDir dir;
  write(dir / "sam.pth", published_sam_weights(model.architecture(), model.weights()));
  return infer_sam(dir.path())->config();
}

Json global_blocks(const SamConfig& config) {
  return inferred(config)["vision_config"]["global_attn_indexes"];
}

}  // namespace

TEST_CASE("which blocks of a checkpoint are global is seen from its tables, or is as published") {
  // Tables of blocks that look at windows are shorter: any blocks may be global.
  for (const std::vector<std::int64_t>& global :
       std::vector<std::vector<std::int64_t>>{{1, 2, 8}, {0}, {5, 11}, {2, 5, 8, 11}}) {
    CAPTURE(Json(global).dump());
    const SamConfig config = small(12, 2, global);
    CHECK(global_blocks(config) == Json(global));
    CHECK(inferred(config)["vision_config"]["window_size"] == 2);
  }
  // Where a window is the whole image, as FLAP-SAM's at 224 pixels: those of ViT-B, L and H.
  CHECK(global_blocks(small(12, 4, {2, 5, 8, 11})) == Json({2, 5, 8, 11}));
  CHECK(global_blocks(small(24, 4, {5, 11, 17, 23})) == Json({5, 11, 17, 23}));
  CHECK(global_blocks(small(32, 4, {7, 15, 23, 31})) == Json({7, 15, 23, 31}));
  CHECK(inferred(small(12, 4, {2, 5, 8, 11}))["vision_config"]["window_size"] == 4);
  // So a published one is, all of it, what was written.
  for (const std::int64_t depth : {12, 24, 32}) {
    const std::int64_t quarter = depth / 4;
    SamConfig config = with_classes(
        small(depth, 4, {quarter - 1, 2 * quarter - 1, 3 * quarter - 1, depth - 1}), 2, 3);
    config.decoder.layer_norm_eps = 1e-5;
    CHECK(inferred(config) == make_sam(config)->config());
  }
}

TEST_CASE("a checkpoint's shapes say how often its decoder enlarges, and how many classes it has") {
  const SamConfig plain = small(2, 2, {1});
  CHECK_FALSE(inferred(plain).contains("strata"));
  for (const std::int64_t steps : {3, 4})
    for (const std::int64_t classes : {1, 2, 3, 7}) {
      CAPTURE(steps, classes);
      const Json config = inferred(with_classes(plain, classes, steps));
      CHECK(config["strata"]["upscaling_steps"] == steps);
      CHECK(config["strata"]["classes"] ==
            Json(unnamed_classes(static_cast<std::size_t>(classes))));
      CHECK(config["mask_decoder_config"]["num_multimask_outputs"] == classes);
    }
  // Two steps with another number of masks than three are SAMed's.
  CHECK(inferred(with_classes(plain, 2, 2))["strata"]["classes"] == Json({"class_1", "class_2"}));
  CHECK(are_unnamed({"class_1", "class_2"}));
  CHECK_FALSE(are_unnamed({"class_2", "class_1"}));
  CHECK_FALSE(are_unnamed({"kidney"}));
  CHECK_FALSE(are_unnamed({}));
}

TEST_CASE("FLAP-SAM's LoRA factors are added to the weights that they stand beside") {
  torch::manual_seed(2);
  Tensors tensors = published();
  const Tensor a = torch::randn({3, 16}), b = torch::randn({16, 3});
  const Tensor c = torch::randn({3, 32}), d = torch::randn({16, 3});
  tensors["image_encoder.blocks.1.attn.lora_w_a_v.0.weight"] = a;
  tensors["image_encoder.blocks.1.attn.lora_w_b_v.0.weight"] = b;
  const std::string cross = "mask_decoder.transformer.layers.0.cross_attn_token_to_image.";
  tensors[cross + "lora_w_a_q.0.weight"] = c;
  tensors[cross + "lora_w_b_q.0.weight"] = d;
  const test::TempDir dir;
  write(dir / "flap.pth", tensors);
  const Model model = load(dir);
  const Tensor qkv = tensors.at(kQkv);
  CHECK(relative(model.weight("vision_encoder.layers.1.attn.value.weight"),
                 qkv.narrow(0, 32, 16) + b.mm(a)) < 1e-6);
  CHECK(torch::equal(model.weight("vision_encoder.layers.1.attn.query.weight"),
                     qkv.narrow(0, 0, 16)));
  CHECK(relative(model.weight(cross + "q_proj.weight"),
                 tensors.at(cross + "q_proj.weight") + d.mm(c)) < 1e-6);

  tensors["image_encoder.blocks.1.attn.lora_w_a_v.1.weight"] = a;
  CHECK_THAT(refusal(tensors), Contains("lora_w_a_v.1.weight") && Contains("several LoRA sets"));
  tensors.erase("image_encoder.blocks.1.attn.lora_w_a_v.1.weight");
  tensors["image_encoder.blocks.1.attn.lora_w_b_v.0.weight"] = torch::randn({15, 3});
  CHECK_THAT(refusal(tensors), Contains("(15, 16)") && Contains("(16, 16)"));
  tensors["image_encoder.blocks.1.attn.lora_w_b_v.0.weight"] = torch::randn({16, 4});
  CHECK_THAT(refusal(tensors), Contains("not two factors"));
}

TEST_CASE("SAMed's checkpoint lies over the one that it was trained over") {
  torch::manual_seed(3);
  const test::TempDir dir;
  write(dir / "sam_vit_x.pth", published());
  Tensors samed;
  // Queries and values of three blocks.
  for (int i = 0; i < 6; ++i) {
    samed["w_a_00" + std::to_string(i)] = torch::randn({2, 16});
    samed["w_b_00" + std::to_string(i)] = torch::randn({16, 2});
  }
  for (const auto& [name, tensor] : published())
    if (!name.starts_with("image_encoder.")) samed[name] = tensor + 1;
  write(dir / "a_samed.pth", samed);
  const Model model = load(dir);
  const auto block = published().at(kQkv);
  CHECK(relative(model.weight("vision_encoder.layers.1.attn.query.weight"),
                 block.narrow(0, 0, 16) + samed.at("w_b_002").mm(samed.at("w_a_002"))) < 1e-6);
  CHECK(relative(model.weight("vision_encoder.layers.1.attn.value.weight"),
                 block.narrow(0, 32, 16) + samed.at("w_b_003").mm(samed.at("w_a_003"))) < 1e-6);
  CHECK(torch::equal(model.weight("mask_decoder.iou_token.weight"),
                     published().at("mask_decoder.iou_token.weight") + 1));
  // Its masks are classes, whatever their number.
  CHECK(model.architecture().labels() == std::vector<std::string>{"class_1", "class_2", "class_3"});

  std::filesystem::remove(dir / "a_samed.pth");
  write(dir / "b.pth", published());
  CHECK_THROWS_WITH(peft::load_model(dir.path()),
                    Contains("\"b.pth\" and \"sam_vit_x.pth\" are checkpoints"));
}

TEST_CASE("SAM-Med2D's adapters are left out, and what else does not fit is said") {
  const test::TempDir dir;
  Tensors tensors = published();
  tensors["image_encoder.blocks.0.Adapter.channel.0.weight"] = torch::zeros({4, 16});
  tensors["pixel_mean"] = torch::zeros({3, 1, 1});
  write(dir / "sam-med2d.pth", tensors);
  const test::TempDir plain;
  write(plain / "sam.pth", published());
  CHECK(load(dir).fingerprint() == load(plain).fingerprint());

  const auto without = [](const std::string& name) {
    Tensors tensors = published();
    REQUIRE(tensors.erase(name) == 1);
    return refusal(tensors);
  };
  CHECK_THAT(without("image_encoder.blocks.2.mlp.lin2.bias"),
             Contains("sam.pth: the weight \"image_encoder.blocks.2.mlp.lin2.bias\" is missing"));
  CHECK_THAT(without("mask_decoder.output_hypernetworks_mlps.3.layers.2.weight"),
             Contains("mlps.3.layers.2.weight\" is missing"));
  CHECK_THAT(without("image_encoder.pos_embed"), Contains("pos_embed\" is missing"));
  CHECK_THAT(without("image_encoder.patch_embed.proj.weight"),
             Contains("no config.json beside it"));
  tensors = published();
  tensors["image_encoder.blocks.0.norm3.bias"] = torch::zeros({16});
  CHECK_THAT(refusal(tensors), Contains("unknown weight \"image_encoder.blocks.0.norm3.bias\"") &&
                                   Contains("did you mean"));
  tensors = published();
  tensors["image_encoder.blocks.0.norm1.bias"] = torch::zeros({15});
  CHECK_THAT(refusal(tensors), Contains("norm1.bias\" has shape (15)"));
  tensors = published();
  tensors["image_encoder.blocks.0.attn.rel_pos_h"] = torch::zeros({5});
  CHECK_THAT(refusal(tensors), Contains("rel_pos_h\" has shape (5), but SAM's has 2"));
  tensors = published();
  tensors["image_encoder.blocks.5000.norm1.bias"] = torch::zeros({16});
  CHECK_THAT(refusal(tensors), Contains("blocks.5000") && Contains("no SAM has as many"));
}

namespace {

/// One thing that may be wrong with a checkpoint: a tensor that is missing, has another name, or
/// another shape.
void spoil(Tensors& tensors, Random& random) {
  auto at = tensors.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(random.below(tensors.size())));
  const std::string name = at->first;
  const Tensor tensor = at->second;
  std::string other = name;
  switch (random.below(7)) {
    case 0:
      tensors.erase(at);
      return;
    case 1:
      for (char& c : other)
        if (c >= '0' && c <= '9' && random.below(2)) c = static_cast<char>('0' + random.below(10));
      tensors.erase(at);
      tensors[other] = tensor;
      return;
    case 2:
      tensors[name.substr(0, random.below(name.size()) + 1)] = tensor;
      return;
    case 3:
      at->second = tensor.flatten();
      return;
    case 4:
      at->second = tensor.unsqueeze(static_cast<std::int64_t>(random.below(2)));
      return;
    case 5:
      at->second = tensor
                       .narrow(0, 0,
                               static_cast<std::int64_t>(
                                   random.below(static_cast<std::uint64_t>(tensor.size(0)))))
                       .contiguous();
      return;
    default:
      at->second = torch::cat({tensor, tensor}, -1).contiguous();
  }
}

}  // namespace

TEST_CASE("whatever a checkpoint of SAM's names lacks or has, it is a model or refused") {
  const Tensors whole = published();
  Random random(17);
  int refused = 0;
  for (int trial = 0; trial < 300; ++trial) {
    Tensors tensors = whole;
    for (std::uint64_t i = random.below(2) + 1; i > 0; --i) spoil(tensors, random);
    std::string message;
    CAPTURE(trial);
    CHECK_NOTHROW(message = refusal(tensors));
    refused += !message.empty();
    CHECK(message.find('\n') == std::string::npos);
  }
  CHECK(refused > 200);
}
