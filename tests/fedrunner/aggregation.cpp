#include "fedrunner/aggregation.h"

#include <algorithm>
#include <cmath>

#include "catch.h"
#include "fedrunner/tiny.h"

using namespace strata;
using namespace strata::fedrunner;
using test::same_bits;

namespace {

Unit unit(const std::string& name, const std::vector<std::string>& parameters) {
  Unit unit;
  unit.name = name;
  unit.parameters = parameters;
  return unit;
}

const std::vector<Unit> kUnits = {unit("block.0", {"a.weight", "a.bias"}),
                                  unit("block.1", {"b.weight"}), unit("head", {"c.weight"})};

ModelState global() {
  return {{"a.weight", torch::tensor({1.0f, 2.0f})},
          {"a.bias", torch::tensor({0.1f})},
          {"b.weight", torch::tensor({0.3f, 0.7f})},
          {"c.weight", torch::tensor({5.0f})}};
}

ClientUpdate update(const std::string& client, std::int64_t samples,
                    const std::vector<std::string>& units, const ModelState& weights) {
  ClientUpdate update;
  update.client = client;
  update.samples = samples;
  update.units = units;
  update.weights = weights;
  return update;
}

std::vector<ClientUpdate> updates() {
  return {update("mri", 30, {"block.0", "head"},
                 {{"a.weight", torch::tensor({4.0f, 8.0f})},
                  {"a.bias", torch::tensor({1.0f})},
                  {"c.weight", torch::tensor({1.0f})}}),
          update("ct", 10, {"block.0", "head"},
                 {{"a.weight", torch::tensor({0.0f, 4.0f})},
                  {"a.bias", torch::tensor({-1.0f})},
                  {"c.weight", torch::tensor({2.0f})}}),
          update("oct", 60, {"head"}, {{"c.weight", torch::tensor({4.0f})}})};
}

// A LoRA pair.
const std::string kA = "query.lora_A.weight", kB = "query.lora_B.weight";
const std::vector<peft::FactorPair> kPairs = {{kA, kB}};

std::vector<UnitUse> aggregate(ModelState& state, const std::vector<Unit>& units,
                               const std::vector<ClientUpdate>& updates,
                               const AggregationOptions& options = {}) {
  ServerMoments moments;
  return strata::fedrunner::aggregate(state, units, updates, options, kPairs, moments).uses;
}

}  // namespace

TEST_CASE("a unit is averaged over the clients that trained it, by their samples") {
  auto state = global();
  const auto before = global();
  const auto uses = aggregate(state, kUnits, updates());
  // (30 · 4 + 10 · 0) / 40, (30 · 8 + 10 · 4) / 40
  CHECK(torch::equal(state["a.weight"], torch::tensor({3.0f, 7.0f})));
  CHECK(torch::equal(state["a.bias"], torch::tensor({0.5f})));
  // (30 · 1 + 10 · 2 + 60 · 4) / 100
  CHECK(torch::equal(state["c.weight"], torch::tensor({2.9f})));
  CHECK(same_bits(state["b.weight"], before.at("b.weight")));

  REQUIRE(uses.size() == 3);
  CHECK(uses[0].unit == "block.0");
  CHECK(uses[0].status == UnitStatus::kPartial);
  CHECK(uses[1].status == UnitStatus::kUntouched);
  CHECK(uses[2].status == UnitStatus::kMatched);
  CHECK(uses[0].clients == std::vector<std::string>{"ct", "mri"});
  CHECK(uses[1].clients.empty());
  CHECK(uses[2].clients == std::vector<std::string>{"ct", "mri", "oct"});
}

TEST_CASE("the order of the clients does not matter to the last bit") {
  torch::manual_seed(1);
  std::vector<ClientUpdate> many;
  for (int i = 0; i < 7; ++i) {
    many.push_back(update("client-" + std::to_string(i), 3 + 11 * i, {"block.1"},
                          {{"b.weight", torch::randn({2000})}}));
  }
  ModelState first{{"b.weight", torch::zeros({2000})}};
  aggregate(first, {kUnits[1]}, many);
  std::reverse(many.begin(), many.end());
  std::swap(many[1], many[4]);
  ModelState second{{"b.weight", torch::zeros({2000})}};
  aggregate(second, {kUnits[1]}, many);
  CHECK(same_bits(first["b.weight"], second["b.weight"]));
}

TEST_CASE("one client's upload is taken over bit for bit") {
  torch::manual_seed(2);
  const auto weights = torch::randn({5000});
  ModelState state{{"b.weight", torch::zeros({5000})}};
  aggregate(state, {kUnits[1]}, {update("ct", 38575, {"block.1"}, {{"b.weight", weights}})});
  CHECK(same_bits(state["b.weight"], weights));
}

