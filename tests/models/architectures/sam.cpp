#include "models/architectures/sam.h"

#include <set>

#include "catch.h"
#include "models/architectures/architectures.h"
#include "models/checkpoint.h"
#include "models/model.h"
#include "models/units.h"
#include "peft/files.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "support/captured_gradients.h"
#include "support/kept_bytes.h"
#include "support/recorded.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::models;
using Catch::Matchers::Contains;
using torch::Tensor;

namespace {

const std::filesystem::path kReference =
    std::filesystem::path(STRATA_SOURCE_DIR) / "tests" / "reference" / "sam";
const std::vector<std::string> kKinds = {"windows", "plain", "classes"};

test::Recorded recorded(const std::string& kind) {
  return test::Recorded(kReference / kind / "recorded.safetensors");
}

Batch images(const test::Recorded& recorded) {
  Batch batch;
  batch.pixels = recorded("pixels");
  return batch;
}

Tensor masks(const Model& model, const Batch& batch) {
  return model.run(batch).values.at(kMaskLogits);
}

/// Biases of keys change nothing, so that their gradients are rounding.
constexpr double kNothing = 1e-6;

double relative(const Tensor& found, const Tensor& expected) {
  REQUIRE(found.sizes() == expected.sizes());
  return ((found - expected).norm() / expected.norm().clamp_min(kNothing)).item<double>();
}

void train_all(Model& model) {
  std::vector<std::string> units;
  for (const Unit& unit : model.units()) units.push_back(unit.name);
  model.train_only(units);
}

std::shared_ptr<const Architecture> read(const Json& config) {
  const test::TempDir dir;
  return read_architecture(dir.write("config.json", config.dump()));
}

std::string refusal(const Json& config) {
  try {
    read(config);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

/// What segment-anything publishes, by the four keys that transformers' files have for it.
Json published(std::int64_t hidden, std::int64_t blocks, std::int64_t heads,
               const std::vector<int>& global) {
  return {{"model_type", "sam"},
          {"vision_config",
           {{"hidden_size", hidden},
            {"num_hidden_layers", blocks},
            {"num_attention_heads", heads},
            {"global_attn_indexes", global},
            {"intermediate_size", 6144},  // another model's, which some files have
            {"projection_dim", 512},
            {"model_type", ""}}}};
}

Json sam_b() {
  return published(768, 12, 12, {2, 5, 8, 11});
}

/// FLAP-SAM's: images of 224 pixels and `classes` of them.
Json flap(Json config, std::int64_t classes) {
  config["vision_config"]["image_size"] = 224;
  config["mask_decoder_config"] = {{"num_multimask_outputs", classes}};
  config["strata"] = {{"classes", Json::array()}, {"upscaling_steps", 4}};
  for (std::int64_t i = 0; i < classes; ++i)
    config["strata"]["classes"].push_back("class " + std::to_string(i + 1));
  return config;
}

/// The trained parameters of everything, of the decoder, and of what FLAP-SAM calls partial.
struct Counts {
  std::int64_t all, decoder, partial;
};

Counts counts(const Json& config) {
  Counts counts{};
  for (const Unit& unit : stage_units(Blueprint(read(config)), Buffers::kFrozen)) {
    counts.all += unit.parameter_count;
    const bool last = unit.name == "upscale" || unit.name == "tokens";
    if (last) counts.partial += unit.parameter_count;
    if (last || unit.name == "iou" || unit.name.starts_with("decoder."))
      counts.decoder += unit.parameter_count;
  }
  return counts;
}

}  // namespace

TEST_CASE("SAM's masks and gradients are those of transformers") {
  for (const std::string& kind : kKinds) {
    CAPTURE(kind);
    const test::Recorded reference = recorded(kind);
    Model model = peft::load_model(kReference / kind);
    Batch batch = images(reference);
    CHECK(relative(masks(model, batch), reference("masks")) < 1e-5);
    test::in_double(model, batch);
    train_all(model);
    (masks(model, batch) * reference("weights").to(torch::kDouble)).sum().backward();
    std::size_t without = 0;
    for (const Parameter& parameter : model.blueprint().parameters()) {
      CAPTURE(parameter.name);
      // In files queries, keys and values are one tensor.
      const Layer& layer = model.blueprint().layer_of(parameter.name);
      const std::string tail = parameter.name.substr(layer.name.size());
      const std::string name = layer.share.only ? layer.share.name + tail : parameter.name;
      const Tensor gradient = model.weight(parameter.name).grad();
      if (!reference.has("gradient." + name)) {
        CHECK_FALSE(gradient.defined());
        ++without;
        continue;
      }
      Tensor expected = reference("gradient." + name);
      if (layer.share.only)
        expected = expected.chunk(3)[static_cast<std::size_t>(layer.share.part)];
      REQUIRE(gradient.defined());
      CHECK(relative(gradient, expected) < 1e-6);
    }
    // The head that says how good masks are, points, and masks that are given.
    CHECK(without == (kind == "plain" ? 4U : 6U) + 5U + 10U);
  }
}

TEST_CASE("points and boxes tell SAM where to look") {
  const test::Recorded reference = recorded("windows");
  const Model model = peft::load_model(kReference / "windows");
  const Tensor points = reference("points").squeeze(1);
  const Tensor labels = reference("point_labels").squeeze(1);
  const Tensor corners = reference("boxes").view({2, 2, 2});
  const Tensor ends = torch::tensor({{2, 3}, {2, 3}});
  const auto found = [&](const Tensor& places, const Tensor& kinds) {
    Batch batch = images(reference);
    batch.points = places;
    batch.point_labels = kinds;
    return masks(model, batch);
  };
  // Behind points without a box stands one that is none.
  const Tensor padded = torch::cat({points, torch::zeros({2, 1, 2})}, 1);
  const Tensor with_none = torch::cat({labels, torch::full({2, 1}, -1)}, 1);
  CHECK(relative(found(padded, with_none), reference("masks.points")) < 1e-5);
  CHECK(relative(found(corners, ends), reference("masks.boxes")) < 1e-5);
  CHECK(relative(found(torch::cat({points, corners}, 1), torch::cat({labels, ends}, 1)),
                 reference("masks.both")) < 1e-5);
  CHECK(relative(found(corners, ends), reference("masks")) > 0.01);
}

TEST_CASE("SAM has the parameters that its authors and FLAP-SAM's count") {
  const auto all = [](const Json& config) { return Blueprint(read(config)).parameter_count(); };
  CHECK(all(sam_b()) == 93735472);
  CHECK(all(published(1024, 24, 16, {5, 11, 17, 23})) == 312342832);
  CHECK(all(published(1280, 32, 16, {7, 15, 23, 31})) == 641090608);

  const Counts two = counts(flap(sam_b(), 2)), one = counts(flap(sam_b(), 1));
  CHECK(two.all == 90532927);
  CHECK(two.decoder == 3902195);
  CHECK(two.partial == 478320);
  CHECK(one.all == 90398774);
  CHECK(one.decoder == 3768042);
  CHECK(one.partial == 344424);
  CHECK(counts(flap(published(1024, 24, 16, {5, 11, 17, 23}), 2)).all == 308141887);
  CHECK(counts(flap(published(1280, 32, 16, {7, 15, 23, 31}), 2)).all == 635878463);
}

TEST_CASE("SAM's units are its stages, and its tokens are with what reads them") {
  std::map<std::string, std::int64_t> found;
  std::vector<std::string> names;
  for (const Unit& unit : stage_units(Blueprint(read(flap(sam_b(), 2))), Buffers::kFrozen)) {
    found[unit.name] = unit.parameter_count;
    names.push_back(unit.name);
  }
  CHECK(names == std::vector<std::string>{
                     "embeddings",      "block.0",         "block.1",         "block.2", "block.3",
                     "block.4",         "block.5",         "block.6",         "block.7", "block.8",
                     "block.9",         "block.10",        "block.11",        "neck",    "prompts",
                     "decoder.block.0", "decoder.block.1", "decoder.block.2", "iou",     "upscale",
                     "tokens"});
  CHECK(found.at("embeddings") == 150528 + 590592);
  CHECK(found.at("block.0") == 7091328);
  CHECK(found.at("neck") == 787456);
  CHECK(found.at("prompts") == 6220);
  CHECK(found.at("decoder.block.0") == 1579520);
  CHECK(found.at("decoder.block.2") == 132224);
  CHECK(found.at("iou") == 256 + 132355);
  CHECK(found.at("upscale") == 76632);
  CHECK(found.at("tokens") == 768 + 400920);
}

TEST_CASE("a pass over one slice of 224 pixels takes 35 GFLOP, nearly all of it in the blocks") {
  double all = 0, blocks = 0;
  for (const Unit& unit : stage_units(Blueprint(read(flap(sam_b(), 2))), Buffers::kFrozen)) {
    all += unit.forward_flops;
    if (unit.name.starts_with("block.")) blocks += unit.forward_flops;
  }
  CHECK(std::abs(all - 35e9) < 1e9);
  CHECK(blocks > 0.95 * all);
}

TEST_CASE("several images of a sample are segmented each by itself") {
  const test::Recorded reference = recorded("windows");
  const Model model = peft::load_model(kReference / "windows");
  Batch batch = images(reference);
  batch.pixels = torch::stack({batch.pixels, batch.pixels.flip(0)});
  CHECK(batch.size() == 2);
  const Tensor expected = torch::cat({reference("masks"), reference("masks").flip(0)});
  CHECK(relative(masks(model, batch), expected) < 1e-5);
}

TEST_CASE("what a pass captures of SAM gives the gradients that autograd has") {
  for (const std::string& kind : kKinds) {
    CAPTURE(kind);
    const test::Recorded reference = recorded(kind);
    Model model = peft::load_model(kReference / kind);
    Batch batch = images(reference);
    // Both images are one sample's.
    if (kind == "classes") batch.pixels = batch.pixels.unsqueeze(0);
    test::in_double(model, batch);
    std::set<std::string> all;
    for (const Parameter& parameter : model.blueprint().parameters())
      if (model.weight(parameter.name).is_floating_point()) all.insert(parameter.name);
    for (const std::string& name : all) model.weight(name).set_requires_grad(true);
    const Tensor weights = reference("weights").to(torch::kDouble);
    (masks(model, batch) * weights).sum().backward();

    std::vector<CapturedOp> ops;
    State state;
    for (std::int64_t stage = 0; stage < model.stage_count(); ++stage)
      state = model.capture_stage(stage, batch, state, all, ops);
    std::vector<Tensor> outputs;
    for (const CapturedOp& op : ops) outputs.push_back(op.output);
    const auto deltas = torch::autograd::grad({(state.values.at(kMaskLogits) * weights).sum()},
                                              outputs, {}, true, false, true);
    const auto found = test::contracted(model, ops, deltas);
    std::size_t with = 0;
    for (const std::string& name : all) {
      CAPTURE(name);
      const Tensor gradient = model.weight(name).grad();
      REQUIRE(gradient.defined() == (found.count(name) == 1));
      if (!gradient.defined()) continue;
      ++with;
      CHECK(relative(found.at(name), gradient) < 1e-9);
    }
    CHECK(with > 50);
  }
}

TEST_CASE("the costs of SAM's units count what autograd keeps") {
  if (!test::heap_is_known()) return;
  Json config = flap(sam_b(), 2);
  config["vision_config"].update({{"hidden_size", 64},
                                  {"num_hidden_layers", 2},
                                  {"num_attention_heads", 4},
                                  {"global_attn_indexes", {1}},
                                  {"image_size", 128},
                                  {"window_size", 3}});
  Model model(Blueprint(read(config)), 3);
  Batch batch;
  torch::manual_seed(4);
  batch.pixels = torch::randn({4, 3, 128, 128});
  test::check_activation_bytes(model, batch);
}

TEST_CASE("a SAM is written as it was read, and a fresh one as transformers reads it") {
  for (const std::string& kind : kKinds) {
    CAPTURE(kind);
    const test::TempDir dir;
    const Model model = peft::load_model(kReference / kind);
    peft::save_model(model, dir / "same");
    CHECK(read_file(dir / "same/model.safetensors") ==
          read_file(kReference / kind / "model.safetensors"));

    Model changed = peft::load_model(kReference / kind);
    const std::string value = "vision_encoder.layers.0.attn.value.weight";
    {
      const torch::NoGradGuard no_grad;
      changed.weight(value) = changed.weight(value) + 1;
    }
    peft::save_model(changed, dir / "changed");
    const Model back = peft::load_model(dir / "changed");
    CHECK(torch::equal(back.weight(value), changed.weight(value)));
    CHECK(back.fingerprint() == changed.fingerprint());

    const Model fresh(Blueprint(model.blueprint()), 5);
    peft::save_model(fresh, dir / "fresh");
    CHECK(peft::load_model(dir / "fresh").fingerprint() == fresh.fingerprint());
    const SafetensorsFile theirs(kReference / kind / "model.safetensors");
    const SafetensorsFile ours(dir / "fresh/model.safetensors");
    CHECK(ours.tensors().size() == theirs.tensors().size());
    for (const TensorEntry& entry : theirs.tensors()) {
      CAPTURE(entry.name);
      REQUIRE(ours.find(entry.name));
      CHECK(ours.find(entry.name)->shape == entry.shape);
    }
  }
}

TEST_CASE("a SAM gets classes: their masks are drawn anew, and reach the image's own size") {
  const test::Recorded reference = recorded("windows");
  const Model before = peft::load_model(kReference / "windows");
  Model model = peft::load_model(kReference / "windows");
  model.relabel({"kidney", "tumor"}, 9);
  const Tensor found = masks(model, images(reference));
  CHECK(found.sizes() == torch::IntArrayRef({2, 3, 40, 40}));
  const auto kept = [&](const std::string& name) {
    return torch::equal(model.weight(name), before.weight(name));
  };
  CHECK(kept("mask_decoder.upscale_conv1.weight"));
  CHECK(kept("mask_decoder.upscale_conv2.weight"));
  CHECK(kept("mask_decoder.iou_token.weight"));
  CHECK(kept("mask_decoder.transformer.layers.1.mlp.lin1.weight"));
  CHECK(model.weight("mask_decoder.upscale_conv3.weight").sizes() ==
        torch::IntArrayRef({4, 2, 2, 2}));
  CHECK(model.weight("mask_decoder.mask_tokens.weight").size(0) == 3);
  // Of the same shape as before, and yet fresh.
  CHECK_FALSE(kept("mask_decoder.output_hypernetworks_mlps.0.proj_in.weight"));
  CHECK_FALSE(kept("mask_decoder.iou_prediction_head.proj_in.weight"));
  CHECK(model.architecture().labels() == std::vector<std::string>{"kidney", "tumor"});

  const test::TempDir dir;
  peft::save_model(model, dir / "saved");
  const Model back = peft::load_model(dir / "saved");
  CHECK(back.fingerprint() == model.fingerprint());
  CHECK(back.architecture().labels() == model.architecture().labels());
  CHECK(relative(masks(back, images(reference)), found) < 1e-6);
}

TEST_CASE("a SAM's configuration may leave out what it likes, and what does not fit is said") {
  const Json minimal = {{"model_type", "sam"}, {"vision_config", {{"model_type", ""}}}};
  CHECK(Blueprint(read(minimal)).parameter_count() == 93735472);
  const auto with = [](const std::string& section, const Json& change) {
    Json config = sam_b();
    config[section].update(change);
    return refusal(config);
  };
  CHECK_THAT(with("vision_config", {{"num_attention_heads", 7}}),
             Contains("hidden_size") && Contains("num_attention_heads"));
  CHECK_THAT(with("vision_config", {{"image_size", 1000}}), Contains("image_size"));
  CHECK_THAT(with("vision_config", {{"num_pos_feats", 64}}),
             Contains("num_pos_feats") && Contains("not half"));
  CHECK_THAT(with("vision_config", {{"global_attn_indexes", {12}}}),
             Contains("global_attn_indexes"));
  CHECK_THAT(with("prompt_encoder_config", {{"image_size", 512}}),
             Contains("image_size") && Contains("1024"));
  CHECK_THAT(with("mask_decoder_config", {{"hidden_size", 128}}), Contains("256"));
  CHECK_THAT(with("mask_decoder_config", {{"num_attention_heads", 3}}),
             Contains("num_attention_heads"));
  Json classes = flap(sam_b(), 2);
  classes["strata"]["classes"].push_back("cyst");
  CHECK_THAT(refusal(classes), Contains("classes") && Contains("num_multimask_outputs is 2"));
  classes = flap(sam_b(), 2);
  classes["strata"]["upscaling_steps"] = 8;
  CHECK_THAT(refusal(classes), Contains("512"));
}

TEST_CASE("a SAM reads images of another size: its positions are resized") {
  const test::Recorded reference = recorded("windows");
  Model model = peft::load_model(kReference / "windows");
  model.set_image_size(32);
  Batch batch;
  batch.pixels = reference("pixels.smaller");
  CHECK(relative(masks(model, batch), reference("masks.smaller")) < 1e-5);
  CHECK(model.blueprint().image_processor().size.width == 32);

  const test::TempDir dir;
  peft::save_model(model, dir / "saved");
  const Model back = peft::load_model(dir / "saved");
  CHECK(back.fingerprint() == model.fingerprint());
  CHECK(back.blueprint().image_processor().size.width == 32);
  CHECK_THROWS_WITH(model.set_image_size(30), Contains("30 pixels") && Contains("patches of 8"));
}
