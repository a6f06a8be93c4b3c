#include "support/kept_bytes.h"
#include "support/mapped.h"
#include "support/shards.h"
#include "support/tiny_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <optional>
#include <set>

#include "catch.h"
#include "models/attention.h"
#include "models/device.h"
#include "models/dropout.h"
#include "strata/core/error.h"
#include "strata/core/safetensors.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::models;
using Catch::Matchers::Contains;
using torch::Tensor;

namespace {

const std::filesystem::path kReferences =
    std::filesystem::path(STRATA_SOURCE_DIR) / "tests" / "reference";
const std::filesystem::path kReference = kReferences / "vilt";

/// A tensor that transformers recorded for its ViLT or its ViT.
Tensor recorded(const std::string& name, const std::string& architecture = "vilt") {
  const SafetensorsFile file(kReferences / architecture / "recorded.safetensors");
  const TensorEntry* entry = file.find(name);
  REQUIRE(entry);
  Tensor tensor =
      torch::empty(entry->shape, entry->dtype == Dtype::kI64 ? torch::kInt64 : torch::kFloat);
  std::memcpy(tensor.data_ptr(), file.bytes(*entry).data(), file.bytes(*entry).size());
  return tensor;
}

/// All tensors of a safetensors file, in its order.
std::vector<TensorView> views_of(const SafetensorsFile& file) {
  std::vector<TensorView> views;
  for (const TensorEntry& entry : file.tensors())
    views.push_back({entry.name, entry.dtype, entry.shape, file.bytes(entry)});
  return views;
}

Batch recorded_batch(const std::string& architecture = "vilt") {
  Batch batch;
  if (architecture == "vilt") {
    batch.input_ids = recorded("input_ids");
    batch.attention_mask = recorded("attention_mask");
  }
  batch.pixels = recorded("pixels", architecture);
  batch.labels = recorded("labels", architecture);
  return batch;
}

double relative_error(const Tensor& found, const Tensor& expected) {
  return ((found - expected).norm() / expected.norm()).item<double>();
}

Tensor loss_of(const Model& model, const Batch& batch) {
  return torch::cross_entropy_loss(model.forward(batch), batch.labels);
}

void to_double(Model& model) {
  for (const auto& [name, tensor] : model.weights()) {
    model.weight(name) = tensor.detach().to(torch::kDouble);
  }
}

/// Every method, on half of the linear layers and with a scale of LoRA that is not 1.
test::PeftShape every_method() {
  test::PeftShape peft;
  peft.adapter_reduction = 4;
  peft.lora_rank = 3;
  peft.lora_alpha = 4.5;
  peft.lora_targets = {"query", "value", "intermediate.dense"};
  peft.prompt_length = 2;
  return peft;
}

/// Each method of every_method alone, all of them, and none.
std::vector<test::PeftShape> methods() {
  test::PeftShape adapter, lora = every_method(), prompt;
  adapter.adapter_reduction = lora.adapter_reduction;
  prompt.prompt_length = lora.prompt_length;
  lora.adapter_reduction = lora.prompt_length = 0;
  return {adapter, lora, prompt, every_method(), {}};
}

/// The recorded model with these methods, in double; no weight is left at its initial zero.
Model peft_model(const std::string& architecture, const test::PeftShape& peft = every_method()) {
  Model model = peft::load_model(kReferences / architecture);
  if (peft.any()) test::add_peft(model, peft, 5);
  to_double(model);
  torch::manual_seed(4);
  for (const Parameter& weight : test::added_parameters(model)) {
    model.weight(weight.name).add_(torch::randn(weight.shape, torch::kDouble), 0.2);
  }
  return model;
}

/// One sample's logits without batch, padding and mask, as the papers write them: prompts before
/// the text and the image, every block computing every token, and the class token read at the end.
Tensor by_hand(const Model& model, const Batch& batch, std::int64_t sample) {
  const test::ModelShape c = test::shape_of(model);
  const auto has = [&](const std::string& name) { return model.weights().count(name) > 0; };
  const auto linear = [&](const std::string& name, const Tensor& x) {
    const Tensor y = x.matmul(model.weight(name + ".weight").t()) + model.weight(name + ".bias");
    if (!has(name + ".lora_A.weight")) return y;
    const Tensor small = x.matmul(model.weight(name + ".lora_A.weight").t());
    return y + c.peft.lora_alpha / static_cast<double>(c.peft.lora_rank) *
                   small.matmul(model.weight(name + ".lora_B.weight").t());
  };
  const auto norm = [&](const std::string& name, const Tensor& x, double eps) {
    const Tensor centred = x - x.mean(-1, true);
    return centred / (centred.square().mean(-1, true) + eps).sqrt() *
               model.weight(name + ".weight") +
           model.weight(name + ".bias");
  };
  const std::string embeddings = c.prefix() + "embeddings.";
  const std::string text = embeddings + "text_embeddings.";
  std::vector<Tensor> parts;
  if (c.peft.prompt_length > 0) parts.push_back(model.weight("prompt_embeddings"));
  const std::string projection = embeddings + "patch_embeddings.projection.";
  Tensor image = torch::conv2d(batch.pixels.narrow(0, sample, 1).to(torch::kDouble),
                               model.weight(projection + "weight"),
                               model.weight(projection + "bias"), c.patch_size);
  image = torch::cat({model.weight(embeddings + "cls_token")[0], image[0].flatten(1).t()}) +
          model.weight(embeddings + "position_embeddings")[0];
  if (c.has_text()) {
    const Tensor types = model.weight(embeddings + "token_type_embeddings.weight");
    const auto length = batch.attention_mask[sample].sum().to(torch::kInt64).item<std::int64_t>();
    const Tensor ids = batch.input_ids[sample].narrow(0, 0, length);
    const Tensor words = model.weight(text + "word_embeddings.weight").index_select(0, ids) +
                         model.weight(text + "position_embeddings.weight").narrow(0, 0, length) +
                         model.weight(text + "token_type_embeddings.weight")[0];
    parts.push_back(norm(text + "LayerNorm", words, c.layer_norm_eps) + types[0]);
    image = image + types[1];
  }
  parts.push_back(image);
  Tensor x = torch::cat(parts);
  for (std::int64_t block = 0; block < c.num_hidden_layers; ++block) {
    const std::string layer = c.prefix() + "encoder.layer." + std::to_string(block) + ".";
    const Tensor normed = norm(layer + "layernorm_before", x, c.layer_norm_eps);
    const auto head = [&](const std::string& name, std::int64_t h) {
      return linear(layer + "attention.attention." + name, normed)
          .narrow(1, h * c.head_size(), c.head_size());
    };
    std::vector<Tensor> heads;
    for (std::int64_t h = 0; h < c.num_attention_heads; ++h) {
      const Tensor scores = head("query", h).matmul(head("key", h).t()) /
                            std::sqrt(static_cast<double>(c.head_size()));
      heads.push_back(torch::softmax(scores, -1).matmul(head("value", h)));
    }
    x = x + linear(layer + "attention.output.dense", torch::cat(heads, 1));
    const Tensor inner = torch::gelu(
        linear(layer + "intermediate.dense", norm(layer + "layernorm_after", x, c.layer_norm_eps)));
    x = x + linear(layer + "output.dense", inner);
    const std::string adapter = layer + "output.adapters.strata.adapter_";
    if (c.peft.adapter_reduction > 0) {
      x = x + linear(adapter + "up", torch::relu(linear(adapter + "down.0", x)));
    }
  }
  const Tensor first = norm(c.prefix() + "layernorm", x, c.layer_norm_eps)[c.peft.prompt_length];
  if (!c.has_text()) return linear("classifier", first);
  const Tensor pooled = torch::tanh(linear("vilt.pooler.dense", first));
  return linear("classifier.3",
                torch::gelu(norm("classifier.1", linear("classifier.0", pooled), 1e-5)));
}

/// The gradients of weights that the captured operations give with their δ's.
void contract(const CapturedOp& op, const Tensor& delta, const Model& model,
              std::map<std::string, Tensor>& gradients) {
  const auto add = [&](const std::string& name, const Tensor& gradient) {
    const Tensor shaped = gradient.reshape(model.weight(name).sizes());
    gradients[name] = gradients.count(name) ? gradients[name] + shaped : shaped;
  };
  const Tensor rows = delta.reshape({-1, delta.size(-1)});
  if (!op.bias.empty()) add(op.bias, rows.sum(0));
  if (op.weight.empty()) return;
  const auto inputs = [&] { return op.rows().reshape({-1, op.row_width()}); };
  switch (op.kind) {
    case CapturedOp::Kind::kLinear:
      return add(op.weight, rows.t().mm(inputs()));
    case CapturedOp::Kind::kNorm:
      return add(op.weight, (rows * inputs()).sum(0));
    case CapturedOp::Kind::kEmbedding:
      return add(
          op.weight,
          torch::zeros_like(model.weight(op.weight)).index_add(0, op.input.reshape({-1}), rows));
    case CapturedOp::Kind::kAdded:
      return add(op.weight, delta.sum(0));
    case CapturedOp::Kind::kMixture:
      FAIL("only images of another size than the model's have one");
  }
}

std::vector<std::string> all_units(const Model& model) {
  std::vector<std::string> names;
  for (const Unit& unit : model.units()) names.push_back(unit.name);
  return names;
}

}  // namespace

