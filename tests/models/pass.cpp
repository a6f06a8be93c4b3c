#include "models/pass.h"

#include <torch/nn/functional/pooling.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <cmath>
#include <set>

#include "catch.h"
#include "models/capture.h"
#include "models/cost.h"
#include "models/counting.h"
#include "models/model.h"
#include "strata/core/error.h"
#include "support/kept_bytes.h"

using namespace strata;
using namespace strata::models;
using Catch::Matchers::Contains;
using torch::Tensor;

namespace {

constexpr double kEps = 1e-3;

/// A convolution with a bias, a BatchNorm, pooling; a residual convolution; a linear layer.
class Convolutional : public Architecture {
 public:
  explicit Convolutional(std::int64_t width = 6, std::int64_t side = 10)
      : width_(width), side_(side) {
    labels_ = {"cat", "dog"};
    stages_ = {{"embeddings", Role::kEmbeddings}, {"block.0", Role::kBody}, {"head", Role::kHead}};
    add_convolution("first", 0, 3, 3, true, 2);
    add_norm("first_norm", 0);
    add_convolution("second", 1, width, 3, false, 1);
    add_norm("second_norm", 1);
    layers_.push_back({.name = "head",
                       .kind = LayerKind::kLinear,
                       .stage = 2,
                       .role = Role::kHead,
                       .width = 2,
                       .parameters = {{"head.weight", {2, width}, {Init::Kind::kNormal, 1}},
                                      {"head.bias", {2}, {}, true}}});
  }
  const std::string& type() const override {
    static const std::string name = "convolutional";
    return name;
  }
  State run(std::int64_t stage, const Batch& batch, const State& input, Pass& pass) const override {
    if (stage == 0) {
      const Tensor first = pass.convolution("first", batch.pixels);
      const Tensor active =
          pass.activation(Activation::kRelu, pass.batch_norm("first_norm", first, kEps));
      return {{{"maps", pass.max_pool(active, {3, 2, 1})}}, {}};
    }
    const Tensor& maps = input.values.at("maps");
    if (stage == 1) {
      const Tensor second = pass.convolution("second", maps);
      return {{{"maps", pass.activation(Activation::kRelu,
                                        maps + pass.batch_norm("second_norm", second, kEps))}},
              {}};
    }
    return {{{kLogits, pass.linear("head", pass.average_pool(maps))}}, {}};
  }
  Batch example(std::int64_t) const override {
    return {Tensor(), Tensor(), torch::zeros({1, 3, side_, side_}),
            torch::zeros({1}, torch::kLong)};
  }
  Json config() const override { return Json::object(); }
  ImageModel image_model() const override { return {ImageSizes::kOne, static_cast<int>(side_), 1}; }
  std::shared_ptr<const Architecture> with(std::vector<std::string>, std::int64_t) const override {
    return std::make_shared<Convolutional>(width_, side_);
  }

 private:
  Role role(std::int64_t stage) const { return stages_[static_cast<std::size_t>(stage)].role; }
  void add_convolution(const std::string& name, std::int64_t stage, std::int64_t in,
                       std::int64_t size, bool bias, std::int64_t stride) {
    Layer layer{
        .name = name,
        .kind = LayerKind::kConvolution,
        .stage = stage,
        .role = role(stage),
        .width = width_,
        .parameters = {{name + ".weight", {width_, in, size, size}, {Init::Kind::kNormal, 0.3}}},
        .stride = stride,
        .padding = 1};
    if (bias)
      layer.parameters.push_back({name + ".bias", {width_}, {Init::Kind::kNormal, 1}, true});
    layers_.push_back(std::move(layer));
  }
  void add_norm(const std::string& name, std::int64_t stage) {
    layers_.push_back(
        {.name = name,
         .kind = LayerKind::kBatchNorm,
         .stage = stage,
         .role = role(stage),
         .width = width_,
         .parameters = {{name + ".weight", {width_}, {Init::Kind::kNormal, 1}},
                        {name + ".bias", {width_}, {Init::Kind::kNormal, 1}, true}},
         .buffers = {{name + ".running_mean", {width_}, {Init::Kind::kNormal, 1}},
                     {name + ".running_var", {width_}, {Init::Kind::kOnes}},
                     {.name = name + ".num_batches_tracked", .shape = {}, .counter = true}}});
  }

