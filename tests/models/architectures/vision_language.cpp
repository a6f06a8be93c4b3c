#include "models/architectures/vision_language.h"

#include <map>
#include <set>

#include "catch.h"
#include "models/architectures/architectures.h"
#include "models/cost.h"
#include "models/model.h"
#include "models/units.h"
#include "peft/files.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/core/unit_choice.h"
#include "support/kept_bytes.h"
#include "support/recorded.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::models;
using Catch::Matchers::Contains;
using test::Recorded;
using torch::Tensor;

namespace {

const std::filesystem::path kReference =
    std::filesystem::path(STRATA_SOURCE_DIR) / "tests" / "reference" / "vlms";

const std::vector<std::string> kModels = {"llava",         "llava_full",   "llava_layers",
                                          "llava_mistral", "llava_llama3", "llava_qwen2",
                                          "llava_med",     "paligemma"};

Model load(const std::string& name) {
  return peft::load_model(kReference / name);
}

/// A recorded case, and which of the places behind which a token was asked for.
Batch batch_of(const Recorded& recorded, const std::string& name, const std::string& model) {
  const Json cases = load_json(kReference / model / "cases.json").root.at("cases");
  Batch batch;
  batch.input_ids = recorded(name + ".input_ids");
  batch.attention_mask = recorded(name + ".attention_mask").to(torch::kFloat);
  const auto images = cases.at(name).at("images").get<std::vector<std::int64_t>>();
  batch.pixels = recorded("pixels").index_select(0, torch::tensor(images));
  if (!recorded.has(name + ".labels")) return batch;
  const Tensor labels = recorded(name + ".labels");
  batch.answers = labels != -100;
  batch.outputs = batch.answers.narrow(1, 1, labels.size(1) - 1).nonzero();
  return batch;
}

/// The tokens that are asked for, in the order of Batch::outputs.
Tensor targets_of(const Recorded& recorded, const std::string& name) {
  const Tensor labels = recorded(name + ".labels");
  const Tensor next = labels.narrow(1, 1, labels.size(1) - 1);
  return next.masked_select(next != -100);
}

double difference(const Tensor& found, const Tensor& expected) {
  return (found - expected).abs().max().item<double>();
}

double relative_error(const Tensor& found, const Tensor& expected) {
  return ((found - expected).norm() / expected.norm()).item<double>();
}

Tensor loss_of(const Model& model, const Batch& batch, const Tensor& targets) {
  return torch::cross_entropy_loss(model.run(batch).values.at(kTokenLogits), targets);
}

void in_double(Model& model, Batch& batch) {
  for (auto& [name, tensor] : model.weights())
    if (tensor.is_floating_point()) tensor = tensor.to(torch::kDouble);
  batch.pixels = batch.pixels.to(torch::kDouble);
}

std::shared_ptr<const Architecture> read(const Json& config) {
  const test::TempDir dir;
  return read_architecture(dir.write("config.json", config.dump()));
}

Json config_of(const std::string& model) {
  return load_json(kReference / model / "config.json").root;
}

}  // namespace