TEST_CASE("logits and gradients are those of transformers") {
  const auto [architecture, recorded_gradients] =
      GENERATE(std::pair<std::string, int>{"vilt", 18}, std::pair<std::string, int>{"vit", 12});
  CAPTURE(architecture);
  Model model = peft::load_model(kReferences / architecture);
  model.train_only(all_units(model));
  const Batch batch = recorded_batch(architecture);
  CHECK(relative_error(model.forward(batch), recorded("logits", architecture)) < 1e-5);
  const Tensor loss = loss_of(model, batch);
  CHECK(relative_error(loss, recorded("loss", architecture)) < 1e-5);
  loss.backward();

  const SafetensorsFile file(kReferences / architecture / "recorded.safetensors");
  int gradients = 0;
  for (const TensorEntry& entry : file.tensors()) {
    const std::string prefix = "gradient.";
    if (entry.name.rfind(prefix, 0) != 0) continue;
    const std::string name = entry.name.substr(prefix.size());
    INFO(name);
    CHECK(relative_error(model.weight(name).grad(), recorded(entry.name, architecture)) < 1e-4);
    ++gradients;
  }
  CHECK(gradients == recorded_gradients);
}

TEST_CASE("padding changes nothing") {
  const Model model = peft::load_model(kReference);
  Batch batch = recorded_batch();
  const Tensor logits = model.forward(batch);
  batch.input_ids = torch::cat({batch.input_ids, torch::full({3, 4}, 7, torch::kInt64)}, 1);
  batch.attention_mask = torch::cat({batch.attention_mask, torch::zeros({3, 4})}, 1);
  CHECK(relative_error(model.forward(batch), logits) < 1e-6);
  const Batch one{batch.input_ids.narrow(0, 1, 1).narrow(1, 0, 4), torch::ones({1, 4}),
                  batch.pixels.narrow(0, 1, 1), batch.labels.narrow(0, 1, 1)};
  CHECK(relative_error(model.forward(one), logits.narrow(0, 1, 1)) < 1e-5);
}

TEST_CASE(
    "with every method, each sample's logits are those of a forward pass of its own by hand") {
  for (const std::string architecture : {"vilt", "vit"}) {
    const Batch batch = recorded_batch(architecture);
    for (const test::PeftShape& peft : methods()) {
      CAPTURE(architecture, peft.adapter_reduction, peft.lora_rank, peft.prompt_length);
      const Model model = peft_model(architecture, peft);
      const Tensor logits = model.forward(batch);
      for (std::int64_t i = 0; i < batch.size(); ++i) {
        CHECK(relative_error(logits[i], by_hand(model, batch, i)) < 1e-10);
      }
    }
  }
}

