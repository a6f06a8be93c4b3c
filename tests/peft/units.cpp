#include <numeric>
#include <set>

#include "catch.h"
#include "models/cost.h"
#include "models/units.h"
#include "strata/core/error.h"
#include "strata/core/safetensors.h"
#include "support/tiny_model.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::models;
using Catch::Matchers::Contains;

namespace {

const std::filesystem::path kReference =
    std::filesystem::path(STRATA_SOURCE_DIR) / "tests" / "reference" / "vilt";

/// That of tests/reference/vilt.
test::ModelShape reference_shape() {
  test::ModelShape shape;
  shape.hidden_size = 32;
  shape.num_hidden_layers = 2;
  shape.num_attention_heads = 4;
  shape.intermediate_size = 128;
  shape.vocab_size = 50;
  shape.image_size = 32;
  shape.patch_size = 8;
  shape.labels = {"yes", "no", "red", "blue", "two"};
  return shape;
}

/// Small enough for sums by hand: four patches of twelve numbers, two blocks, eight wide.
test::ModelShape by_hand() {
  test::ModelShape shape;
  shape.hidden_size = 8;
  shape.intermediate_size = 32;
  shape.num_attention_heads = 2;
  shape.num_hidden_layers = 2;
  shape.image_size = 4;
  shape.patch_size = 2;
  shape.labels = {"yes", "no"};
  return shape;
}

std::int64_t count(const std::vector<Unit>& units) {
  std::int64_t sum = 0;
  for (const Unit& unit : units) sum += unit.parameter_count;
  return sum;
}

}  // namespace

TEST_CASE("the units hold every weight exactly once") {
  test::ModelShape config = reference_shape();
  for (const bool qkv_bias : {true, false}) {
    config.qkv_bias = qkv_bias;
    std::multiset<std::string> in_units, all;
    const std::vector<Unit> units =
        peft::scheme_units(config, "block", 9, models::Buffers::kFrozen);
    for (const Unit& unit : units) in_units.insert(unit.parameters.begin(), unit.parameters.end());
    for (const Parameter& weight : config.blueprint().parameters()) all.insert(weight.name);
    CHECK(in_units == all);
    CHECK(std::set<std::string>(all.begin(), all.end()).size() == all.size());
    std::vector<std::string> names;
    for (const Unit& unit : units) names.push_back(unit.name);
    CHECK(names == std::vector<std::string>{"embeddings", "block.0", "block.1", "head"});
    for (const Unit& unit : units) CHECK(unit.bytes == 4 * unit.parameter_count);
  }
}

TEST_CASE("ViLT-B/32 for VQA has the parameters that transformers counts") {
  const SafetensorsFile recorded(kReference / "recorded.safetensors");
  test::ModelShape config;
  config.labels.resize(3129);
  const std::vector<Unit> units = peft::scheme_units(config, "block", 40, models::Buffers::kFrozen);
  CHECK(std::to_string(count(units)) == recorded.metadata().at("vilt_b32_vqa_parameters"));
  CHECK(count(units) == 117588537);
  CHECK(units.size() == 14);
  CHECK(units[1].parameter_count == 7087872);  // 12·768² + 13·768, a BERT-base block
}

TEST_CASE("costs of a block by hand") {
  test::ModelShape config = by_hand();
  const std::vector<Unit> units =
      peft::scheme_units(config, "block", 5, models::Buffers::kFrozen);  // 5 + 1 + 4 = 10 tokens
  CHECK(units[0].forward_flops == 2 * 4 * 12 * 8);
  // q, k, v and the output: 4 · 10 · 8²; both products of attention: 2 · 10² · 8; MLP: 2 · 10 · 8
  // · 32.
  CHECK(units[1].forward_flops == 2 * (2560 + 1600 + 5120));
  // The last block: k and v for all tokens, the rest for the first.
  CHECK(units[2].forward_flops == 2 * (1280 + 128 + 160 + 512));
  CHECK(units[3].forward_flops == 2 * (64 + 128 + 32));
  CHECK(units[1].activation_bytes == 4 * (8 * 80 + 2 * 320 + 2 * 100 + 40));
  CHECK(units[0].activation_bytes == 4 * (48 + 50) + 40);
}

