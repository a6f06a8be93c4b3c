#include "models/staged_gradients.h"

#include <cstdlib>

#include "catch.h"
#include "models/device.h"
#include "models/stage_inputs.h"
#include "models/state_gradients.h"
#include "support/error_text.h"
#include "support/kept_bytes.h"
#include "support/speaking.h"
#include "support/tiny_model.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::models;
using torch::Tensor;

namespace {

std::vector<Tensor> trained(Model& model, const std::vector<std::string>& units) {
  model.train_only({});
  model.train_only(units);
  std::vector<Tensor> weights;
  for (const auto& name : units)
    for (const Tensor& weight : model.weights_of(model.unit(name))) weights.push_back(weight);
  return weights;
}

std::vector<std::string> names_of_units(const Model& model) {
  std::vector<std::string> names;
  for (const Unit& unit : model.units()) names.push_back(unit.name);
  return names;
}

Tensor loss_of(const State& output) {
  const Tensor& logits = output.values.begin()->second;
  return torch::log_softmax(logits, -1).select(-1, 0).square().mean();
}

/// Those of a pass that keeps everything.
StagedGradients kept(const Model& model, const Batch& batch, const std::vector<Tensor>& weights,
                     const StagedOptions& options = {}) {
  const Tensor loss = loss_of(model.run(batch, options.dropout, options.by_batch));
  return {loss.detach(), torch::autograd::grad({loss}, weights, {}, false, false, true)};
}

void check_same(const StagedGradients& staged, const StagedGradients& whole) {
  CHECK(torch::equal(staged.loss, whole.loss));
  CHECK_FALSE(staged.loss.requires_grad());
  REQUIRE(staged.gradients.size() == whole.gradients.size());
  int defined = 0;
  for (std::size_t i = 0; i < whole.gradients.size(); ++i) {
    CAPTURE(i);
    REQUIRE(staged.gradients[i].defined() == whole.gradients[i].defined());
    if (!whole.gradients[i].defined()) continue;
    CHECK(torch::equal(staged.gradients[i], whole.gradients[i]));
    ++defined;
  }
  CHECK(defined > 0);
}

Batch images(const Model& model, std::int64_t count) {
  Batch batch = model.architecture().example(model.architecture().text_tokens());
  batch.pixels = torch::randn(batch.pixels.expand({count, -1, -1, -1}).sizes());
  for (Tensor* tensor : {&batch.input_ids, &batch.attention_mask})
    if (tensor->defined()) *tensor = tensor->expand({count, -1}).contiguous();
  return batch;
}

test::ModelShape with_dropout() {
  test::ModelShape shape = test::small_shape();
  shape.hidden_dropout_prob = 0.2;
  return shape;
}

}  // namespace

TEST_CASE("gradients a stage at a time are those of a whole pass, to the bit") {
  torch::manual_seed(1);
  SECTION("of a model that chooses, from any stage on") {
    Model model(with_dropout(), 3);
    const Batch batch = images(model, 3);
    for (const std::vector<std::string>& units :
         {names_of_units(model), {"block.2"}, {"head"}, {"block.1", "head"}}) {
      const auto weights = trained(model, units);
      check_same(staged_gradients(model, batch, weights, loss_of), kept(model, batch, weights));
    }
  }
  SECTION("of models that speak, whose decoder looks at other stages") {
    for (const std::string name : {"llava", "blip2_opt", "blip2_t5", "paligemma"}) {
      CAPTURE(name);
      Model model = test::load_speaking(name);
      const auto recorded = test::recorded_speaking(name);
      const std::string first = test::speaking_cases(name).items().begin().key();
      const Batch batch = test::batch_of(recorded, first, name);
      const auto weights = trained(model, names_of_units(model));
      check_same(staged_gradients(model, batch, weights, loss_of), kept(model, batch, weights));
    }
  }
}