TEST_CASE("padding changes nothing with any method") {
  for (const test::PeftShape& peft : methods()) {
    CAPTURE(peft.adapter_reduction, peft.lora_rank, peft.prompt_length);
    const Model model = peft_model("vilt", peft);
    Batch batch = recorded_batch();
    const Tensor logits = model.forward(batch);
    batch.input_ids = torch::cat({batch.input_ids, torch::full({3, 4}, 7, torch::kInt64)}, 1);
    batch.attention_mask = torch::cat({batch.attention_mask, torch::zeros({3, 4})}, 1);
    CHECK(relative_error(model.forward(batch), logits) < 1e-12);
  }
}

TEST_CASE("fused attention is its definition, forwards and backwards") {
  struct Shape {
    std::int64_t n, heads, queries, tokens, size;
  };
  for (const Shape& s : {Shape{3, 2, 29, 29, 16}, Shape{2, 3, 1, 13, 7}, Shape{1, 1, 40, 40, 24}}) {
    CAPTURE(s.n, s.heads, s.queries, s.tokens, s.size);
    torch::manual_seed(3);
    const std::int64_t width = s.heads * s.size;
    const auto make = [&](std::int64_t rows) {
      return torch::randn({rows, width}, torch::kDouble).requires_grad_(true);
    };
    const Tensor query = make(s.n * s.queries), key = make(s.n * s.tokens);
    const Tensor value = make(s.n * s.tokens);
    Tensor mask = torch::zeros({s.n, s.tokens}, torch::kDouble);
    mask[0].narrow(0, 1, s.tokens / 2).fill_(std::numeric_limits<double>::lowest());
    const Tensor weight = torch::randn({s.n * s.queries, width}, torch::kDouble);
    const auto split = [&](const Tensor& x) {
      return x.view({s.n, -1, s.heads, s.size}).transpose(1, 2);
    };
    const Tensor scores = torch::matmul(split(query), split(key).transpose(2, 3)) /
                              std::sqrt(static_cast<double>(s.size)) +
                          mask.view({s.n, 1, 1, s.tokens});
    const Tensor expected = torch::matmul(torch::softmax(scores, -1), split(value))
                                .transpose(1, 2)
                                .reshape({-1, width});
    const Tensor found = attention(query, key, value, mask, Heads{s.heads});
    CHECK(relative_error(found, expected) < 1e-12);
    const auto slopes = [&](const Tensor& out) {
      return torch::autograd::grad({(out * weight).sum()}, {query, key, value});
    };
    const auto ours = slopes(found), theirs = slopes(expected);
    for (int i = 0; i < 3; ++i) CHECK((ours[i] - theirs[i]).norm().item<double>() < 1e-11);
  }
}

TEST_CASE("gradients in double agree with finite differences") {
  for (const std::string architecture : {"vilt", "vit"}) {
    Model model = peft_model(architecture);
    const Batch batch = recorded_batch(architecture);
    const std::string layer = architecture + ".encoder.layer.0.";
    for (const std::string& name :
         {layer + "attention.attention.key.weight",
          layer + "attention.attention.query.lora_A.weight",
          layer + "intermediate.dense.lora_B.weight",
          layer + "output.adapters.strata.adapter_down.0.weight",
          layer + "output.adapters.strata.adapter_up.bias", std::string("prompt_embeddings")}) {
      INFO(name);
      Tensor& weight = model.weight(name);
      weight.set_requires_grad(true);
      const Tensor gradient = torch::autograd::grad({loss_of(model, batch)}, {weight})[0];
      weight.set_requires_grad(false);
      const Tensor direction =
          torch::sin(torch::arange(weight.numel(), torch::kDouble)).view(weight.sizes());
      const double slope = (gradient * direction).sum().item<double>();
      const auto shifted = [&](double step) {
        weight.add_(direction, step);
        const double loss = loss_of(model, batch).item<double>();
        weight.sub_(direction, step);
        return loss;
      };
      CHECK(std::abs(slope) > 1e-6);
      CHECK(slope == Approx((shifted(1e-5) - shifted(-1e-5)) / 2e-5).epsilon(1e-5));
    }
  }
}

TEST_CASE("the stages in turn are the forward pass, to the bit") {
  for (const std::string architecture : {"vilt", "vit"}) {
    Model model = peft::load_model(kReferences / architecture);
    const Batch batch = recorded_batch(architecture);
    for (const bool with_peft : {false, true}) {
      if (with_peft) test::add_peft(model, every_method(), 5);
      REQUIRE(model.stage_count() == 4);
      State state;
      for (std::int64_t stage = 0; stage < 4; ++stage) {
        std::vector<CapturedOp> ops;
        const Tensor captured = test::only(model.capture_stage(stage, batch, state, {}, ops));
        state = model.run_stage(stage, batch, state);
        CHECK(torch::equal(captured, test::only(state)));
        CHECK(ops.empty());
        CHECK_FALSE(captured.requires_grad());
      }
      CHECK(torch::equal(state.values.at(kLogits), model.forward(batch)));
    }
    // Also of weights that are being trained, none is in what was captured.
    model.train_only(all_units(model));
    std::vector<CapturedOp> ops;
    CHECK_FALSE(test::only(model.capture_stage(0, batch, {}, {}, ops)).requires_grad());
    CHECK(test::only(model.run_stage(0, batch, {})).requires_grad());
    CHECK(model.stage_of(architecture + ".embeddings.cls_token") == 0);
    CHECK(model.stage_of("prompt_embeddings") == 0);
    CHECK(model.stage_of(architecture + ".encoder.layer.1.output.dense.bias") == 2);
    CHECK(model.stage_of(architecture + ".layernorm.weight") == 3);
    CHECK_THROWS_WITH(model.stage_of(architecture + ".layernrom.weight"),
                      Contains("did you mean \"" + architecture + ".layernorm.weight\"?"));
  }
}