  std::int64_t width_, side_;
};

Model make_model(std::int64_t width = 6, std::int64_t side = 10) {
  Model model(Blueprint(std::make_shared<Convolutional>(width, side)), 3);
  // A variance of 1 would hide how it is used.
  for (const char* norm : {"first_norm", "second_norm"}) {
    Tensor& variance = model.weight(std::string(norm) + ".running_var");
    variance.copy_(torch::linspace(0.2, 2, variance.numel()));
  }
  return model;
}

Batch make_batch(std::int64_t n, std::int64_t side = 10) {
  torch::manual_seed(5);
  Batch batch;
  batch.pixels = torch::randn({n, 3, side, side});
  batch.labels = torch::arange(n) % 2;
  return batch;
}

void in_double(Model& model, Batch& batch) {
  for (auto& [name, tensor] : model.weights())
    if (tensor.is_floating_point()) tensor = tensor.to(torch::kDouble);
  batch.pixels = batch.pixels.to(torch::kDouble);
}

double difference(const Tensor& a, const Tensor& b) {
  return (a - b).abs().max().item<double>();
}

std::vector<std::string> trained(const Model& model) {
  std::vector<std::string> names;
  for (const Parameter& parameter : model.blueprint().parameters()) names.push_back(parameter.name);
  return names;
}

/// All of a model's BatchNorms, or none.
std::set<std::string> norms(const Model& model, bool all) {
  std::set<std::string> names;
  for (const Layer& layer : model.blueprint().layers())
    if (all && layer.kind == LayerKind::kBatchNorm) names.insert(layer.name);
  return names;
}

Tensor loss_of(const Model& model, const Batch& batch, bool by_batch) {
  return torch::cross_entropy_loss(model.forward(batch, {}, norms(model, by_batch)), batch.labels);
}

/// The same by torch's modules: what torch.nn does, not what the pass does.
struct Modules {
  explicit Modules(const Model& model, bool training) {
    const torch::NoGradGuard no_grad;
    const auto convolution = [&](const std::string& name, int in, int stride, bool bias) {
      torch::nn::Conv2d made(
          torch::nn::Conv2dOptions(in, 6, 3).stride(stride).padding(1).bias(bias));
      made->weight.copy_(model.weight(name + ".weight"));
      if (bias) made->bias.copy_(model.weight(name + ".bias"));
      return made;
    };
    const auto norm = [&](const std::string& name) {
      torch::nn::BatchNorm2d made(torch::nn::BatchNorm2dOptions(6).eps(kEps));
      made->weight.copy_(model.weight(name + ".weight"));
      made->bias.copy_(model.weight(name + ".bias"));
      made->running_mean.copy_(model.weight(name + ".running_mean"));
      made->running_var.copy_(model.weight(name + ".running_var"));
      made->train(training);
      return made;
    };
    first = convolution("first", 3, 2, true);
    second = convolution("second", 6, 1, false);
    first_norm = norm("first_norm");
    second_norm = norm("second_norm");
    head = torch::nn::Linear(6, 2);
    head->weight.copy_(model.weight("head.weight"));
    head->bias.copy_(model.weight("head.bias"));
  }
  Tensor logits(const Tensor& pixels) {
    const Tensor maps = torch::nn::functional::max_pool2d(
        torch::relu(first_norm(first(pixels))),
        torch::nn::functional::MaxPool2dFuncOptions(3).stride(2).padding(1));
    const Tensor summed = torch::relu(maps + second_norm(second(maps)));
    return head(torch::adaptive_avg_pool2d(summed, {1, 1}).flatten(1));
  }
  std::map<std::string, Tensor> gradients() const {
    return {{"first.weight", first->weight.grad()},
            {"first.bias", first->bias.grad()},
            {"first_norm.weight", first_norm->weight.grad()},
            {"first_norm.bias", first_norm->bias.grad()},
            {"second.weight", second->weight.grad()},
            {"second_norm.weight", second_norm->weight.grad()},
            {"second_norm.bias", second_norm->bias.grad()},
            {"head.weight", head->weight.grad()},
            {"head.bias", head->bias.grad()}};
  }
  torch::nn::Conv2d first = nullptr, second = nullptr;
  torch::nn::BatchNorm2d first_norm = nullptr, second_norm = nullptr;
  torch::nn::Linear head = nullptr;
};

}  // namespace

