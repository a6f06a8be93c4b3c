#include "models/architectures/vision_language.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "catch.h"
#include "data/text/learnt_tokenizer.h"
#include "models/cost.h"
#include "models/counting.h"
#include "models/units.h"
#include "strata/core/safetensors.h"
#include "strata/core/unit_choice.h"
#include "support/captured_gradients.h"
#include "support/error_text.h"
#include "support/kept_bytes.h"
#include "support/speaking.h"

using namespace strata;
using namespace strata::models;
using Catch::Matchers::Contains;
using test::batch_of;
using test::contains;
using test::difference;
using test::input_error;
using test::Recorded;
using test::speaking_config;
using test::targets_of;
using torch::Tensor;

namespace {

const std::filesystem::path kReference = test::kSpeaking;

const std::vector<std::string> kModels = {
    "llava",       "llava_full", "llava_layers", "llava_mistral", "llava_llama3",
    "llava_qwen2", "llava_med",  "paligemma",    "smolvlm",       "smolvlm_tiles"};

Model load(const std::string& name) {
  return test::load_speaking(name);
}

std::shared_ptr<const Architecture> read(const Json& config) {
  return test::read_config(config);
}

Json config_of(const std::string& model) {
  return speaking_config(model);
}

}  // namespace

TEST_CASE("logits at every token are transformers', whichever side is padded") {
  for (const std::string& name : kModels) test::check_logits(load(name), name, {"right", "left"});
}

TEST_CASE("each case's loss is that which was recorded") {
  for (const std::string& name : kModels) {
    const Model model = load(name);
    const Recorded recorded = test::recorded_speaking(name);
    for (const std::string which : {"right", "left"}) {
      CAPTURE(name, which);
      const Batch batch = batch_of(recorded, which, name);
      CHECK(test::loss_of(model, batch, targets_of(recorded, which, name)).item<double>() ==
            Approx(recorded(which + ".loss").item<double>()).epsilon(1e-5));
    }
  }
}

TEST_CASE("logits are formed where an answer's token is asked for, the same as elsewhere") {
  const Model model = load("llava");
  const Recorded recorded(kReference / "llava" / "expected.safetensors");
  Batch batch = batch_of(recorded, "right", "llava");
  const Tensor asked = model.run(batch).values.at(kTokenLogits);
  CHECK(asked.size(0) == batch.outputs.size(0));
  const std::int64_t tokens = batch.input_ids.size(1);
  const Tensor rows = batch.outputs.select(1, 0) * tokens + batch.outputs.select(1, 1);
  Batch all = batch;
  all.outputs = Tensor();
  const Tensor expected = model.run(all).values.at(kTokenLogits).index_select(0, rows);
  CHECK(difference(asked, expected) < 1e-6);

  // Of some samples alone.
  const Batch part = rows_of(batch, 1, 2);
  CHECK(part.outputs.select(1, 0).min().item<int>() == 0);
  const Tensor first = batch.outputs.select(1, 0).eq(0).sum();
  CHECK(part.outputs.size(0) == batch.outputs.size(0) - first.item<int>());
  CHECK(difference(model.run(part).values.at(kTokenLogits),
                   asked.narrow(0, first.item<int>(), part.outputs.size(0))) < 1e-5);
  CHECK(batch.outputs.select(1, 0).max().item<int>() == 2);  // the whole is as it was
}