namespace {

/// ViLT-B/32, or a ViT of the same size, with every method.
test::ModelShape with_peft(const std::string& model_type = "vilt") {
  test::ModelShape config;
  config.model_type = model_type;
  config.labels.resize(3129);
  config.peft.adapter_reduction = 16;
  config.peft.lora_rank = 8;
  config.peft.prompt_length = 5;
  return config;
}

}  // namespace

TEST_CASE("a Pfeiffer adapter of ViLT-B/32 has 74,544 parameters, as published") {
  const std::vector<Unit> units =
      peft::scheme_units(with_peft(), "adapter", 40, models::Buffers::kFrozen);
  REQUIRE(units.size() == 14);
  std::int64_t all = 0, four = 0;
  for (int i = 0; i < 12; ++i) {
    const Unit& unit = units[i + 1];
    CHECK(unit.name == "adapter." + std::to_string(i));
    CHECK(unit.parameter_count == 74544);
    all += unit.parameter_count;
    if (i < 4) four += unit.parameter_count;
  }
  CHECK(all == 894528);
  CHECK(four == 298176);
  CHECK(
      units[3].parameters ==
      std::vector<std::string>{"vilt.encoder.layer.2.output.adapters.strata.adapter_down.0.weight",
                               "vilt.encoder.layer.2.output.adapters.strata.adapter_down.0.bias",
                               "vilt.encoder.layer.2.output.adapters.strata.adapter_up.weight",
                               "vilt.encoder.layer.2.output.adapters.strata.adapter_up.bias"});
}

TEST_CASE("schemes: which weights a block's unit holds") {
  for (const char* model_type : {"vilt", "vit"}) {
    const test::ModelShape config = with_peft(model_type);
    const auto block = [&](const std::string& scheme) {
      const std::vector<Unit> units =
          peft::scheme_units(config, scheme, 40, models::Buffers::kFrozen);
      const std::string name = scheme + ".7";
      for (const Unit& unit : units) {
        if (unit.name == name) return unit;
      }
      FAIL("no unit " << name);
      return Unit();
    };
    CHECK(block("block").parameter_count == 7087872);
    CHECK(block("layernorm").parameter_count == 4 * 768);
    CHECK(block("bias").parameter_count == 11 * 768);
    CHECK(block("layernorm+bias").parameter_count == 13 * 768);
    CHECK(block("lora").parameter_count == 4 * 8 * 768);
    CHECK(block("adapter+lora").parameter_count == 74544 + 4 * 8 * 768);
    CHECK(block("block+adapter").parameter_count == 7087872 + 74544);
    CHECK(block("lora").parameters.front() ==
          std::string(model_type) + ".encoder.layer.7.attention.attention.query.lora_A.weight");
    CHECK(peft::scheme_units(config, "lora", 40, models::Buffers::kFrozen).front().parameters ==
          peft::scheme_units(config, "block", 40, models::Buffers::kFrozen).front().parameters);

    // No weight is in two units, and all schemes together hold every one.
    std::set<std::string> held;
    for (const char* scheme : {"block", "adapter+lora+prompt", "layernorm+bias"}) {
      std::multiset<std::string> here;
      for (const Unit& unit : peft::scheme_units(config, scheme, 40, models::Buffers::kFrozen)) {
        here.insert(unit.parameters.begin(), unit.parameters.end());
        CHECK(unit.bytes == 4 * unit.parameter_count);
      }
      for (const std::string& name : here) CHECK(here.count(name) == 1);
      held.insert(here.begin(), here.end());
    }
    CHECK(held.size() == config.blueprint().parameters().size());
  }
}

TEST_CASE("prompts are one unit, above the embeddings") {
  const auto names = [](const std::string& scheme) {
    test::ModelShape config = with_peft();
    config.num_hidden_layers = 2;
    std::vector<std::string> found;
    for (const Unit& unit : peft::scheme_units(config, scheme, 40, models::Buffers::kFrozen))
      found.push_back(unit.name);
    return found;
  };
  CHECK(names("prompt") == std::vector<std::string>{"embeddings", "prompt", "head"});
  CHECK(names("bias+prompt") ==
        std::vector<std::string>{"embeddings", "prompt", "bias.0", "bias.1", "head"});
  const Unit prompt = peft::scheme_units(with_peft(), "prompt", 40, models::Buffers::kFrozen)[1];
  CHECK(prompt.parameters == std::vector<std::string>{"prompt_embeddings"});
  CHECK(prompt.parameter_count == 5 * 768);
  CHECK(prompt.activation_bytes == 0);
}