TEST_CASE("logits at every token are transformers', whichever side is padded") {
  for (const std::string& name : kModels) {
    const Model model = load(name);
    const Recorded recorded(kReference / name / "expected.safetensors");
    for (const std::string which : {"right", "left"}) {
      if (!recorded.has(which + ".logits")) continue;
      CAPTURE(name, which);
      Batch batch = batch_of(recorded, which, name);
      batch.outputs = Tensor();
      const Tensor expected = recorded(which + ".logits");
      Tensor found = model.run(batch).values.at(kTokenLogits).view(expected.sizes());
      found = found * batch.attention_mask.unsqueeze(2);  // as recorded
      CHECK(difference(found, expected) < 1e-4 * expected.abs().max().item<double>());
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

TEST_CASE("the loss of the answers and its gradients are transformers'") {
  for (const std::string& name : kModels) {
    Model model = load(name);
    const Recorded recorded(kReference / name / "expected.safetensors");
    const Batch batch = batch_of(recorded, "right", name);
    for (auto& [weight, tensor] : model.weights()) tensor.set_requires_grad(true);
    const Tensor loss = loss_of(model, batch, targets_of(recorded, "right"));
    CAPTURE(name);
    CHECK(loss.item<double>() == Approx(recorded("right.loss").item<double>()).epsilon(1e-5));
    loss.backward();
    const std::string start = "right.gradient.";
    int checked = 0;
    for (const TensorEntry& entry : recorded.tensors()) {
      if (entry.name.rfind(start, 0) != 0) continue;
      const std::string weight = entry.name.substr(start.size());
      CAPTURE(weight);
      const Tensor gradient = model.weight(weight).grad();
      REQUIRE(gradient.defined());
      CHECK(relative_error(gradient, recorded(entry.name)) < 1e-4);
      ++checked;
    }
    CHECK(checked >= 5);
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
  const Model model = load("llava");
  const test::TempDir dir;
  std::filesystem::create_directories(dir.path() / "five");
  for (const char* file : {"config.json", "model.safetensors"})
    std::filesystem::copy(kReference / "llava" / "5.24" / file, dir.path() / "five" / file);
  const Model other = peft::load_model(dir.path() / "five");
  CHECK(model.fingerprint() == other.fingerprint());
  for (const auto& [from, loaded] : std::map<std::string, const Model*>{
           {(kReference / "llava").string(), &model}, {(dir.path() / "five").string(), &other}}) {
    const test::TempDir out;
    peft::save_model(*loaded, out.path());
    CHECK(read_file(out.path() / "model.safetensors") ==
          read_file(std::filesystem::path(from) / "model.safetensors"));
    CHECK(load_json(out.path() / "config.json").root.at("text_config") ==
          load_json(std::filesystem::path(from) / "config.json").root.at("text_config"));
    CHECK(peft::load_model(out.path()).fingerprint() == model.fingerprint());
  }
}

TEST_CASE(
    "captured operations give the gradients of autograd, the prompts' and a pair's among them") {
  for (const std::string name : {"llava", "llava_qwen2", "llava_layers"}) {
    Model model = load(name);
    peft::add_methods(model,
                      peft::parse_methods({"lora:rank=2,targets=q_proj+down_proj+fc1",
                                           "adapters:reduction=4", "prompts:length=2"},
                                          "--peft"),
                      3);
    const Recorded recorded(kReference / name / "expected.safetensors");
    Batch batch = batch_of(recorded, "right", name);
    in_double(model, batch);
    // Fresh pairs and adapters give their first factor no gradient.
    torch::manual_seed(5);
    for (auto& [weight, tensor] : model.weights())
      if (weight.find("lora_B") != std::string::npos) tensor.normal_(0, 0.1);
    const Tensor targets = targets_of(recorded, "right");
    std::set<std::string> all;
    for (const Layer& layer : model.blueprint().layers()) {
      for (const Parameter& parameter : layer.parameters)
        if (!layer.frozen) all.insert(parameter.name);
    }
    for (auto& [weight, tensor] : model.weights()) tensor.set_requires_grad(all.count(weight) > 0);
    loss_of(model, batch, targets).backward();

    std::vector<CapturedOp> ops;
    State state;
    for (std::int64_t stage = 0; stage < model.stage_count(); ++stage) {
      // Each stage on the one graph, so that the deltas of all are those of the loss.
      state = model.capture_stage(stage, batch, state, all, ops);
    }
    const Tensor loss = torch::cross_entropy_loss(state.values.at(kTokenLogits), targets);
    std::vector<Tensor> outputs;
    for (const CapturedOp& op : ops) outputs.push_back(op.output);
    const auto deltas = torch::autograd::grad({loss}, outputs, {}, true, false, true);
    std::map<std::string, Tensor> found;
    for (std::size_t i = 0; i < ops.size(); ++i) {
      const CapturedOp& op = ops[i];
      CAPTURE(name, op.weight, op.bias);
      REQUIRE(deltas[i].defined());
      const auto add = [&](const std::string& weight, const Tensor& gradient) {
        Tensor& sum = found[weight];
        const Tensor shaped = gradient.reshape(model.weight(weight).sizes());
        sum = sum.defined() ? sum + shaped : shaped;
      };
      const Tensor delta = deltas[i].reshape({-1, deltas[i].size(-1)});
      if (!op.bias.empty()) add(op.bias, delta.sum(0));
      if (op.weight.empty()) continue;
      if (op.kind == CapturedOp::Kind::kLinear) {
        add(op.weight, delta.t().mm(op.rows().reshape({delta.size(0), -1})));
      } else if (op.kind == CapturedOp::Kind::kNorm) {
        add(op.weight, (delta * op.input.reshape(delta.sizes())).sum(0));
      } else if (op.kind == CapturedOp::Kind::kEmbedding) {
        add(op.weight,
            torch::zeros_like(model.weight(op.weight)).index_add(0, op.input.reshape(-1), delta));
      } else {
        add(op.weight, deltas[i].sum(0));
      }
    }
    CHECK(found.size() == all.size());
    for (const std::string& weight : all) {
      CAPTURE(name, weight);
      REQUIRE(found.count(weight) == 1);
      CHECK(difference(found[weight], model.weight(weight).grad()) < 1e-9);
    }
  }
}

TEST_CASE("units are the blocks of tower and decoder, the connector, and what is above and below") {
  const Blueprint blueprint = load("llava").blueprint();
  const std::vector<Unit> units = peft::scheme_units(blueprint, "block");
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
  const auto biases = names_of(peft::scheme_units(blueprint, "bias"));
  CHECK(biases == std::vector<std::string>{"vision.embeddings", "vision.bias.0", "vision.bias.1",
                                           "connector", "embeddings", "head"});
  CHECK(peft::scheme_units(blueprint, "norm")[5].parameters ==
        std::vector<std::string>{"language_model.model.layers.0.input_layernorm.weight",
                                 "language_model.model.layers.0.post_attention_layernorm.weight"});
}

TEST_CASE("what units of a model that speaks keep is what autograd keeps") {
  if (!test::heap_is_known()) {
    WARN("this build's allocator does not tell what it holds");
    return;
  }
  Json config = config_of("llava");
  config["vision_config"]["image_size"] = 60;
  config["vision_config"]["hidden_size"] = 64;
  config["vision_config"]["intermediate_size"] = 160;
  config["text_config"]["hidden_size"] = 64;
  config["text_config"]["intermediate_size"] = 200;
  config["text_config"]["max_position_embeddings"] = 400;
  Model model(Blueprint(read(config)), 1);
  const Batch sample = model.blueprint().example(28);
  constexpr std::int64_t kSamples = 8;
  Batch batch;
  batch.input_ids = sample.input_ids.repeat({kSamples, 1});
  batch.attention_mask = sample.attention_mask.repeat({kSamples, 1});
  batch.pixels = torch::randn({kSamples, 3, 60, 60});
  std::vector<Tensor> outputs;
  for (std::int64_t i = 0; i < kSamples; ++i)
    outputs.push_back(sample.outputs + torch::tensor({i, std::int64_t{0}}));
  batch.outputs = torch::cat(outputs);
  for (const std::string scheme : {"block", "norm"}) {
    CAPTURE(scheme);
    model.set_units(peft::scheme_units(model.blueprint(), scheme, 28));
    test::check_activation_bytes(model, batch);
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
  const std::vector<Unit> units = peft::scheme_units(blueprint, "block", 40);
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
    Json config = config_of("llava");
    (section.empty() ? config : config[section]).update(change);
    const test::TempDir dir;
    try {
      read_architecture(dir.write("config.json", config.dump(1)));
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string();
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
  CHECK_THROWS_WITH(model.blueprint().with({"yes"}), Contains("answers in words"));
}