TEST_CASE("convolutions, BatchNorms and pooling are torch.nn's, forwards and backwards") {
  for (const bool by_batch : {false, true}) {
    CAPTURE(by_batch);
    Model model = make_model();
    Modules modules(model, by_batch);
    const std::string before = model.fingerprint();
    for (const Unit& unit : model.units()) {
      for (Tensor weight : model.weights_of(unit)) weight.set_requires_grad(true);
    }
    // Three batches, so that running statistics move on from where they moved to.
    for (const std::int64_t n : {5, 2, 7}) {
      const Batch batch = make_batch(n);
      const Tensor expected = modules.logits(batch.pixels);
      CHECK(difference(model.forward(batch, {}, norms(model, by_batch)), expected) < 1e-5);
      if (by_batch) modules.logits(batch.pixels);  // the loss below moves them once more
      loss_of(model, batch, by_batch).backward();
      torch::cross_entropy_loss(expected, batch.labels).backward();
    }
    for (const auto& [name, gradient] : modules.gradients()) {
      INFO(name);
      CHECK(difference(model.weight(name).grad(), gradient) <
            1e-5 * (1 + gradient.norm().item<double>()));
    }
    for (const auto& [name, norm] :
         {std::pair{"first_norm", modules.first_norm}, {"second_norm", modules.second_norm}}) {
      const std::string prefix = std::string(name) + ".";
      INFO(name);
      CHECK(difference(model.weight(prefix + "running_mean"), norm->running_mean) < 1e-5);
      CHECK(difference(model.weight(prefix + "running_var"), norm->running_var) < 1e-5);
      CHECK(model.weight(prefix + "num_batches_tracked").item<int>() ==
            norm->num_batches_tracked.item<int>());
      CHECK(model.weight(prefix + "num_batches_tracked").item<int>() == (by_batch ? 6 : 0));
      CHECK_FALSE(model.weight(prefix + "running_mean").requires_grad());
    }
    CHECK((model.fingerprint() == before) == !by_batch);
  }
}

TEST_CASE("a batch of one number a channel has no statistics of its own") {
  const Model model = make_model(6, 2);
  Batch batch = make_batch(1, 2);
  CHECK_THROWS_AS(model.forward(batch, {}, norms(model, true)), WorkError);
  CHECK_THROWS_WITH(model.forward(batch, {}, norms(model, true)),
                    Contains("\"first_norm\"") && Contains("one number a channel"));
  CHECK_NOTHROW(model.forward(batch));
  CHECK_NOTHROW(model.forward(make_batch(2, 2), {}, norms(model, true)));
}

TEST_CASE("buffers are stored and shared as weights are, and are parameters nowhere") {
  Model model = make_model();
  const Blueprint& blueprint = model.blueprint();
  CHECK(blueprint.buffers().size() == 6);
  CHECK(blueprint.parameters().size() == 9);
  CHECK(blueprint.parameter_count() == 6 * 27 + 6 + 6 * 54 + 4 * 6 + 14);
  CHECK(blueprint.layer_of("second_norm.running_var").name == "second_norm");
  CHECK(blueprint.parameter("second_norm.running_var").shape == Shape{6});
  CHECK(model.weights().size() == 15);
  CHECK(model.weight("first_norm.num_batches_tracked").scalar_type() == torch::kLong);
  for (const Unit& unit : model.units()) {
    for (const std::string& name : unit.parameters) {
      INFO(name);
      CHECK(name.find("running") == std::string::npos);
      CHECK(name.find("num_batches") == std::string::npos);
    }
  }
  // A client that moves them has its own.
  Model client = model.clone({"first_norm.running_mean", "first_norm.running_var",
                              "first_norm.num_batches_tracked", "second_norm.running_mean",
                              "second_norm.running_var", "second_norm.num_batches_tracked"});
  const std::string before = model.fingerprint();
  client.forward(make_batch(4), {}, norms(client, true));
  CHECK(model.fingerprint() == before);
  CHECK(client.fingerprint() != before);
  const Weights state = client.state();
  model.load_state(state);
  CHECK(model.fingerprint() == client.fingerprint());
}

TEST_CASE("captured convolutions and BatchNorms give the gradients of autograd") {
  Model model = make_model();
  Batch batch = make_batch(3);
  in_double(model, batch);
  const std::vector<std::string> all = trained(model);
  // All of them, and each alone: a bias is captured without its weight, and the other way round.
  std::vector<std::set<std::string>> cases = {{all.begin(), all.end()}};
  for (const std::string& name : all) cases.push_back({name});
  for (const auto& wanted : cases) {
    State below;
    std::set<std::string> found;
    for (std::int64_t stage = 0; stage < model.stage_count(); ++stage) {
      CAPTURE(*wanted.begin(), wanted.size(), stage);
      std::vector<CapturedOp> ops;
      const State above = model.capture_stage(stage, batch, below, wanted, ops);
      const Tensor output = above.values.begin()->second;
      CHECK(difference(output, model.run_stage(stage, batch, below).values.begin()->second) <
            1e-12);
      if (!ops.empty()) {
        torch::manual_seed(stage);
        const Tensor slope = torch::randn(output.sizes(), torch::kDouble);
        std::vector<Tensor> targets, leaves;
        for (const CapturedOp& op : ops) targets.push_back(op.output);
        const auto deltas = torch::autograd::grad({output}, targets, {slope});
        for (std::size_t i = 0; i < ops.size(); ++i) {
          const CapturedOp& op = ops[i];
          const Tensor delta = deltas[i].reshape({-1, deltas[i].size(-1)});
          const auto check = [&](const std::string& name, const Tensor& ours) {
            found.insert(name);
            const Tensor weight = model.weight(name).set_requires_grad(true);
            const Tensor plain = model.run_stage(stage, batch, below).values.begin()->second;
            const Tensor theirs = torch::autograd::grad({plain}, {weight}, {slope})[0];
            weight.set_requires_grad(false);
            INFO(name);
            CHECK(difference(ours.reshape(theirs.sizes()), theirs) <
                  1e-10 * (1 + theirs.norm().item<double>()));
          };
          CHECK(op.input.defined() == !op.weight.empty());
          if (!op.bias.empty()) check(op.bias, delta.sum(0));
          if (op.weight.empty()) continue;
          const Tensor rows = op.rows().reshape({-1, op.row_width()});
          CHECK(rows.size(0) == delta.size(0));
          check(op.weight,
                op.kind == CapturedOp::Kind::kNorm ? (delta * rows).sum(0) : delta.t().mm(rows));
        }
      }
      below = above;
      for (auto& [name, value] : below.values) value = value.detach();
    }
    CHECK(found == wanted);
  }
}