TEST_CASE("a sample in tiles is alone what it is beside one with more of them") {
  const Model model = load("smolvlm_tiles");
  Batch batch = batch_of(test::recorded_speaking("smolvlm_tiles"), "right", "smolvlm_tiles");
  REQUIRE(batch.pixels.size(1) == 5);
  const Tensor together = model.run(batch).values.at(kTokenLogits);
  // What pads the tiles of the second and third image is never seen.
  batch.pixels.narrow(0, 1, 2).narrow(1, 3, 2).fill_(7);
  CHECK(difference(model.run(batch).values.at(kTokenLogits), together) == 0);
  Batch last = rows_of(batch, 2, 1);
  last.pixels = last.pixels.narrow(1, 0, 3);
  const Tensor alone = model.run(last).values.at(kTokenLogits);
  CHECK(difference(alone, together.narrow(0, together.size(0) - alone.size(0), alone.size(0))) <
        1e-5);
  // Too few tokens for a tile, and more tiles than there are.
  const auto refused = [&](Batch changed) { return input_error([&] { model.run(changed); }); };
  Batch fewer = last;
  fewer.input_ids = last.input_ids.clone();
  fewer.input_ids[0][(last.input_ids[0] == 5).nonzero()[0].item<std::int64_t>()] = 7;
  CHECK_THAT(refused(fewer), Contains("a prompt has 11 image tokens (id 5), but its image takes 4 "
                                      "for each of at most 3 tiles"));
  Batch more = last;
  more.pixels = last.pixels.narrow(1, 0, 2);
  CHECK_THAT(refused(more), Contains("12 image tokens") && Contains("at most 2 tiles"));
}

TEST_CASE("the loss of the answers and its gradients are transformers'") {
  for (const std::string& name : kModels) {
    Model model = load(name);
    CHECK(test::check_loss_and_gradients(model, name) >= 5);
    CAPTURE(name);
    // What the tower's last block would add is never computed.
    for (const Layer& layer : model.blueprint().layers()) {
      for (const Parameter& parameter : layer.parameters) {
        CAPTURE(parameter.name);
        const Tensor gradient = model.weight(parameter.name).grad();
        if (layer.frozen && !layer.vocabulary)
          CHECK_FALSE((gradient.defined() && gradient.abs().max().item<double>() > 0));
        else
          CHECK(gradient.defined());
      }
    }
  }
}

TEST_CASE("files are read under the names of either generation, and written under their own") {
  for (const std::string name : {"llava", "paligemma"}) {
    CAPTURE(name);
    const std::filesystem::path fresh = kReference / name / "5.24";
    const Model model = load(name), other = peft::load_model(fresh);
    CHECK(model.fingerprint() == other.fingerprint());
    const Recorded recorded = test::recorded_speaking(name);
    CHECK(difference(test::logits_of(other, recorded, name, "right"),
                     test::logits_of(model, recorded, name, "right")) == 0);
    test::check_saved_as_read(kReference / name);
    test::check_saved_as_read(fresh);
  }
  test::check_saved_as_read(kReference / "smolvlm");
  test::check_saved_as_read(kReference / "smolvlm_tiles");
}

TEST_CASE("config.json of the hub, of transformers 4 and 5 and of Idefics 3 say the same") {
  for (const std::string& name : kModels) {
    if (name == "llava_med") continue;  // its makers' own
    const Model model = load(name);
    const Recorded recorded = test::recorded_speaking(name);
    std::vector<std::string> configs = {"5.24/config.json", "4.57/config.json"};
    if (name == "smolvlm") configs.push_back("idefics3.json");
    for (const std::string& config : configs) {
      CAPTURE(name, config);
      const test::TempDir dir;
      std::filesystem::copy(kReference / name / config, dir.path() / "config.json");
      std::filesystem::copy(kReference / name / "model.safetensors",
                            dir.path() / "model.safetensors");
      const Model other = peft::load_model(dir.path());
      CHECK(model.fingerprint() == other.fingerprint());
      CHECK(difference(test::logits_of(other, recorded, name, "right"),
                       test::logits_of(model, recorded, name, "right")) == 0);
    }
  }
}