TEST_CASE("a scheme that the model cannot have is refused in one line") {
  test::ModelShape config = with_peft();
  const auto refused = [&](const std::string& scheme, const std::string& message) {
    CHECK_THROWS_WITH(peft::scheme_units(config, scheme, 40, models::Buffers::kFrozen),
                      Contains("unit scheme \"" + scheme + "\"") && Contains(message));
    CHECK_THROWS_AS(peft::scheme_units(config, scheme, 40, models::Buffers::kFrozen), InputError);
  };
  refused("layernrom", "unknown kind \"layernrom\" (did you mean \"layernorm\"?)");
  refused("", "unknown kind \"\"");
  refused("adapter+", "unknown kind \"\"");
  refused("adapter+lora+adapter", "\"adapter\" is named twice");
  refused("prompt+prompt", "\"prompt\" is named twice");
  refused("block+bias", "\"block\" holds what \"bias\" would add");
  config.peft = {};
  refused("adapter", "the model has no adapters (its adapter_reduction is 0)");
  refused("lora", "the model has no LoRA pairs (its lora_rank is 0)");
  refused("bias+prompt", "the model has no prompts (its prompt_length is 0)");
}

TEST_CASE("costs of the schemes by hand") {
  test::ModelShape config = by_hand();
  config.peft.adapter_reduction = 4;
  config.peft.lora_rank = 3;
  const auto unit = [&](const std::string& scheme, int block) {
    return peft::scheme_units(config, scheme, 5,
                              models::Buffers::kFrozen)[block + 1];  // 5 + 1 + 4 = 10 tokens
  };
  CHECK(unit("adapter", 0).forward_flops == 2 * 2 * 10 * 8 * 2);
  CHECK(unit("adapter", 1).forward_flops == 2 * 2 * 1 * 8 * 2);
  CHECK(unit("adapter", 0).activation_bytes == 4 * (80 + 20));
  // Query and value; in the last block the query is one token's.
  CHECK(unit("lora", 0).forward_flops == 2 * 2 * 10 * 3 * 16);
  CHECK(unit("lora", 1).forward_flops == 2 * (1 + 10) * 3 * 16);
  const double above = 3 * 80 + 2 * 100 + (80 + 2 * 10) + 320 + 20;  // from attention upwards
  CHECK(unit("lora", 0).activation_bytes == 4 * (80 + 2 * 30 + above));
  CHECK(unit("layernorm", 0).forward_flops == 0);
  CHECK(unit("layernorm", 0).activation_bytes == 4 * (80 + 2 * 10 + above));
  CHECK(unit("bias", 0).activation_bytes == unit("layernorm", 0).activation_bytes);
  CHECK(unit("adapter+layernorm", 0).activation_bytes ==
        4 * (80 + 2 * 10 + above + 80));  // the adapter's bottleneck is passed already
  CHECK(unit("adapter+lora", 0).forward_flops ==
        unit("adapter", 0).forward_flops + unit("lora", 0).forward_flops);
  const double block = unit("block", 0).forward_flops;
  config.peft.prompt_length = 2;
  CHECK(unit("block", 0).forward_flops ==
        block + 2.0 * (4 * 2 * 64 + 2 * (144 - 100) * 8 + 2 * 2 * 8 * 32));
  config.peft.lora_targets = {"output.dense"};
  CHECK(unit("lora", 1).forward_flops == 2 * 3 * (16 + 40));
}