TEST_CASE("captured inputs and δ's give the gradients of autograd, for every kind of unit") {
  for (const std::string architecture : {"vilt", "vit"}) {
    const Batch batch = recorded_batch(architecture);
    for (const std::string scheme : {"block", "adapter", "lora", "layernorm", "bias", "prompt",
                                     "adapter+layernorm+prompt", "lora+bias"}) {
      Model model = peft_model(architecture);
      peft::set_units(model, scheme, models::Buffers::kFrozen);
      std::set<std::string> wanted, found;
      for (const Unit& unit : model.units()) {
        wanted.insert(unit.parameters.begin(), unit.parameters.end());
      }
      State below;
      for (std::int64_t stage = 0; stage < model.stage_count(); ++stage) {
        CAPTURE(architecture, scheme, stage);
        // From every second stage's input, and from the recorded operations alone.
        const bool from_input = stage > 0 && stage % 2 == 0;
        Tensor input = test::only(below);
        if (input.defined()) input = input.detach().requires_grad_(from_input);
        const State state = test::with_value(below, input);
        std::vector<CapturedOp> ops;
        State above;
        {
          const torch::NoGradGuard no_grad;  // capturing switches gradients on by itself
          above = model.capture_stage(stage, batch, state, wanted, ops);
        }
        const Tensor output = test::only(above);
        torch::manual_seed(stage);
        const Tensor gradient = torch::randn(output.sizes(), torch::kDouble);
        std::vector<Tensor> targets;
        for (const CapturedOp& op : ops) targets.push_back(op.output);
        if (from_input) targets.push_back(input);
        std::map<std::string, Tensor> ours;
        if (!targets.empty()) {
          const auto deltas = torch::autograd::grad({output}, targets, {gradient});
          for (std::size_t i = 0; i < ops.size(); ++i) {
            const CapturedOp& op = ops[i];
            const bool has_input = !op.weight.empty() && op.kind != CapturedOp::Kind::kAdded;
            CHECK(op.input.defined() == has_input);
            CHECK_FALSE((op.weight.empty() && op.bias.empty()));
            contract(op, deltas[i], model, ours);
          }
          std::vector<Tensor> weights;
          std::vector<std::string> names;
          for (const auto& [name, sum] : ours) {
            CHECK(wanted.count(name) == 1);
            CHECK(model.stage_of(name) == stage);
            found.insert(name);
            names.push_back(name);
            weights.push_back(model.weight(name).set_requires_grad(true));
          }
          if (from_input) weights.push_back(input);
          const Tensor plain = test::only(model.run_stage(stage, batch, state));
          CHECK(relative_error(output, plain) < 1e-12);
          const auto theirs = torch::autograd::grad({plain}, weights, {gradient});
          for (std::size_t i = 0; i < names.size(); ++i) {
            INFO(names[i]);
            CHECK((ours.at(names[i]) - theirs[i]).norm().item<double>() <
                  1e-10 * (1 + theirs[i].norm().item<double>()));
            weights[i].set_requires_grad(false);
          }
          if (from_input) CHECK(relative_error(deltas.back(), theirs.back()) < 1e-10);
        }
        below = test::with_value(above, output.detach());
      }
      CHECK(found == wanted);
    }
  }
}

TEST_CASE("LoRA pairs that PEFT wrote are loaded, and give its logits and gradients") {
  test::TempDir dir;
  const auto copy = [&](const char* folder, const char* file) {
    std::filesystem::copy_file(kReferences / folder / file, dir / file);
  };
  copy("vilt", "config.json");
  copy("vilt", "model.safetensors");
  copy("peft_lora", peft::kPeftConfigFile);
  copy("peft_lora", peft::kPeftWeightsFile);
  Model model = peft::load_model(dir.path());
  CHECK(test::shape_of(model).peft.lora_rank == 2);
  CHECK(test::shape_of(model).peft.lora_alpha == 3);
  peft::set_units(model, "lora", models::Buffers::kFrozen);
  model.train_only({"lora.0", "lora.1"});
  const Batch batch = recorded_batch();
  CHECK(relative_error(model.forward(batch), recorded("logits", "peft_lora")) < 1e-5);
  loss_of(model, batch).backward();
  const std::string layer = "vilt.encoder.layer.";
  for (const std::string& name : {layer + "0.attention.attention.query.lora_A.weight",
                                  layer + "0.intermediate.dense.lora_B.weight",
                                  layer + "1.attention.attention.value.lora_A.weight",
                                  layer + "1.attention.attention.value.lora_B.weight"}) {
    INFO(name);
    CHECK(relative_error(model.weight(name).grad(), recorded("gradient." + name, "peft_lora")) <
          1e-4);
  }
}

TEST_CASE("fresh LoRA pairs change nothing, adapters and prompts do") {
  for (const std::string architecture : {"vilt", "vit"}) {
    const Model base = peft::load_model(kReferences / architecture);
    const Batch batch = recorded_batch(architecture);
    test::PeftShape lora, adapter, prompt;
    lora.lora_rank = 4;
    lora.lora_targets = peft::lora_targets(base.blueprint());
    adapter.adapter_reduction = 2;
    prompt.prompt_length = 1;
    for (const test::PeftShape& peft : {lora, adapter, prompt}) {
      Model model = peft::load_model(kReferences / architecture);
      test::add_peft(model, peft, 9);
      CHECK(torch::equal(model.forward(batch), base.forward(batch)) == (peft.lora_rank > 0));
      for (const auto& [name, tensor] : base.weights()) {
        CHECK(torch::equal(model.weight(name), tensor));
      }
      CHECK_THROWS_WITH(test::add_peft(model, peft, 9), Contains("already"));
    }
  }
}

TEST_CASE("PEFT weights depend on the seed and their names alone") {
  test::ModelShape config = test::shape_of(peft::load_model(kReference));
  const Model base = test::make_model(config, 3);
  Model added = test::make_model(config, 3);
  test::add_peft(added, every_method(), 3);
  config.peft = every_method();
  const Model model = test::make_model(config, 3), other = test::make_model(config, 4);
  CHECK(model.fingerprint() == added.fingerprint());
  CHECK(model.fingerprint() != other.fingerprint());
  for (const auto& [name, tensor] : base.weights()) CHECK(torch::equal(model.weight(name), tensor));
  const std::string layer = "vilt.encoder.layer.1.";
  const Tensor& a = model.weight(layer + "intermediate.dense.lora_A.weight");
  const double bound = 1 / std::sqrt(32.0);
  CHECK(a.abs().max().item<double>() <= bound);
  CHECK(a.abs().max().item<double>() > 0.9 * bound);
  CHECK(model.weight(layer + "intermediate.dense.lora_B.weight").abs().sum().item<double>() == 0);
  const std::string adapter = layer + "output.adapters.strata.";
  CHECK(model.weight(adapter + "adapter_up.weight").std().item<double>() ==
        Approx(0.02).epsilon(0.15));
  CHECK(model.weight(adapter + "adapter_up.bias").abs().sum().item<double>() == 0);
  CHECK(model.weight("prompt_embeddings").std().item<double>() == Approx(0.02).epsilon(0.3));
}