TEST_CASE("activations are let go before the loss is known") {
  if (!test::heap_is_known()) return;
  Model model(test::small_shape(), 3);
  const Batch batch = images(model, 64);
  const auto weights = trained(model, names_of_units(model));
  double before = 0, staged = 0, whole = 0;
  const auto measured = [&](double& bytes) {
    return [&](const State& output) {
      bytes = test::heap_bytes() - before;
      return loss_of(output);
    };
  };
  for (int time = 0; time < 2; ++time) {  // libraries set up things once
    before = test::heap_bytes();
    staged_gradients(model, batch, weights, measured(staged));
    before = test::heap_bytes();
    measured(whole)(model.run(batch));
  }
  CHECK(whole > 1e5);
  CHECK(staged < whole / 3);
}

TEST_CASE("dropout draws in the backward pass what it drew in the forward pass, and goes on") {
  Model model(with_dropout(), 3);
  const Batch batch = images(model, 3);
  const auto weights = trained(model, names_of_units(model));
  StagedOptions staged, whole;
  staged.dropout = make_generator(torch::kCPU, 7);
  whole.dropout = make_generator(torch::kCPU, 7);
  for (int step = 0; step < 2; ++step)
    check_same(staged_gradients(model, batch, weights, loss_of, staged),
               kept(model, batch, weights, whole));
  CHECK_FALSE(
      torch::equal(kept(model, batch, weights, whole).loss, kept(model, batch, weights).loss));
}

TEST_CASE("the statistics of BatchNorms move once") {
  Model staged = test::tiny_resnet(true, 3), whole = staged.clone();
  const Batch batch = test::resnet_batch(4, 2);
  StagedOptions options;
  for (const Layer& layer : staged.architecture().layers())
    if (layer.kind == LayerKind::kBatchNorm) options.by_batch.insert(layer.name);
  REQUIRE_FALSE(options.by_batch.empty());
  const std::string moved = *options.by_batch.begin() + ".running_mean";
  const Tensor before = staged.weight(moved).clone();
  const auto names = names_of_units(staged);
  const auto of_staged = trained(staged, names), of_whole = trained(whole, names);
  check_same(staged_gradients(staged, batch, of_staged, loss_of, options),
             kept(whole, batch, of_whole, options));
  CHECK_FALSE(torch::equal(staged.weight(moved), before));
  for (const auto& [name, weight] : whole.weights()) {
    CAPTURE(name);
    CHECK(torch::equal(staged.weight(name), weight));
  }
}

TEST_CASE("what enters stages can be kept in a file, which has no name and no trace in a number") {
  const test::TempDir dir;
  Model model(with_dropout(), 3);
  torch::manual_seed(1);
  const Batch batch = images(model, 3);
  const auto weights = trained(model, names_of_units(model));
  const auto in_memory = staged_gradients(model, batch, weights, loss_of);
  set_spill(model, dir.path());
  check_same(staged_gradients(model, batch, weights, loss_of), in_memory);
  CHECK(std::filesystem::is_empty(dir.path()));

  StageInputs inputs(3, dir.path());
  State first, second;
  first.values = {{"a", torch::randn({2, 3})}, {"b", torch::randn({4}, torch::kDouble)}};
  first.constants = {{"mask", torch::ones({2})}};
  second.values = {{"a", first.values["a"].t()}, {"b", first.values["b"]}};
  inputs.keep(1, first);
  inputs.keep(2, second);
  CHECK(inputs.bytes() == 0);
  for (const auto& [stage, state] : {std::pair{1, first}, std::pair{2, second}}) {
    const State got = inputs.get(stage);
    REQUIRE(got.values.size() == 2);
    for (const auto& [name, value] : state.values) {
      CHECK(got.values.at(name).scalar_type() == value.scalar_type());
      CHECK(torch::equal(got.values.at(name), value));
    }
    CHECK(got.constants.size() == state.constants.size());
  }
  CHECK(inputs.get(0).values.empty());
  inputs.drop(1);
  CHECK(inputs.get(1).values.empty());
  CHECK(torch::equal(inputs.get(2).values.at("b"), first.values.at("b")));

  StageInputs memory(2);
  memory.keep(1, first);
  CHECK(memory.bytes() == 2 * 3 * 4 + 4 * 8);
  memory.drop(1);
  CHECK(memory.bytes() == 0);

  const std::string missing = (dir / "none").string();
  CHECK(test::input_error([&] { set_spill(model, missing); }) ==
        missing + ": no file can be made there: No such file or directory");
}