TEST_CASE("the work of training by hand: what the gradient reaches, and what it must pass") {
  test::ModelShape config = by_hand();
  config.peft.lora_rank = 3;
  config.peft.lora_targets = {"query"};
  const std::string first = "vilt.encoder.layer.0.", last = "vilt.encoder.layer.1.";
  // 5 + 1 + 4 = 10 tokens, of which the last block computes one beyond its keys and values.
  const auto work = [&](const std::set<std::string>& trained) {
    return training_cost(config.blueprint(), 5, trained).backward_flops;
  };
  const double head = 2 * (64 + 128 + 32);
  const std::set<std::string> classifier = {"classifier.0.weight", "classifier.0.bias",
                                            "classifier.3.weight"};
  CHECK(work({}) == 0);
  // Of the pooler and what lies below nothing is needed.
  CHECK(work(classifier) == 2 * (128 + 2 * 32));

  // In the last block's query, of one token: A's own gradient, the one to A's output through B, and
  // B's own; both products of attention, twice each; then everything above.
  const double attention = 4 * 10 * 8, above = 64 + 8 * 32 + 32 * 8;
  const std::string a = "attention.attention.query.lora_A.weight";
  const std::string b = "attention.attention.query.lora_B.weight";
  CHECK(work({last + a, last + b}) == 2 * (3 * 8 + 2 * 3 * 8 + attention + above) + head);
  CHECK(work({last + a}) == 2 * (3 * 8 + 3 * 8 + attention + above) + head);
  CHECK(work({last + b}) == 2 * (3 * 8 + attention + above) + head);

  // In the first block's, of ten tokens. The last one is passed: query, key and value, and the
  // pair's two products.
  const double passed = 64 + 2 * 10 * 64 + 2 * 3 * 8 + attention + above;
  const double rest = 4 * 100 * 8 + 10 * (64 + 2 * 8 * 32);
  CHECK(work({first + a, first + b}) == 2 * (10 * 3 * 3 * 8 + rest + passed) + head);
  CHECK(work({first + a}) == 2 * (10 * 2 * 3 * 8 + rest + passed) + head);
  CHECK(work({first + b}) == 2 * (10 * 3 * 8 + rest + passed) + head);
  // A weight of the embeddings makes every product of the block necessary, but for its own; the
  // patches' projection is beside it.
  CHECK(work({"vilt.embeddings.cls_token"}) - work({first + b}) ==
        2 * (10 * (3 * 64) + 10 * 3 * 8));
}

TEST_CASE(
    "the peak of training by hand: all weights, three numbers for each trained one, the batch") {
  test::ModelShape config = by_hand();
  const TrainingCost cost = training_cost(
      config.blueprint(), 5, {"classifier.0.weight", "classifier.0.bias", "classifier.3.weight"});
  std::int64_t all = 0;
  for (const Parameter& weight : config.blueprint().parameters()) {
    std::int64_t numbers = 1;
    for (const std::int64_t size : weight.shape) numbers *= size;
    all += numbers;
  }
  CHECK(cost.all_parameters == all);
  CHECK(cost.parameters == 16 * 8 + 16 + 2 * 16);
  // The classifier's inputs, and what its LayerNorm and GELU keep to pass the gradient on.
  CHECK(cost.activation_bytes == 4 * (8 + (16 + 2) + 16 + 16));
  // Ten tokens: the residual stream twice, and the MLP's numbers twice, more than attention's.
  CHECK(cost.working_bytes == 4 * (2 * 80 + 2 * 320));
  // The samples of a forward pass alone, for which no stage's input need be kept.
  CHECK(forward_rows(config.blueprint(), 5, 10 * 3200 + 3199) == 10);
  CHECK(forward_rows(config.blueprint(), 5, 10 * 3200) == 10);
  CHECK(forward_rows(config.blueprint(), 5, 1) == 1);
  CHECK(cost.peak_bytes(3) == 4.0 * static_cast<double>(all) + 12 * 176 + 3 * (4 * 58 + 3200));
}

TEST_CASE("ViT has no text in its weights and costs") {
  test::ModelShape config = with_peft("vit");
  config.image_size = 224;
  config.patch_size = 16;
  config.labels.resize(1000);
  config.peft = {};
  const std::vector<Unit> units = peft::scheme_units(config, "block", 40, models::Buffers::kFrozen);
  CHECK(count(units) == 86567656);  // google/vit-base-patch16-224
  CHECK(units.front().activation_bytes == 4.0 * 196 * 768);
  CHECK(units.back().forward_flops == 2.0 * 768 * 1000);
  CHECK(units.back().parameters ==
        std::vector<std::string>{"vit.layernorm.weight", "vit.layernorm.bias", "classifier.weight",
                                 "classifier.bias"});
  CHECK(units[1].activation_bytes ==
        peft::scheme_units(config, "block", 7, models::Buffers::kFrozen)[1].activation_bytes);
}