TEST_CASE(
    "captured operations give the gradients of autograd, the prompts' and a pair's among them") {
  for (const std::string name :
       {"llava", "llava_qwen2", "llava_layers", "smolvlm", "smolvlm_tiles"}) {
    Model model = load(name);
    peft::add_methods(model,
                      peft::parse_methods({"lora:rank=2,targets=q_proj+down_proj+fc1",
                                           "adapters:reduction=4", "prompts:length=2"},
                                          "--peft"),
                      3);
    const Recorded recorded = test::recorded_speaking(name);
    CAPTURE(name);
    test::check_captured_gradients(model, batch_of(recorded, "right", name),
                                   targets_of(recorded, "right", name));
  }
}

TEST_CASE("units are the blocks of tower and decoder, the connector, and what is above and below") {
  const Blueprint blueprint = load("llava").blueprint();
  const std::vector<Unit> units = peft::scheme_units(blueprint, "block", models::Buffers::kFrozen);
  CHECK(names_of(units) == std::vector<std::string>{"vision.embeddings", "vision.block.0",
                                                    "vision.block.1", "connector", "embeddings",
                                                    "block.0", "block.1", "head"});
  std::vector<std::string> roles;
  for (const Unit& unit : units) roles.push_back(role_name(unit.role));
  CHECK(roles == std::vector<std::string>{"vision", "vision", "vision", "connector", "embeddings",
                                          "body", "body", "output"});
  // The blocks of the language model compete, as in F3OCUS; nothing else is trained.
  std::vector<Role> given;
  for (const Unit& unit : units) given.push_back(unit.role);
  const UnitChoice choice = choose_units(names_of(units), given, {});
  CHECK(choice.competing == std::vector<std::size_t>{5, 6});
  CHECK(choice.always.empty());
  // Every weight is in a unit but what is not computed.
  std::set<std::string> held, frozen;
  for (const Unit& unit : units) held.insert(unit.parameters.begin(), unit.parameters.end());
  for (const Parameter& parameter : blueprint.parameters())
    if (!held.count(parameter.name)) frozen.insert(parameter.name);
  for (const std::string& name : frozen) {
    CHECK((name.find("layers.2.") != std::string::npos ||
           name.find("post_layernorm") != std::string::npos));
  }
  CHECK(frozen.size() == 18);
  // No block of LLaMA has a bias; those of CLIP have.
  const auto biases = names_of(peft::scheme_units(blueprint, "bias", models::Buffers::kFrozen));
  CHECK(biases == std::vector<std::string>{"vision.embeddings", "vision.bias.0", "vision.bias.1",
                                           "connector", "embeddings", "head"});
  CHECK(peft::scheme_units(blueprint, "norm", models::Buffers::kFrozen)[5].parameters ==
        std::vector<std::string>{"language_model.model.layers.0.input_layernorm.weight",
                                 "language_model.model.layers.0.post_attention_layernorm.weight"});
}

TEST_CASE("what units of a model that speaks keep is what autograd keeps") {
  if (!test::heap_is_known()) {
    WARN("this build's allocator does not tell what it holds");
    return;
  }
  for (const std::string name : {"llava", "smolvlm"}) {
    Json config = config_of(name);
    config["vision_config"]["image_size"] = name == "llava" ? 60 : 32;
    config["vision_config"]["hidden_size"] = name == "llava" ? 64 : 63;
    config["vision_config"]["intermediate_size"] = 160;
    config["text_config"]["hidden_size"] = 64;
    config["text_config"]["intermediate_size"] = 200;
    config["text_config"]["max_position_embeddings"] = 400;
    Model model(Blueprint(read(config)), 1);
    const Batch batch = test::repeated_example(model, 28, 8);
    for (const std::string scheme : {"block", "norm"}) {
      CAPTURE(name, scheme);
      model.set_units(peft::scheme_units(model.blueprint(), scheme, 28, models::Buffers::kFrozen));
      test::check_activation_bytes(model, batch);
    }
  }
}