TEST_CASE("saving and loading give the same bytes, with and without PEFT weights") {
  for (const std::string architecture : {"vilt", "vit"}) {
    test::TempDir dir;
    Model model = peft::load_model(kReferences / architecture);
    std::vector<std::string> files = {"config.json", "model.safetensors"};
    for (const bool with_peft : {false, true}) {
      if (with_peft) {
        test::add_peft(model, every_method(), 2);
        files.insert(files.end(), {peft::kPeftConfigFile, peft::kPeftWeightsFile,
                                   peft::kOwnConfigFile, peft::kOwnWeightsFile});
      }
      peft::save_model(model, dir / "a");
      const Model again = peft::load_model(dir / "a");
      peft::save_model(again, dir / "b");
      CHECK(again.fingerprint() == model.fingerprint());
      for (const std::string& file : files) {
        CHECK(test::slurp(dir / "a" / file) == test::slurp(dir / "b" / file));
      }
    }
    // The base model's file is the same with and without the methods, and saving a model without
    // them leaves none behind.
    peft::save_model(peft::load_model(kReferences / architecture), dir / "b");
    CHECK(test::slurp(dir / "a" / "model.safetensors") ==
          test::slurp(dir / "b" / "model.safetensors"));
    for (const std::string& file : files)
      CHECK(std::filesystem::exists(dir / "b" / file) == (file == files[0] || file == files[1]));

    const auto write_wider = [&](std::int64_t rank, std::int64_t reduction) {
      test::PeftShape wider = every_method();
      wider.lora_rank = rank;
      wider.adapter_reduction = reduction;
      Model described = peft::load_model(kReferences / architecture);
      test::add_peft(described, wider, 2);
      peft::save_model(described, dir / "wider");
      for (const char* file : {peft::kPeftConfigFile, peft::kOwnConfigFile}) {
        std::filesystem::copy_file(dir / "wider" / file, dir / "a" / file,
                                   std::filesystem::copy_options::overwrite_existing);
      }
    };
    write_wider(4, 4);
    CHECK_THROWS_WITH(peft::load_model(dir / "a"),
                      Contains(peft::kPeftWeightsFile) && Contains("adapter_config.json asks for"));
    write_wider(3, 2);
    CHECK_THROWS_WITH(peft::load_model(dir / "a"),
                      Contains(peft::kOwnWeightsFile) && Contains("strata_adapters.json asks for"));
    write_wider(3, 4);
    for (const char* file : {peft::kPeftWeightsFile, peft::kOwnWeightsFile}) {
      std::filesystem::rename(dir / "a" / file, dir / "elsewhere");
      CHECK_THROWS_WITH(peft::load_model(dir / "a"), Contains(file));
      std::filesystem::rename(dir / "elsewhere", dir / "a" / file);
    }
    CHECK(peft::load_model(dir / "a").fingerprint() == model.fingerprint());
  }
}

TEST_CASE("PEFT's files hold LoRA alone, ours what transformers does not know") {
  for (const std::string architecture : {"vilt", "vit"}) {
    test::TempDir dir;
    Model model = peft::load_model(kReferences / architecture);
    test::add_peft(model, every_method(), 2);
    peft::save_model(model, dir.path());
    const SafetensorsFile peft(dir / peft::kPeftWeightsFile), own(dir / peft::kOwnWeightsFile);
    const SafetensorsFile base(dir / "model.safetensors");
    // Three layers in two blocks, two matrices each; ViT's under two names.
    CHECK(peft.tensors().size() == (architecture == "vit" ? 24U : 12U));
    for (const TensorEntry& entry : peft.tensors()) {
      INFO(entry.name);
      CHECK(entry.name.rfind("base_model.model.", 0) == 0);
      CHECK(entry.name.find(".lora_") != std::string::npos);
    }
    // The prompt, and four weights of an adapter in each of two blocks.
    CHECK(own.tensors().size() == 9);
    CHECK(own.find("prompt_embeddings"));
    for (const SafetensorsFile* file : {&own, &base}) {
      for (const TensorEntry& entry : file->tensors()) {
        INFO(entry.name);
        CHECK(entry.name.find(".lora_") == std::string::npos);
        CHECK((file == &own || entry.name.find("adapter") == std::string::npos));
      }
    }
  }
}

TEST_CASE(
    "a folder of before, with every method in PEFT's files, is loaded and saved as a new one") {
  for (const bool with_lora : {true, false}) {
    test::TempDir dir;
    test::PeftShape peft = every_method();
    if (!with_lora) peft.lora_rank = 0;
    Model model = peft::load_model(kReference);
    test::add_peft(model, peft, 2);
    peft::save_model(model, dir / "new");
    std::filesystem::create_directory(dir / "old");
    for (const char* file : {"config.json", "model.safetensors"})
      std::filesystem::copy_file(dir / "new" / file, dir / "old" / file);
    const SafetensorsFile own(dir / "new" / peft::kOwnWeightsFile);
    std::vector<TensorView> views = views_of(own);
    std::optional<SafetensorsFile> lora;
    if (with_lora) {
      lora.emplace(dir / "new" / peft::kPeftWeightsFile);
      for (TensorView& view : views_of(*lora)) views.push_back(std::move(view));
    }
    write_safetensors(dir / "old" / peft::kPeftWeightsFile, views, {{"format", "pt"}});
    dir.write("old/adapter_config.json",
              std::string("{") +
                  (with_lora ? R"("peft_type": "LORA", "r": 3, "lora_alpha": 4.5, "target_modules":
                                  ["query", "value", "intermediate.dense"], )"
                             : "") +
                  R"("strata": {"version": 1, "adapter_reduction": 4, "prompt_length": 2}})");
    const Model loaded = peft::load_model(dir / "old");
    CHECK(loaded.fingerprint() == model.fingerprint());
    peft::save_model(loaded, dir / "old");
    for (const auto& entry : std::filesystem::directory_iterator(dir / "old")) {
      const auto name = entry.path().filename();
      INFO(name);
      REQUIRE(std::filesystem::exists(dir / "new" / name));
      CHECK(test::slurp(entry.path()) == test::slurp(dir / "new" / name));
    }
    CHECK(std::filesystem::exists(dir / "old" / peft::kPeftConfigFile) == with_lora);
    CHECK(std::filesystem::exists(dir / "old" / peft::kPeftWeightsFile) == with_lora);
    CHECK(std::filesystem::exists(dir / "old" / peft::kOwnWeightsFile));
  }
}