TEST_CASE("without updates nothing changes") {
  auto state = global();
  const auto uses = aggregate(state, kUnits, {});
  for (const auto& [name, weight] : global()) CHECK(same_bits(state[name], weight));
  for (const auto& use : uses) CHECK(use.clients.empty());
}

TEST_CASE("equal clients of any sizes give what one gives, bit for bit") {
  torch::manual_seed(3);
  const auto weights = torch::randn({5000});
  std::vector<ClientUpdate> equal;
  for (int i = 0; i < 7; ++i) {
    equal.push_back(update("client-" + std::to_string(i), 1 + 1237 * i, {"block.1"},
                           {{"b.weight", weights.clone()}}));
  }
  ModelState state{{"b.weight", torch::zeros({5000})}};
  aggregate(state, {kUnits[1]}, equal);
  CHECK(same_bits(state["b.weight"], weights));
}

TEST_CASE("plain weights count every client the same") {
  auto state = global();
  AggregationOptions options;
  options.weights = ClientWeights::kPlain;
  aggregate(state, kUnits, updates(), options);
  CHECK(torch::equal(state["a.weight"], torch::tensor({2.0f, 6.0f})));
  CHECK(torch::allclose(state["c.weight"], torch::tensor({7.0f / 3})));
}

TEST_CASE("server momentum and adam follow their papers' recursions") {
  const std::vector<Unit> units = {unit("head", {"c.weight"})};
  // Pseudo-gradients Δ = average − w of three rounds, by hand.
  const auto run = [&](const AggregationOptions& options, const std::vector<float>& averages) {
    ModelState state{{"c.weight", torch::tensor({1.0f})}, {"b.weight", torch::tensor({9.0f})}};
    ServerMoments moments;
    std::vector<double> path;
    for (const float average : averages) {
      strata::fedrunner::aggregate(
          state, units, {update("ct", 5, {"head"}, {{"c.weight", torch::tensor({average})}})},
          options, {}, moments);
      path.push_back(state["c.weight"].item<double>());
    }
    CHECK(moments.first.count("b.weight") == 0);
    return path;
  };
  AggregationOptions momentum;
  momentum.optimizer = ServerOptimizer::kMomentum;
  momentum.learning_rate = 0.5;
  momentum.beta_1 = 0.8;
  double w = 1, v = 0;
  const std::vector<float> averages = {3, 2, 5};
  const auto found = run(momentum, averages);
  for (std::size_t i = 0; i < averages.size(); ++i) {
    v = 0.8 * v + (averages[i] - w);
    w += 0.5 * v;
    CHECK(found[i] == Approx(w).epsilon(1e-6));
  }
  AggregationOptions adam;
  adam.optimizer = ServerOptimizer::kAdam;
  adam.learning_rate = 0.1;
  adam.beta_1 = 0.7;
  adam.beta_2 = 0.9;
  adam.tau = 0.01;
  w = 1;
  double m = 0;
  v = 0.01 * 0.01;
  const auto adapted = run(adam, averages);
  for (std::size_t i = 0; i < averages.size(); ++i) {
    const double change = averages[i] - w;
    m = 0.7 * m + 0.3 * change;
    v = 0.9 * v + 0.1 * change * change;
    w += 0.1 * m / (std::sqrt(v) + 0.01);
    CHECK(adapted[i] == Approx(w).epsilon(1e-6));
  }
  // Half a step towards the average.
  AggregationOptions half;
  half.learning_rate = 0.5;
  CHECK(run(half, {3}).front() == Approx(2));
}

TEST_CASE("a unit that nobody trained keeps its moments") {
  AggregationOptions options;
  options.optimizer = ServerOptimizer::kAdam;
  options.learning_rate = 0.1;
  auto state = global();
  ServerMoments moments;
  strata::fedrunner::aggregate(state, kUnits, updates(), options, {}, moments);
  const auto before = moments.first.at("a.weight").clone();
  strata::fedrunner::aggregate(state, kUnits, {updates()[2]}, options, {}, moments);
  CHECK(same_bits(moments.first.at("a.weight"), before));
  CHECK(moments.first.count("b.weight") == 0);
}

namespace {

// Of rank 2, on a layer from 7 to 5 numbers.
const std::vector<Unit> kLora = {unit("lora.0", {kA, kB, "other"})};

ModelState pair_state(const torch::Tensor& a, const torch::Tensor& b) {
  return {{kA, a}, {kB, b}, {"other", torch::ones({3})}};
}

std::vector<ClientUpdate> pairs() {
  torch::manual_seed(4);
  std::vector<ClientUpdate> updates;
  for (int i = 0; i < 3; ++i) {
    updates.push_back(update("client-" + std::to_string(i), 10 + 20 * i, {"lora.0"},
                             pair_state(torch::randn({2, 7}), torch::randn({5, 2}))));
  }
  return updates;
}

torch::Tensor product(const ModelState& state) {
  return torch::matmul(state.at(kB).to(torch::kDouble), state.at(kA).to(torch::kDouble));
}

}  // namespace