TEST_CASE("counting makes neither masks nor rows with images, which are large for long texts") {
  std::vector<std::string> names = kModels;
  names.push_back("blip2_opt");
  for (const std::string& name : names) {
    CAPTURE(name);
    const Model model = load(name);
    const Blueprint& blueprint = model.blueprint();
    const Architecture& architecture = blueprint.architecture();
    const Batch sample = blueprint.example(std::min<std::int64_t>(architecture.text_tokens(), 40));
    std::set<std::string> connector;
    for (const Parameter& parameter : blueprint.parameters())
      if (blueprint.layer_of(parameter.name).role == Role::kConnector)
        connector.insert(parameter.name);
    REQUIRE_FALSE(connector.empty());
    CountingPass counting(blueprint, connector);
    Pass computing(blueprint, model.weights());
    State counted, computed;
    const std::int64_t words = architecture.speech()->words_stage;
    for (std::int64_t stage = 0; stage <= words; ++stage) {
      counted = architecture.run(stage, sample, counted, counting);
      computed = architecture.run(stage, sample, computed, computing);
    }
    const Tensor visible = counted.constants.at("visible"), rows = counted.values.at("rows");
    CHECK(visible.sizes() == computed.constants.at("visible").sizes());
    CHECK(visible.storage().nbytes() == sizeof(float));
    CHECK(rows.sizes() == computed.values.at("rows").sizes());
    CHECK(rows.requires_grad());
    // Gemma's words are scaled.
    if (name != "paligemma") CHECK(rows.storage().nbytes() == sizeof(float));
  }
}

TEST_CASE("a head that the file lacks is the words' table, whatever the configuration says") {
  const test::TempDir dir;
  const Json config = config_of("llava");
  dir.write("config.json", config.dump());
  const SafetensorsFile file(kReference / "llava" / "model.safetensors");
  std::vector<TensorView> views;
  for (const TensorEntry& entry : file.tensors()) {
    if (entry.name != "language_model.lm_head.weight")
      views.push_back({entry.name, entry.dtype, entry.shape, file.bytes(entry)});
  }
  write_safetensors(dir.path() / "model.safetensors", views);
  Model tied = peft::load_model(dir.path());
  CHECK_FALSE(tied.blueprint().has("language_model.lm_head.weight"));
  const auto names = names_of(tied.units());
  // Two stages compute with the table: it is in no unit.
  CHECK(std::find(names.begin(), names.end(), "embeddings") == names.end());

  Model own = load("llava");
  own.weight("language_model.lm_head.weight")
      .copy_(own.weight("language_model.model.embed_tokens.weight"));
  const Recorded recorded(kReference / "llava" / "expected.safetensors");
  const Batch batch = batch_of(recorded, "right", "llava");
  CHECK(difference(tied.run(batch).values.at(kTokenLogits),
                   own.run(batch).values.at(kTokenLogits)) < 1e-6);
  // A head that is there is one of its own, whatever the configuration says.
  const test::TempDir other;
  Json ties = config;
  ties["tie_word_embeddings"] = true;
  other.write("config.json", ties.dump());
  std::filesystem::copy(kReference / "llava" / "model.safetensors",
                        other.path() / "model.safetensors");
  CHECK(peft::load_model(other.path()).fingerprint() == load("llava").fingerprint());
  CHECK_FALSE(Blueprint(read(ties)).has("language_model.lm_head.weight"));
}

namespace {

/// Tensors of a file under other names, those alone that get one.
void copy_tensors(const std::filesystem::path& from, const std::filesystem::path& to,
                  const std::function<std::string(const std::string&)>& renamed,
                  bool as_half = false) {
  const Recorded file(from);
  std::vector<Tensor> held;
  std::vector<TensorView> views;
  for (const TensorEntry& entry : file.tensors()) {
    const std::string name = renamed(entry.name);
    if (name.empty()) continue;
    held.push_back(as_half ? file(entry.name).to(torch::kHalf) : file(entry.name));
    views.push_back({name,
                     as_half ? Dtype::kF16 : Dtype::kF32,
                     entry.shape,
                     {static_cast<const char*>(held.back().data_ptr()), held.back().nbytes()}});
  }
  write_safetensors(to, views, {{"format", "pt"}});
}

/// An original LLaVA whose files have no tower.
void write_towerless(const std::filesystem::path& folder, const std::string& tower) {
  Json config = config_of("llava_med");
  config["mm_vision_tower"] = tower;
  write_file(folder / "config.json", config.dump());
  copy_tensors(kReference / "llava_med" / "model.safetensors", folder / "model.safetensors",
               [](const std::string& name) { return contains(name, "vision_tower") ? "" : name; });
}

}  // namespace