TEST_CASE("ViT's LoRA pairs of PEFT with transformers before and after 5.9 give its logits") {
  for (const std::string version : {"4.57.1", "5.24.0"}) {
    INFO(version);
    const auto theirs = kReferences / "vit_lora" / version;
    test::TempDir dir;
    for (const char* file : {"config.json", "model.safetensors"})
      std::filesystem::copy_file(kReferences / "vit" / file, dir / file);
    for (const char* file : {peft::kPeftConfigFile, peft::kPeftWeightsFile})
      std::filesystem::copy_file(theirs / file, dir / file);
    const Model model = peft::load_model(dir.path());
    const Batch batch = recorded_batch("vit");
    const std::string folder = "vit_lora/" + version;
    CHECK(relative_error(model.forward(batch), recorded("logits", folder)) < 1e-5);
    CHECK(relative_error(recorded("logits", folder), recorded("logits", "vit")) > 1e-2);

    // Saved, the file has each pair under both names, and the same bytes.
    peft::save_model(model, dir / "again");
    const SafetensorsFile file(dir / "again" / peft::kPeftWeightsFile);
    const SafetensorsFile given(theirs / peft::kPeftWeightsFile);
    CHECK(file.tensors().size() == 2 * given.tensors().size());
    for (const TensorEntry& entry : given.tensors()) {
      INFO(entry.name);
      REQUIRE(file.find(entry.name));
      CHECK(file.bytes(*file.find(entry.name)) == given.bytes(entry));
    }
    CHECK(peft::load_model(dir / "again").fingerprint() == model.fingerprint());
  }
}

TEST_CASE("a LoRA weight of ViT under both names must be one weight") {
  test::TempDir dir;
  Model model = peft::load_model(kReferences / "vit");
  test::PeftShape peft;
  peft.lora_rank = 2;
  test::add_peft(model, peft, 2);
  peft::save_model(model, dir.path());
  const std::string name = "base_model.model.vit.layers.1.attention.v_proj.lora_B.weight";
  const auto bytes = test::slurp(dir / peft::kPeftWeightsFile);
  const auto rewrite = [&](const std::function<void(std::vector<TensorView>&)>& change) {
    dir.write("copy.safetensors", bytes);
    const SafetensorsFile file(dir / "copy.safetensors");
    std::vector<TensorView> views = views_of(file);
    change(views);
    write_safetensors(dir / peft::kPeftWeightsFile, views);
  };
  std::string other;
  rewrite([&](auto& views) {
    for (TensorView& view : views) {
      if (view.name != name) continue;
      other.assign(view.bytes.size(), '\1');
      view.bytes = other;
    }
  });
  CHECK_THROWS_WITH(peft::load_model(dir.path()),
                    Contains(name) && Contains("two names of one weight"));
  // Under one of the names alone, either, it is read.
  for (const std::string part : {"vit.layers.", "vit.encoder."}) {
    rewrite([&](auto& views) {
      views.erase(std::remove_if(views.begin(), views.end(),
                                 [&](const TensorView& view) {
                                   return view.name.find(part) != std::string::npos;
                                 }),
                  views.end());
    });
    CHECK(peft::load_model(dir.path()).fingerprint() == model.fingerprint());
  }
  rewrite([](auto& views) { views.resize(views.size() - 2); });
  CHECK_THROWS_WITH(peft::load_model(dir.path()), Contains("is missing"));
}

TEST_CASE("half precision stays what it is in the file, double precision is read as float32") {
  test::TempDir dir;
  const Model model = peft::load_model(kReference);
  for (const auto& [dtype, type] :
       {std::pair{Dtype::kF16, torch::kHalf}, std::pair{Dtype::kBF16, torch::kBFloat16},
        std::pair{Dtype::kF64, torch::kDouble}}) {
    std::vector<Tensor> tensors;
    std::vector<TensorView> views;
    for (const Parameter& weight : model.blueprint().parameters()) {
      tensors.push_back(model.weight(weight.name).to(type).contiguous());
      views.push_back(
          {weight.name,
           dtype,
           weight.shape,
           {static_cast<const char*>(tensors.back().data_ptr()), tensors.back().nbytes()}});
    }
    write_safetensors(dir / "model.safetensors", views);
    std::filesystem::copy_file(kReference / "config.json", dir / "config.json",
                               std::filesystem::copy_options::overwrite_existing);
    const Model read = peft::load_model(dir.path());
    const std::string name = "classifier.0.weight";
    CHECK(read.weight(name).scalar_type() == (type == torch::kDouble ? torch::kFloat : type));
    CHECK(torch::equal(read.weight(name).to(torch::kFloat),
                       model.weight(name).to(type).to(torch::kFloat)));
  }
}