TEST_CASE("LoRA as a product: the best approximation of the average product in its rank") {
  const auto uploads = pairs();
  auto expected = torch::zeros({5, 7}, torch::kDouble);
  for (const auto& upload : uploads)
    expected += product(upload.weights) * (static_cast<double>(upload.samples) / 90);
  AggregationOptions options;
  options.lora = LoraAverage::kProduct;
  auto state = pair_state(torch::zeros({2, 7}), torch::zeros({5, 2}));
  aggregate(state, kLora, uploads, options);
  // Eckart and Young: what is left is the root of the squares of the other singular values.
  const auto s = torch::linalg_svdvals(expected);
  const double left = (expected - product(state)).norm().item<double>();
  CHECK(left == Approx(s.narrow(0, 2, 3).norm().item<double>()).epsilon(1e-5));
  CHECK(torch::equal(state.at("other"), torch::ones({3})));
  // The rows of A are as long as the clients' were on average (root mean square).
  double squares = 0;
  for (const auto& upload : uploads) squares += upload.weights.at(kA).square().sum().item<double>();
  for (int row = 0; row < 2; ++row)
    CHECK(state.at(kA)[row].norm().item<double>() == Approx(std::sqrt(squares / 6)).epsilon(1e-5));

  // As factors, the product is another.
  auto factors = pair_state(torch::zeros({2, 7}), torch::zeros({5, 2}));
  aggregate(factors, kLora, uploads);
  CHECK((product(factors) - expected).norm().item<double>() > 1.5 * left);

  // Fewer clients than the rank leaves open: equal clients' product comes back whole.
  auto same = uploads;
  same[1].weights = same[2].weights = same[0].weights;
  aggregate(state, kLora, same, options);
  CHECK((product(state) - product(same[0].weights)).norm().item<double>() < 1e-5);
  // One client's pair is its own, to the bit.
  aggregate(state, kLora, {uploads[1]}, options);
  CHECK(same_bits(state.at(kA), uploads[1].weights.at(kA)));
  CHECK(same_bits(state.at(kB), uploads[1].weights.at(kB)));
}

TEST_CASE("LoRA as a product: a pair that is still 0 can go on learning") {
  auto uploads = pairs();
  for (auto& upload : uploads) upload.weights[kB] = torch::zeros({5, 2});
  auto state = pair_state(torch::ones({2, 7}), torch::ones({5, 2}));
  AggregationOptions options;
  options.lora = LoraAverage::kProduct;
  aggregate(state, kLora, uploads, options);
  CHECK(product(state).abs().max().item<double>() == 0);
  CHECK(state.at(kA).norm().item<double>() > 1);
}

TEST_CASE("running statistics are averaged, whatever the server's optimizer; what is local stays") {
  Unit norm = unit("block.0", {"gamma", "weight"});
  norm.buffers = {"mean", "variance"};
  const auto updates = [] {
    return std::vector<ClientUpdate>{update("ct", 10, {"block.0"},
                                            {{"gamma", torch::tensor({2.0f})},
                                             {"weight", torch::tensor({1.0f})},
                                             {"mean", torch::tensor({1.0f})},
                                             {"variance", torch::tensor({3.0f})}}),
                                     update("mri", 30, {"block.0"},
                                            {{"gamma", torch::tensor({4.0f})},
                                             {"weight", torch::tensor({5.0f})},
                                             {"mean", torch::tensor({5.0f})},
                                             {"variance", torch::tensor({7.0f})}})};
  };
  const ModelState begin = {{"gamma", torch::tensor({1.0f})},
                            {"weight", torch::tensor({0.0f})},
                            {"mean", torch::tensor({0.0f})},
                            {"variance", torch::tensor({1.0f})}};
  AggregationOptions options;
  options.optimizer = ServerOptimizer::kMomentum;
  options.learning_rate = 0.5;
  ModelState state = begin;
  ServerMoments moments;
  strata::fedrunner::aggregate(state, {norm}, updates(), options, {}, moments);
  CHECK(state.at("mean").item<float>() == 4);
  CHECK(state.at("variance").item<float>() == 6);
  CHECK(state.at("weight").item<float>() == 2);  // half of the way from 0 to 4
  CHECK(moments.first.count("mean") == 0);

  norm.local = {"gamma", "mean", "variance"};
  state = begin;
  moments = {};
  auto sent = updates();
  for (auto& of : sent)
    for (const auto& name : norm.local) of.weights.erase(name);
  strata::fedrunner::aggregate(state, {norm}, sent, {}, {}, moments);
  CHECK(state.at("weight").item<float>() == 4);
  for (const auto& name : norm.local) CHECK(same_bits(state.at(name), begin.at(name)));
}