TEST_CASE("a file may hold the names that transformers since 4.52 has in memory") {
  for (const std::string name : {"llava", "llava_mistral", "llava_qwen2", "paligemma"}) {
    CAPTURE(name);
    const test::TempDir dir;
    write_file(dir.path() / "config.json", config_of(name).dump());
    int inside = 0;
    copy_tensors(kReference / name / "model.safetensors", dir.path() / "model.safetensors",
                 [&](const std::string& stored) {
                   const std::string text = "language_model.";
                   if (stored == text + "lm_head.weight") return stored.substr(text.size());
                   std::string own = stored;
                   if (own.rfind(text + "model.", 0) == 0) own.erase(text.size(), 6);
                   if (own.rfind("vision_tower.vision_model.", 0) == 0) own.erase(13, 13);
                   inside += own.rfind(text, 0) == 0;
                   return "model." + own;
                 });
    CHECK(inside > 10);
    const Model model = peft::load_model(dir.path());
    CHECK(model.fingerprint() == load(name).fingerprint());
    test::check_logits(model, name, {"right"});
    test::check_saved_as_read(dir.path());
  }
}

TEST_CASE("the tower of an original LLaVA may stand in a folder of its own") {
  const Model whole = load("llava_med");
  const test::TempDir dir;
  write_towerless(dir.path(), "tower");
  std::filesystem::copy(kReference / "llava_med" / "tower", dir.path() / "tower");
  const Model model = peft::load_model(dir.path());
  peft::check_weights(dir.path(), model.blueprint());
  CHECK(model.fingerprint() == whole.fingerprint());

  // What is saved needs no other folder, and is the same again.
  const test::TempDir saved, again;
  peft::save_model(model, saved.path());
  const Model other = peft::load_model(saved.path());
  CHECK(other.fingerprint() == whole.fingerprint());
  peft::save_model(other, again.path());
  for (const char* file : {"config.json", "model.safetensors", "preprocessor_config.json"})
    CHECK(read_file(again.path() / file) == read_file(saved.path() / file));
  CHECK(load_json(saved.path() / "config.json").root.at("mm_vision_tower") == "tower");
  CHECK(other.blueprint().image_processor().pad_square);

  // A whole CLIP in half precision, whose weights stay as they are; transformers 5's names.
  const std::filesystem::path file = dir.path() / "tower" / "model.safetensors",
                              original = kReference / "llava_med" / "tower" / "model.safetensors";
  const Json sizes = load_json(kReference / "llava_med" / "tower" / "config.json").root;
  const Json clip = {{"model_type", "clip"}, {"vision_config", sizes}};
  write_file(dir.path() / "tower" / "config.json", clip.dump());
  copy_tensors(
      original, file, [](const std::string& name) { return name; }, true);
  Model half = peft::load_model(dir.path());
  const std::string first = "model.vision_tower.vision_tower.vision_model.encoder.layers.0.";
  half.own({first + "layer_norm1.bias"});
  half.weight(first + "layer_norm1.bias").add_(1);
  peft::save_model(half, saved.path());
  const SafetensorsFile written(saved.path() / "model.safetensors");
  CHECK(written.find(first + "mlp.fc1.weight")->dtype == Dtype::kF16);
  CHECK(written.find(first + "layer_norm1.bias")->dtype == Dtype::kF32);
  CHECK(peft::load_model(saved.path()).fingerprint() == half.fingerprint());
  copy_tensors(original, file,
               [](const std::string& name) { return name.substr(sizeof("vision_model.") - 1); });
  CHECK(peft::load_model(dir.path()).fingerprint() == whole.fingerprint());

  // Nothing there, or not all.
  copy_tensors(original, file,
               [](const std::string& name) { return contains(name, "pre_layrnorm") ? "" : name; });
  CHECK_THAT(input_error([&] { peft::load_model(dir.path()); }),
             Contains("pre_layrnorm.weight\" is missing, and so it is in " +
                      (dir.path() / "tower").string() + ": put the folder of \"tower\" there"));
  const auto refusal = [](const std::string& name) {
    const test::TempDir none;
    write_towerless(none.path(), name);
    return input_error([&] { peft::load_model(none.path()); });
  };
  CHECK_THAT(refusal("towers/clip"),
             Contains("mm_vision_tower: \"towers/clip\" is none of") &&
                 Contains("towers/clip/config.json: put the folder of the tower there"));
  Json published = config_of("llava_med");
  published["mm_vision_tower"] = "openai/clip-vit-large-patch14-336";
  CHECK(read(published)->lent_weights()->folder.string().ends_with(
      "/openai/clip-vit-large-patch14-336"));
}