TEST_CASE("nothing is recorded below the lowest trained unit") {
  Model model = peft::load_model(kReference);
  const Batch batch = recorded_batch();
  model.train_only({"head"});
  const Tensor loss = loss_of(model, batch);
  loss.backward();
  for (const Unit& unit : model.units()) {
    for (const std::string& name : unit.parameters) {
      INFO(name);
      CHECK(model.weight(name).grad().defined() == (unit.name == "head"));
    }
  }

  // The length of the recorded graph grows with every unit that back-propagation must pass.
  const auto graph_nodes = [&](const std::string& lowest) {
    model.train_only({lowest});
    std::set<torch::autograd::Node*> seen;
    const Tensor loss = loss_of(model, batch);
    std::vector<torch::autograd::Node*> open = {loss.grad_fn().get()};
    while (!open.empty()) {
      torch::autograd::Node* node = open.back();
      open.pop_back();
      if (!node || !seen.insert(node).second) continue;
      for (const auto& edge : node->next_edges()) open.push_back(edge.function.get());
    }
    return seen.size();
  };
  const std::size_t head = graph_nodes("head"), block1 = graph_nodes("block.1"),
                    block0 = graph_nodes("block.0"), embeddings = graph_nodes("embeddings");
  CHECK(head < block1);
  CHECK(block1 < block0);
  CHECK(block0 < embeddings);

  // What is frozen again holds no gradient of the time before.
  model.train_only({"block.1"});
  for (const std::string& name : model.unit("head").parameters) {
    INFO(name);
    CHECK_FALSE(model.weight(name).grad().defined());
  }
  model.train_only({});
  CHECK_FALSE(model.forward(batch).requires_grad());
  CHECK_THROWS_WITH(model.train_only({"blok.1"}), Contains("did you mean \"block.1\"?"));
}

TEST_CASE("fresh weights depend on the seed alone and are drawn as transformers draws them") {
  test::ModelShape config;
  config.hidden_size = 32;
  config.num_hidden_layers = 1;
  config.num_attention_heads = 2;
  config.intermediate_size = 64;
  config.image_size = 16;
  config.patch_size = 8;
  config.vocab_size = 400;
  config.labels = {"yes", "no"};
  const Model model = test::make_model(config, 3), same = test::make_model(config, 3),
              other = test::make_model(config, 4);
  CHECK(model.fingerprint() == same.fingerprint());
  CHECK(model.fingerprint() != other.fingerprint());
  const auto& words = model.weight("vilt.embeddings.text_embeddings.word_embeddings.weight");
  CHECK(words.std().item<double>() == Approx(0.02).epsilon(0.05));
  CHECK(std::abs(words.mean().item<double>()) < 0.001);
  CHECK(model.weight("vilt.embeddings.cls_token").abs().sum().item<double>() == 0);
  CHECK(model.weight("vilt.embeddings.position_embeddings").abs().sum().item<double>() == 0);
  CHECK(model.weight("classifier.3.bias").abs().sum().item<double>() == 0);
  CHECK(model.weight("vilt.layernorm.weight").min().item<double>() == 1);
}

TEST_CASE("a scaled initialisation makes the two ends of a block's branches smaller by the depth") {
  test::ModelShape config;
  config.hidden_size = 48;
  config.num_hidden_layers = 8;
  config.num_attention_heads = 4;
  config.intermediate_size = 96;
  config.image_size = 16;
  config.patch_size = 8;
  config.vocab_size = 100;
  config.labels = {"yes", "no"};
  config.scaled_initialization = true;
  const Model model = test::make_model(config, 3);
  const auto deviation = [&](const std::string& name) {
    return model.weight(name + ".weight").std().item<double>();
  };
  for (int block = 0; block < 8; ++block) {
    const std::string layer = "vilt.encoder.layer." + std::to_string(block) + ".";
    CAPTURE(block);
    // A uniform number's variance is limit²/3, and Xavier's limit is √(6 / (in + out)).
    const double square = std::sqrt(2.0 / 96), oblong = std::sqrt(2.0 / 144);
    CHECK(deviation(layer + "attention.attention.query") == Approx(square).epsilon(0.05));
    CHECK(deviation(layer + "attention.attention.key") == Approx(square).epsilon(0.05));
    CHECK(deviation(layer + "attention.attention.value") == Approx(square).epsilon(0.05));
    CHECK(deviation(layer + "intermediate.dense") == Approx(oblong).epsilon(0.05));
    CHECK(deviation(layer + "attention.output.dense") == Approx(square / 4).epsilon(0.05));
    CHECK(deviation(layer + "output.dense") == Approx(oblong / 4).epsilon(0.05));
  }
  CHECK(deviation("vilt.pooler.dense") == Approx(std::sqrt(2.0 / 96)).epsilon(0.05));
  CHECK(deviation("vilt.embeddings.text_embeddings.word_embeddings") == Approx(0.5).epsilon(0.05));
}

TEST_CASE("state and load_state copy") {
  Model model = peft::load_model(kReference);
  const auto before = model.fingerprint();
  const auto state = model.state();
  {
    const torch::NoGradGuard no_grad;
    model.weight("classifier.3.bias").add_(1);
  }
  CHECK(model.fingerprint() != before);
  model.load_state(state);
  CHECK(model.fingerprint() == before);
  CHECK_THROWS_AS(model.load_state({{"classifier.9.bias", torch::zeros(5)}}), std::out_of_range);
}

TEST_CASE("models side by side hold their base once, and train apart") {
  const Model base = peft::load_model(kReference);
  const auto before = base.fingerprint();
  const std::set<std::string> trained = {"classifier.3.bias", "classifier.3.weight"};
  Model one = base.clone(trained), other = base.clone(trained);
  for (const auto& [name, tensor] : base.weights()) {
    INFO(name);
    const bool own = trained.count(name) > 0;
    CHECK((one.weight(name).data_ptr() == tensor.data_ptr()) == !own);
    CHECK((other.weight(name).data_ptr() == one.weight(name).data_ptr()) == !own);
    CHECK(torch::equal(one.weight(name), tensor));
  }
  // What one trains, freezes or differentiates is not the others'.
  one.train_only({"head"});
  CHECK(one.weight("vilt.pooler.dense.bias").requires_grad());
  CHECK_FALSE(other.weight("vilt.pooler.dense.bias").requires_grad());
  CHECK_FALSE(base.weight("vilt.pooler.dense.bias").requires_grad());
  one.train_only({});
  one.load_state({{"classifier.3.bias", torch::ones({5})}});
  CHECK(one.fingerprint() != before);
  CHECK(other.fingerprint() == before);
  CHECK(base.fingerprint() == before);
}