TEST_CASE("what goes with BatchNorms that are trained: averaged, frozen, or each client's own") {
  const Blueprint blueprint = test::tiny_resnet(false, 1).blueprint();
  const auto with = [&](Buffers policy, const std::string& scheme) {
    return peft::scheme_units(blueprint, scheme, policy);
  };
  const std::vector<Unit> plain = peft::scheme_units(blueprint, "block", models::Buffers::kFrozen);
  const auto unit = [](const std::vector<Unit>& units, const std::string& name) {
    return *std::find_if(units.begin(), units.end(), [&](const Unit& u) { return u.name == name; });
  };
  const Unit before = unit(plain, "block.0");
  std::int64_t norms = 0, numbers = 0;
  for (const std::string& name : before.parameters) {
    const Layer& layer = blueprint.layer_of(name);
    if (layer.kind != LayerKind::kBatchNorm) continue;
    norms += name == layer.weight()->name;
    numbers += blueprint.parameter(name).numel();
  }
  REQUIRE(norms > 1);

  const Unit averaged = unit(with(Buffers::kAverage, "block"), "block.0");
  CHECK(averaged.parameters == before.parameters);
  CHECK(averaged.local.empty());
  CHECK(static_cast<std::int64_t>(averaged.buffers.size()) == 2 * norms);
  CHECK(averaged.bytes == before.bytes + 4 * numbers);  // as many statistics as γ and β
  for (const std::string& name : averaged.buffers) {
    CHECK(name.find("running_") != std::string::npos);
    CHECK(before.parameters.end() ==
          std::find(before.parameters.begin(), before.parameters.end(), name));
  }
  CHECK(moving_norms(blueprint, {averaged}).size() == static_cast<std::size_t>(norms));
  CHECK(state_of(averaged).size() == before.parameters.size() + averaged.buffers.size());

  const Unit frozen = unit(with(Buffers::kFrozen, "block"), "block.0");
  CHECK(frozen.buffers.empty());
  CHECK(frozen.bytes == before.bytes);

  const Unit local = unit(with(Buffers::kLocal, "block"), "block.0");
  CHECK(local.buffers == averaged.buffers);
  CHECK(static_cast<std::int64_t>(local.local.size()) == 4 * norms);
  CHECK(local.bytes == before.bytes - 4 * numbers);
  for (const std::string& name : local.local) {
    CHECK(is_local(local, name));
    CHECK(blueprint.layer_of(name).kind == LayerKind::kBatchNorm);
  }

  // β alone keeps its BatchNorm's input where that normalises by the batch, as γ always does.
  const auto kept = [&](Buffers policy, const std::string& scheme) {
    return unit(with(policy, scheme), scheme + ".0").activation_bytes;
  };
  const double of_gamma = kept(Buffers::kFrozen, "norm");
  CHECK(kept(Buffers::kFrozen, "bias") < of_gamma);
  for (const Buffers policy : {Buffers::kAverage, Buffers::kLocal}) {
    CHECK(kept(policy, "bias") == of_gamma);
    CHECK(kept(policy, "norm") == of_gamma);
  }
  CHECK(averaged.forward_flops == frozen.forward_flops);

  // What stands in several units, as one.
  std::set<std::string> names;
  for (const Unit& each : plain) names.insert(each.parameters.begin(), each.parameters.end());
  for (const Buffers policy : {Buffers::kAverage, Buffers::kFrozen, Buffers::kLocal}) {
    std::int64_t bytes = 0;
    for (const Unit& each : with(policy, "block")) bytes += each.bytes;
    const Unit all = unit_of(blueprint, names, policy);
    CHECK(all.bytes == bytes);
    CHECK(all.parameter_count == count(plain));
  }
  CHECK(unit_of(blueprint, {"nowhere"}, Buffers::kAverage).parameters.empty());

  // The head has none, and a scheme that trains no γ and β moves nothing.
  CHECK(unit(with(Buffers::kAverage, "block"), "head").buffers.empty());
  CHECK_FALSE(unit(with(Buffers::kAverage, "bias"), "bias.0").buffers.empty());
}