TEST_CASE("an original LLaVA says whether its images are padded to squares") {
  const auto processor = [](const Json& change) {
    Json config = config_of("llava_med");
    config["mm_vision_tower"] = "openai/clip-vit-large-patch14";
    config.update(change);
    return Blueprint(read(config)).image_processor();
  };
  CHECK(processor(Json::object()).pad_square);
  CHECK_FALSE(processor({{"image_aspect_ratio", "square"}}).pad_square);
  CHECK_FALSE(processor({{"image_aspect_ratio", nullptr}}).pad_square);
  CHECK_THAT(input_error([&] {
               processor({{"image_aspect_ratio", "anyres"}});
             }),
             Contains("image_aspect_ratio") && Contains("\"pad\"") && Contains("\"square\""));
}

TEST_CASE("configurations that leave out defaults have those of their types") {
  const auto parts = [](const Json& config) { return Blueprint(read(config)); };
  // As llava-1.5-7b-hf's on the hub.
  const Json llava = {{"model_type", "llava"},
                      {"text_config",
                       {{"model_type", "llama"},
                        {"vocab_size", 32064},
                        {"max_position_embeddings", 4096},
                        {"rms_norm_eps", 1e-5}}},
                      {"vision_config",
                       {{"model_type", "clip_vision_model"},
                        {"hidden_size", 1024},
                        {"image_size", 336},
                        {"intermediate_size", 4096},
                        {"num_attention_heads", 16},
                        {"num_hidden_layers", 24},
                        {"patch_size", 14},
                        {"projection_dim", 768},
                        {"vocab_size", 32000}}}};
  const Blueprint blueprint = parts(llava);
  CHECK(blueprint.parameter_count() == 7063427072);
  const std::vector<Unit> units =
      peft::scheme_units(blueprint, "block", 40, models::Buffers::kFrozen);
  std::map<std::string, std::int64_t> counts;
  for (const Unit& unit : units) counts[unit.name] = unit.parameter_count;
  CHECK(counts.at("block.0") == 202383360);
  CHECK(counts.at("block.31") == 202383360);
  CHECK(counts.at("vision.block.0") == 12596224);
  CHECK(counts.at("connector") == 20979712);
  CHECK(counts.at("embeddings") == 131334144);
  CHECK(counts.at("head") == 131334144 + 4096);
  // The tower's last block is not computed.
  CHECK(counts.count("vision.block.22") == 1);
  CHECK(counts.count("vision.block.23") == 0);
  // 8.2 TFLOP a forward pass of 616 tokens through the decoder.
  double flops = 0;
  for (const Unit& unit : units)
    if (unit.role == Role::kBody) flops += unit.forward_flops;
  CHECK(flops == Approx(8.2e12).epsilon(0.02));
  Json bare = llava;
  bare.erase("vision_config");
  CHECK(parts(bare).parameter_count() == 7063427072);
}