TEST_CASE("a loaded weight is the file's own memory, and changing it leaves the file as it is") {
  const bool in_shards = GENERATE(false, true);
  CAPTURE(in_shards);
  test::TempDir dir;
  std::filesystem::copy_file(kReference / "config.json", dir / "config.json");
  if (in_shards) {
    test::write_shards(kReference / "model.safetensors", dir.path());
  } else {
    std::filesystem::copy_file(kReference / "model.safetensors", dir / "model.safetensors");
  }
  std::map<std::filesystem::path, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(dir.path())) {
    if (entry.path().extension() == ".safetensors") files[entry.path()] = test::slurp(entry.path());
  }
  CHECK(files.size() == (in_shards ? 2 : 1));
  Model model = peft::load_model(dir.path());
  for (const auto& [file, bytes] : files) {
    const SafetensorsFile read(file);
    for (const TensorEntry& entry : read.tensors()) {
      INFO(entry.name);
      CHECK(test::is_mapped(model.weight(entry.name).data_ptr(), file));
    }
  }
  {
    const torch::NoGradGuard no_grad;
    for (const auto& [name, tensor] : model.weights()) model.weight(name).fill_(7);
  }
  for (const auto& [file, bytes] : files) CHECK((test::slurp(file) == bytes));
  CHECK(peft::load_model(dir.path()).fingerprint() == peft::load_model(kReference).fingerprint());
  // It outlives the file's name.
  const auto fingerprint = model.fingerprint();
  for (const auto& [file, bytes] : files) std::filesystem::remove(file);
  CHECK(model.fingerprint() == fingerprint);
}

TEST_CASE("other labels bring a fresh output layer from the seed, and change nothing else") {
  const Model before = peft::load_model(kReference);
  Model model = before, same = before, other = before;
  // As many labels as there were: the layer is a fresh one all the same.
  const std::vector<std::string> labels = {"a", "b", "c", "d", "e"};
  model.relabel(labels, 4);
  same.relabel(labels, 4);
  other.relabel(labels, 5);
  CHECK(model.architecture().labels() == labels);
  CHECK(model.fingerprint() == same.fingerprint());
  CHECK(model.fingerprint() != other.fingerprint());
  for (const auto& [name, tensor] : before.weights()) {
    INFO(name);
    CHECK(torch::equal(model.weight(name), tensor) ==
          (name.find("classifier.3.") == std::string::npos));
  }
  model.relabel({"yes", "no"}, 4);
  CHECK(model.weight("classifier.3.weight").size(0) == 2);
  CHECK(model.unit("head").parameter_count < before.unit("head").parameter_count);
}

TEST_CASE("dropout is drawn from the generator that is given, and from none without") {
  test::TempDir dir;
  test::ModelShape config = test::shape_of(peft::load_model(kReference));
  config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.3;
  std::filesystem::copy_file(kReference / "model.safetensors", dir / "model.safetensors");
  dir.write("config.json", config.config_json());
  const Model model = peft::load_model(dir.path());
  const Batch batch = recorded_batch();
  CHECK(relative_error(model.forward(batch), recorded("logits")) < 1e-5);
  const auto generator = make_generator(torch::kCPU, 1);
  const Tensor first = model.forward(batch, generator);
  CHECK_FALSE(torch::equal(model.forward(batch, generator), first));
  torch::manual_seed(5);  // of no concern
  CHECK(torch::equal(model.forward(batch, make_generator(torch::kCPU, 1)), first));
  CHECK_FALSE(torch::equal(model.forward(batch, make_generator(torch::kCPU, 2)), first));
  // On the average over masks, dropout changes nothing.
  const Tensor ones = torch::ones({200000});
  CHECK(dropout(ones, 0.3, generator).mean().item<double>() == Approx(1).margin(0.01));
}

TEST_CASE("every place of dropout draws once for each of its numbers") {
  for (const std::string architecture : {"vilt", "vit"}) {
    CAPTURE(architecture);
    test::ModelShape config = test::shape_of(peft::load_model(kReferences / architecture));
    config.hidden_dropout_prob = 0.3;
    config.attention_probs_dropout_prob = 0.2;
    const Model model = test::make_model(config, 3);
    const Batch batch = recorded_batch(architecture);
    const std::int64_t n = batch.size(), hidden = config.hidden_size;
    const std::int64_t text = config.has_text() ? batch.input_ids.size(1) : 0;
    const std::int64_t image = config.patches() + 1, tokens = text + image;
    auto drawn = make_generator(torch::kCPU, 1), expected = make_generator(torch::kCPU, 1);
    model.forward(batch, drawn);
    const auto place = [&](std::int64_t numbers) {
      dropout(torch::ones({numbers}), 0.3, expected);
    };
    if (text > 0) place(n * text * hidden);
    place(n * image * hidden);
    for (std::int64_t block = 0; block < config.num_hidden_layers; ++block) {
      // The last block computes one token only.
      const std::int64_t rows = block + 1 == config.num_hidden_layers ? 1 : tokens;
      place(n * config.num_attention_heads * rows * tokens);
      place(n * rows * hidden);  // of what attention adds
      place(n * rows * hidden);  // and the MLP
    }
    CHECK(torch::equal(drawn.get_state(), expected.get_state()));
    place(1);
    CHECK_FALSE(torch::equal(drawn.get_state(), expected.get_state()));
  }
}

TEST_CASE("activation_bytes are what autograd keeps") {
  if (!test::heap_is_known()) {
    WARN("this build's allocator does not tell what it holds");
    return;
  }
  test::ModelShape config;
  config.model_type = "vit";
  config.hidden_size = 64;
  config.num_attention_heads = 4;
  config.num_hidden_layers = 2;
  config.intermediate_size = 192;
  config.image_size = 64;
  config.patch_size = 8;
  config.labels = {"cat", "dog"};
  config.peft.adapter_reduction = 4;
  config.peft.lora_rank = 8;
  config.peft.prompt_length = 3;
  Model model = test::make_model(config, 1);
  Batch batch;
  batch.pixels = torch::randn({16, 3, 64, 64});
  for (const std::string scheme :
       {"block", "adapter", "lora", "layernorm", "bias", "adapter+lora", "block+adapter+lora"}) {
    CAPTURE(scheme);
    peft::set_units(model, scheme, models::Buffers::kFrozen);
    test::check_activation_bytes(model, batch);
  }
}