TEST_CASE("products of convolutions by hand, and backwards down to the lowest trained weight") {
  const Blueprint blueprint(std::make_shared<Convolutional>(6, 10));
  // 10 x 10 pixels become 5 x 5 places, then 3 x 3.
  const double first = 25 * 6 * 27, second = 9 * 6 * 54, head = 12;
  const TrainingCost all = training_cost(
      blueprint, 0,
      {"first.weight", "first.bias", "first_norm.weight", "first_norm.bias", "second.weight",
       "second_norm.weight", "second_norm.bias", "head.weight", "head.bias"});
  CHECK(all.forward_flops == 2 * (first + second + head));
  CHECK(all.backward_flops == 2 * (first + 2 * second + 2 * head));
  CHECK(all.all_parameters == all.parameters);
  const TrainingCost block = training_cost(blueprint, 0, {"second.weight"});
  CHECK(block.backward_flops == 2 * (second + head));
  CHECK(block.parameters == 6 * 54);
  // A BatchNorm's β needs neither its input nor that of the convolution below it.
  const TrainingCost beta = training_cost(blueprint, 0, {"second_norm.bias"});
  CHECK(beta.backward_flops == 2 * head);
  CHECK(beta.activation_bytes == 4 * 9 * 6);  // ReLU's output
  const TrainingCost gamma = training_cost(blueprint, 0, {"second_norm.weight"});
  CHECK(gamma.activation_bytes == 2 * 4 * 9 * 6);
  // Both gradients through the batch's statistics take the input.
  const TrainingCost moving = training_cost(blueprint, 0, {"second_norm.bias"}, {"second_norm"});
  CHECK(moving.activation_bytes == gamma.activation_bytes);
  CHECK(moving.backward_flops == beta.backward_flops);
  CHECK(block_flops(blueprint) == 2 * second);
}

TEST_CASE("what convolutions, BatchNorms and pooling keep is what autograd keeps") {
  if (!test::heap_is_known()) {
    WARN("this build's allocator does not tell what it holds");
    return;
  }
  Model model = make_model(32, 64);
  const Batch batch = make_batch(8, 64);
  struct Case {
    std::set<std::string> names, by_batch = {};
  };
  for (const auto& [names, by_batch] :
       {Case{{"first.weight"}},
        {{"first.bias"}},
        {{"first_norm.weight"}},
        {{"first_norm.bias"}},
        {{"second.weight"}},
        {{"second_norm.weight"}},
        {{"second_norm.bias"}},
        {{"first_norm.bias", "second_norm.weight"}},
        {{"head.weight"}},
        {{"first_norm.weight"}, {"first_norm"}},
        {{"first_norm.bias"}, {"first_norm"}},
        {{"second_norm.bias"}, {"second_norm"}},
        {{"first.bias", "second_norm.bias"}, {"second_norm"}},
        {{"first_norm.bias", "second_norm.bias"}, {"first_norm", "second_norm"}}}) {
    for (auto& [name, tensor] : model.weights())
      if (tensor.is_floating_point()) tensor.set_requires_grad(names.count(name) > 0);
    const double found = test::kept_bytes([&] {
      // The pixels belong to what may be kept, so the pass gets the only handle of a copy.
      Batch own = batch;
      own.pixels = batch.pixels.clone();
      return model.forward(own, {}, by_batch);
    });
    const double expected =
        8 * training_cost(model.blueprint(), batch, names, by_batch).activation_bytes;
    CAPTURE(*names.begin(), by_batch.size(), found, expected);
    CHECK(std::abs(found - expected) < 0.03 * expected + 16384);
  }
}

TEST_CASE("what units of convolutions keep is what autograd keeps, of their own input, too") {
  if (!test::heap_is_known()) {
    WARN("this build's allocator does not tell what it holds");
    return;
  }
  Model model = make_model(32, 64);
  test::check_activation_bytes(model, make_batch(8, 64));
}