TEST_CASE("what is not computed of a model that speaks is refused by its key") {
  const auto refused = [](const std::string& section, const Json& change) {
    return test::refusal(config_of("llava"), section, change);
  };
  CHECK_THAT(refused("", {{"model_type", "lava"}}), Contains("did you mean \"llava\"?"));
  CHECK_THAT(refused("text_config", {{"model_type", "lama"}}),
             Contains("text_config.model_type") && Contains("did you mean \"llama\"?"));
  CHECK_THAT(refused("vision_config", {{"model_type", "clip_vison_model"}}),
             Contains("did you mean \"clip_vision_model\"?"));
  CHECK_THAT(refused("text_config", {{"rope_scaling", {{"type", "yarn"}, {"factor", 2}}}}),
             Contains("text_config.rope_scaling.type") && Contains("llama3"));
  CHECK_THAT(refused("text_config", {{"num_key_value_heads", 3}}),
             Contains("num_attention_heads") && Contains("num_key_value_heads"));
  CHECK_THAT(refused("text_config", {{"hidden_act", "gleu"}}), Contains("did you mean \"gelu\"?"));
  CHECK_THAT(refused("text_config", {{"head_dim", 5}}), Contains("even"));
  CHECK_THAT(refused("vision_config", {{"patch_size", 20}}), Contains("patch_size"));
  CHECK_THAT(refused("", {{"vision_feature_layer", -5}}), Contains("vision_feature_layer"));
  CHECK_THAT(refused("", {{"vision_feature_select_strategy", "cls"}}), Contains("\"full\""));

  const Model model = load("llava");
  const Recorded recorded(kReference / "llava" / "expected.safetensors");
  Batch batch = batch_of(recorded, "right", "llava");
  batch.input_ids = batch.input_ids.clone();
  batch.input_ids.masked_fill_(batch.input_ids == 60, 5);
  CHECK_THROWS_WITH(model.run(batch), "a prompt has 0 image tokens (id 60), but its image takes 9");
}

TEST_CASE("SmolVLM's configurations that leave out defaults have those of its types") {
  const Json published = load_json(kReference / "counts.json")
                             .root.at("models")
                             .at("HuggingFaceTB/SmolVLM-256M-Instruct");
  const Blueprint blueprint(read(published.at("config")));
  CHECK(blueprint.parameter_count() == 256484928);
  CHECK(blueprint.parameter_count() == published.at("total").get<std::int64_t>());
  // 1024 patches, 16 of which are a row.
  CHECK(blueprint.example(40).input_ids.size(1) == 64 + 40);
  std::map<std::string, std::int64_t> counts;
  for (const Unit& unit : peft::scheme_units(blueprint, "block", 40, models::Buffers::kFrozen))
    counts[unit.name] = unit.parameter_count;
  const Json& modules = published.at("modules");
  CHECK(counts.at("block.29") == modules.at("model.text_model.layers.29"));
  CHECK(counts.at("vision.block.11") == modules.at("model.vision_model.encoder.layers.11"));

  const auto refused = [](const std::string& section, const Json& change) {
    return test::refusal(config_of("smolvlm"), section, change);
  };
  CHECK_THAT(refused("", {{"scale_factor", 3}}),
             Contains("scale_factor: found 3, but an image has 4 patches along a side"));
  CHECK_THAT(refused("vision_config", {{"model_type", "clip_vision_model"}}),
             Contains("vision_config.model_type") && Contains("smolvlm_vision"));
  // The towers of others are none of LLaVA's.
  CHECK_THAT(
      test::refusal(config_of("llava"), "vision_config", {{"model_type", "blip_2_vision_model"}}),
      Contains("vision_config.model_type") && Contains("siglip_vision_model"));
}

TEST_CASE("a LLaVA to be trained from scratch has the sizes that an experiment file says") {
  const test::TempDir dir;
  const auto from_yaml = [&](const std::string& text) {
    const Document document = load_yaml(dir.write("a.yaml", "type: llava\n" + text));
    return architecture_from_yaml(ObjectReader(document));
  };
  const std::string required =
      "hidden_size: 16\nlayers: 3\nheads: 2\nimage_size: 32\npatch_size: 8\n";
  const auto plain = from_yaml(required);
  const Json config = plain->config();
  CHECK(config.at("text_config").at("intermediate_size") == 64);
  CHECK(config.at("vision_config").at("hidden_size") == 16);
  CHECK(config.at("vision_config").at("num_hidden_layers") == 3);
  CHECK(config.at("vision_config").at("num_attention_heads") == 2);
  CHECK(plain->vocabulary_size() == 512);
  CHECK(plain->text_tokens() == 64);
  CHECK(plain->image_model().image_size == 32);
  const Speech speech = plain->speech().value();
  CHECK(speech.image_tokens == 16);  // the class token is left out
  CHECK(speech.image_token == data::kLearntImage);
  CHECK(speech.end_token == data::kLearntEnd);

  const auto other =
      from_yaml(required +
                "intermediate_size: 40\nvision_hidden_size: 24\nvision_layers: 2\n"
                "vision_heads: 3\nvision_intermediate_size: 32\nmax_text: 20\nvocabulary: 300\n"
                "initializer_range: 0.1\n");
  CHECK(other->text_tokens() == 20);
  const Model model(Blueprint(other), 1);
  const auto shape = [&](const std::string& name) { return model.weight(name).sizes().vec(); };
  const std::string tower = "vision_tower.vision_model.encoder.layers.1.mlp.fc1.weight";
  CHECK(shape(tower) == Shape{32, 24});
  CHECK(shape("multi_modal_projector.linear_1.weight") == Shape{16, 24});
  CHECK(shape("language_model.model.embed_tokens.weight") == Shape{300, 16});
  CHECK(shape("language_model.model.layers.2.mlp.up_proj.weight") == Shape{40, 16});
  CHECK(shape("language_model.lm_head.weight") == Shape{300, 16});
  CHECK(model.weight(tower).std().item<double>() == Approx(0.1).epsilon(0.1));
  std::set<std::string> units;
  for (const Unit& unit : model.units()) units.insert(unit.name);
  // All of the tower's blocks are computed.
  CHECK(units.count("vision.block.1") == 1);
  CHECK(units.count("block.2") == 1);

  // Its folder is one of any LLaVA's.
  std::filesystem::create_directories(dir.path() / "model");
  peft::save_model(model, dir.path() / "model");
  const Model again = peft::load_model(dir.path() / "model");
  CHECK(again.fingerprint() == model.fingerprint());
  CHECK(again.architecture().config() == other->config());

  const auto refused = [&](const std::string& text, const std::string& what) {
    CHECK_THROWS_WITH(from_yaml(text), Contains(what));
  };
  refused(required + "vocabluary: 300\n", "did you mean \"vocabulary\"?");
  refused(required + "vocabulary: 259\n", "vocabulary: a whole number from 260 to");
  refused(required + "vision_heads: 3\n",
          "vision_hidden_size: 16 is not a multiple of vision_heads");
  refused(required + "max_text: 65530\n", "patch_size: an image has 16 patches");
  refused("hidden_size: 16\nlayers: 3\nheads: 16\nimage_size: 32\npatch_size: 8\n", "even");
  refused("hidden_size: 16\nlayers: 3\nheads: 2\nimage_size: 30\npatch_size: 8\n",
          "image_size: 30 is not a multiple of patch_size = 8");
  refused("layers: 3\nheads: 2\nimage_size: 32\npatch_size: 8\n",
          "hidden_size: the key is missing");
}
