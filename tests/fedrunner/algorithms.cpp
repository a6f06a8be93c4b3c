// The algorithms of fedrunner/algorithms, step by step, against computations in float64.
#include <cmath>
#include <limits>
#include <numeric>

#include "catch.h"
#include "fedrunner/algorithm_state.h"
#include "fedrunner/algorithms/algorithms.h"
#include "fedrunner/client.h"
#include "fedrunner/round_updates.h"
#include "fedrunner/tiny.h"
#include "models/device.h"
#include "strata/core/error.h"

using namespace strata;
using namespace strata::data;
using namespace strata::fedrunner;
using namespace strata::models;
using test::same_bits;
using torch::Tensor;

namespace {

const std::vector<std::string> kUnits = {"block.2", "head"};

/// What is added to a weight's gradient.
using Term = std::function<Tensor(const std::string& name, const Tensor& weight)>;

Tensor nothing(const std::string&, const Tensor& weight) {
  return torch::zeros_like(weight);
}

struct Fixture {
  test::TempDir dir;
  Manifest manifest = test::write_tiny_data(dir / "data");
  test::ModelShape config = test::tiny_config();
  Model model = test::make_model(config, 3);
  FederatedClient ct{"ct",
                     test::answers(manifest, test::examples_of(manifest, "ct", "train"), config,
                                   test::tiny_tokenizer()),
                     nullptr};

  /// Six steps of SGD with gradients that are clipped, so that two passes are made.
  static TrainWork work(FederatedAlgorithm algorithm) {
    TrainWork work;
    work.local.steps = 6;
    work.local.training.optimizer = LocalOptimizer::kSgd;
    work.local.training.batch_size = 3;
    work.local.training.learning_rate = 0.2;
    work.local.training.weight_decay = 0.1;
    work.local.training.clip_norm = 0.5;
    work.seed = 11;
    work.algorithm.algorithm = algorithm;
    return work;
  }
  std::vector<std::string> parameters() const { return sent_parameters(model.units(), kUnits, {}); }
  /// Numbers of the size of gradients.
  ModelState noise(std::int64_t seed) const {
    torch::manual_seed(static_cast<std::uint64_t>(seed));
    ModelState state;
    for (const auto& name : parameters()) state[name] = 0.1 * torch::randn_like(model.weight(name));
    return state;
  }
  /// The same training in float64 but for the gradients, which the model computes.
  std::map<std::string, Tensor> reference(const TrainWork& work, const ModelState& start,
                                          const Term& loss_term, const Term& correction) const {
    Model other = test::make_model(config, 3);
    other.load_state(start);
    const auto& options = work.local.training;
    std::map<std::string, Tensor> weights;
    for (const auto& name : parameters()) weights[name] = other.weight(name).to(torch::kFloat64);
    Random random(work.seed);
    std::vector<std::int64_t> order(static_cast<std::size_t>(ct.train->size()));
    std::iota(order.begin(), order.end(), std::int64_t{0});
    const std::vector<std::pair<int, int>> batches = {{0, 3}, {3, 6}, {6, 8}};
    for (std::int64_t step = 0; step < work.local.steps; ++step) {
      const auto [begin, end] = batches[static_cast<std::size_t>(step) % 3];
      if (begin == 0) random.shuffle(order);
      const auto batch = ct.train->batch({order.begin() + begin, order.begin() + end}, torch::kCPU);
      other.train_only(kUnits);
      torch::cross_entropy_loss(other.forward(batch), batch.labels).backward();
      const torch::NoGradGuard no_grad;
      std::map<std::string, Tensor> gradients;
      double squares = 0;
      for (const auto& [name, weight] : weights) {
        gradients[name] = other.weight(name).grad().to(torch::kFloat64) + loss_term(name, weight);
        squares += gradients[name].square().sum().item<double>();
      }
      const double factor = std::min(1.0, options.clip_norm / (std::sqrt(squares) + 1e-6));
      for (auto& [name, weight] : weights) {
        const auto step_of = factor * gradients[name] + correction(name, weight);
        weight = weight - options.learning_rate * (step_of + options.weight_decay * weight);
      }
      other.train_only({});
      for (const auto& [name, weight] : weights) other.weight(name).copy_(weight);
    }
    return weights;
  }
};

void check_close(const ModelState& found, const std::map<std::string, Tensor>& expected,
                 double within) {
  REQUIRE(found.size() == expected.size());
  for (const auto& [name, value] : expected) {
    INFO(name);
    CHECK(found.at(name).scalar_type() == torch::kFloat32);
    CHECK((found.at(name) - value).abs().max().item<double>() < within);
  }
}

double distance(const ModelState& a, const std::map<std::string, Tensor>& b) {
  double squares = 0;
  for (const auto& [name, value] : b) squares += (a.at(name) - value).square().sum().item<double>();
  return std::sqrt(squares);
}

// One unit of two weights for the server's side, and one that clients keep.
const std::vector<Unit> kTwo = {
    {.name = "u", .parameters = {"a"}, .bytes = 12, .buffers = {"n"}},
    {.name = "v", .parameters = {"b", "own"}, .bytes = 4, .local = {"own"}},
};

Tensor numbers(std::vector<float> values) {
  return torch::tensor(values, torch::kFloat32);
}

ClientUpdate update_of(const std::string& client, std::int64_t samples, ModelState weights,
                       ModelState memory, std::vector<std::string> units = {"u", "v"}) {
  ClientUpdate update;
  update.client = client;
  update.samples = samples;
  update.units = std::move(units);
  update.weights = std::move(weights);
  update.memory = std::move(memory);
  return update;
}

AlgorithmOptions options_of(FederatedAlgorithm algorithm) {
  AlgorithmOptions options;
  options.algorithm = algorithm;
  options.alpha = 0.5;
  options.lambda = 2;
  return options;
}

}  // namespace

TEST_CASE_METHOD(Fixture, "sgd: w - eta (g + decay w), g the clipped gradient") {
  const auto plain = work(FederatedAlgorithm::kFedavg);
  const auto global = model.state();
  const auto update = train_client(model, global, ct, kUnits, plain);
  const auto expected = reference(plain, global, nothing, nothing);
  check_close(update.weights, expected, 2e-6);
  CHECK(update.memory.empty());
  CHECK(distance(global, expected) > 0.1);
}

TEST_CASE_METHOD(Fixture, "scaffold: corrected steps, and option II of the control variate") {
  auto scaffold = work(FederatedAlgorithm::kScaffold);
  scaffold.memory = noise(1);
  scaffold.control = noise(2);
  scaffold.memory.erase("classifier.3.bias");  // as if it had never trained it
  const auto global = model.state();
  const auto update = train_client(model, global, ct, kUnits, scaffold);
  const auto own = [&](const std::string& name, const Tensor& like) {
    return value_or_zero(scaffold.memory, name, like);
  };
  const auto expected =
      reference(scaffold, global, nothing, [&](const std::string& name, const Tensor& weight) {
        return value_or_zero(scaffold.control, name, weight) - own(name, weight);
      });
  check_close(update.weights, expected, 2e-6);
  std::map<std::string, Tensor> variates;
  for (const auto& [name, trained] : expected)
    variates[name] = own(name, trained) - value_or_zero(scaffold.control, name, trained) +
                     (global.at(name) - trained) / (6 * 0.2);
  check_close(update.memory, variates, 3e-6);

  // Without a rate nothing is learnt of the gradients.
  scaffold.local.training.learning_rate = 0;
  const auto still = train_client(model, global, ct, kUnits, scaffold);
  for (const auto& [name, memory] : scaffold.memory)
    CHECK(same_bits(still.memory.at(name), memory));
}

TEST_CASE_METHOD(Fixture,
                 "feddyn: the local loss is tilted and held, and the gradient remembered") {
  auto feddyn = work(FederatedAlgorithm::kFeddyn);
  feddyn.algorithm.alpha = 0.7;
  feddyn.memory = noise(3);
  const auto global = model.state();
  const auto update = train_client(model, global, ct, kUnits, feddyn);
  const auto expected = reference(
      feddyn, global,
      [&](const std::string& name, const Tensor& weight) {
        return 0.7 * (weight - global.at(name)) - feddyn.memory.at(name);
      },
      nothing);
  check_close(update.weights, expected, 2e-6);
  std::map<std::string, Tensor> gradients;
  for (const auto& [name, trained] : expected)
    gradients[name] = feddyn.memory.at(name) - 0.7 * (trained - global.at(name));
  check_close(update.memory, gradients, 2e-6);
}

TEST_CASE_METHOD(Fixture, "ditto: what is sent is FedAvg's; v goes on from v, held to the global") {
  auto ditto = work(FederatedAlgorithm::kDitto);
  ditto.algorithm.lambda = 1.5;
  ditto.local.training.proximal = 3;
  const auto global = model.state();
  for (const auto& [name, noise] : noise(4)) ditto.memory[name] = global.at(name) + noise;
  const auto update = train_client(model, global, ct, kUnits, ditto);

  auto fedavg = ditto;
  fedavg.algorithm = {};
  fedavg.memory.clear();
  const auto plain = train_client(model, global, ct, kUnits, fedavg);
  for (const auto& [name, weight] : plain.weights)
    CHECK(same_bits(update.weights.at(name), weight));
  CHECK(update.train_loss == plain.train_loss);

  // FedProx's term is the global training's.
  auto start = global;
  for (const auto& [name, weight] : ditto.memory) start[name] = weight;
  const auto held = [&](const std::string& name, const Tensor& weight) {
    return 1.5 * (weight - global.at(name));
  };
  check_close(update.memory, reference(ditto, start, held, nothing), 2e-6);
  // It begins with what is received.
  ditto.memory.clear();
  const auto first = train_client(model, global, ct, kUnits, ditto);
  check_close(first.memory, reference(ditto, global, held, nothing), 2e-6);
  CHECK(distance(first.memory, reference(ditto, start, held, nothing)) > 0.1);
}

TEST_CASE_METHOD(Fixture, "what is frozen or stays with the client is no algorithm's") {
  auto scaffold = work(FederatedAlgorithm::kScaffold);
  scaffold.frozen = {"classifier.3.weight"};
  scaffold.control = noise(5);
  auto units = model.units();
  for (Unit& unit : units)
    if (unit.name == "head") unit.local = {"classifier.3.bias"};
  model.set_units(units);
  const auto global = model.state();
  const auto update = train_client(model, global, ct, {"head"}, scaffold);
  CHECK(update.memory.count("classifier.0.weight") == 1);
  CHECK(update.memory.count("classifier.3.weight") == 0);
  CHECK(update.memory.count("classifier.3.bias") == 0);
  CHECK(update.weights.count("classifier.3.weight") == 0);
  CHECK(update.weights.count("classifier.3.bias") == 1);
  // Its own bias moves by its gradient alone.
  scaffold.local.steps = 1;
  const auto step = train_client(model, global, ct, {"head"}, scaffold);
  scaffold.control["classifier.3.bias"].zero_();
  const auto same = train_client(model, global, ct, {"head"}, scaffold);
  CHECK(same_bits(step.weights.at("classifier.3.bias"), same.weights.at("classifier.3.bias")));
}

TEST_CASE_METHOD(Fixture, "a training that fails leaves no memory") {
  for (const auto algorithm : {FederatedAlgorithm::kScaffold, FederatedAlgorithm::kDitto}) {
    auto failing = work(algorithm);
    failing.memory = noise(6);
    failing.memory["classifier.3.bias"].fill_(std::numeric_limits<float>::infinity());
    const auto update = train_client(model, model.state(), ct, kUnits, failing);
    CHECK_FALSE(update.failure.empty());
    CHECK(update.weights.empty());
    CHECK(update.memory.empty());
    CHECK(std::isnan(update.train_loss));
  }
}

TEST_CASE("the parts of clients are of all of them") {
  const std::vector<ClientSize> clients = {{"x", 10, 1}, {"y", 30, 1}, {"z", 40, 1}};
  const auto samples = client_parts(clients, experiment::ClientWeights::kSamples);
  CHECK(samples.at("x") == 10.0 / 80);
  CHECK(samples.at("z") == 0.5);
  CHECK(client_parts(clients, experiment::ClientWeights::kPlain).at("x") == 1.0 / 3);
}

TEST_CASE("scaffold: the server's variate moves by what its clients' did, weight by weight") {
  const std::map<std::string, double> parts = {{"x", 0.25}, {"y", 0.5}, {"z", 0.25}};
  const ModelState before = {{"a", numbers({1, 2})}, {"b", numbers({3})}, {"own", numbers({9})}};
  ModelState global = {{"a", numbers({5, 6})}, {"b", numbers({7})}, {"own", numbers({9})}};
  AlgorithmState state;
  state.control = {{"a", numbers({0.5, 0})}};
  state.memory["x"] = {{"a", numbers({1, -1})}};
  state.memory["z"] = {{"b", numbers({8})}};
  const AlgorithmOptions options = options_of(FederatedAlgorithm::kScaffold);
  // y did not train b, z is not heard of.
  const std::vector<ClientUpdate> updates = {
      update_of("y", 2, {{"a", numbers({0, 0})}}, {{"a", numbers({4, 2})}}, {"u"}),
      update_of("x", 1, {{"a", numbers({0, 0})}, {"b", numbers({1})}},
                {{"a", numbers({3, 1})}, {"b", numbers({-2})}})};
  const ModelState averaged = global;
  finish_round({options, kTwo, parts, updates, before}, global, state);
  for (const auto& [name, weight] : averaged) CHECK(same_bits(global.at(name), weight));
  CHECK(state.control.size() == 2);
  CHECK(same_bits(state.control.at("a"), numbers({0.5 + 0.25 * 2 + 0.5 * 4, 0.25 * 2 + 0.5 * 2})));
  CHECK(same_bits(state.control.at("b"), numbers({0.25 * -2})));
  CHECK(same_bits(state.memory.at("x").at("a"), numbers({3, 1})));
  CHECK(same_bits(state.memory.at("y").at("a"), numbers({4, 2})));
  CHECK(state.memory.at("z").size() == 1);
  CHECK(same_bits(state.memory.at("z").at("b"), numbers({8})));
}

TEST_CASE("feddyn: h is the mean of the clients' gradients, and the average is corrected by it") {
  const std::map<std::string, double> parts = {{"x", 0.25}, {"y", 0.5}, {"z", 0.25}};
  const ModelState before = {{"a", numbers({1, 2})}, {"b", numbers({3})}, {"own", numbers({9})}};
  ModelState global = {{"a", numbers({5, 6})}, {"b", numbers({7})}, {"own", numbers({9})}};
  AlgorithmState state;
  state.control = {{"a", numbers({0.5, 0})}};
  const AlgorithmOptions options = options_of(FederatedAlgorithm::kFeddyn);
  const std::vector<ClientUpdate> updates = {
      update_of("y", 2, {{"a", numbers({4, 2})}}, {{"a", numbers({0, 0})}}, {"u"}),
      update_of("x", 1, {{"a", numbers({1, 6})}, {"b", numbers({11})}},
                {{"a", numbers({0, 0})}, {"b", numbers({0})}})};
  finish_round({options, kTwo, parts, updates, before}, global, state);
  // h <- h - 0.5 (0.25 (x - w) + 0.5 (y - w)); a - h / 0.5.
  const double h0 = 0.5 - 0.5 * (0.25 * 0 + 0.5 * 3), h1 = -0.5 * (0.25 * 4 + 0.5 * 0);
  CHECK(
      same_bits(state.control.at("a"), numbers({static_cast<float>(h0), static_cast<float>(h1)})));
  CHECK(same_bits(global.at("a"),
                  numbers({static_cast<float>(5 - 2 * h0), static_cast<float>(6 - 2 * h1)})));
  CHECK(same_bits(state.control.at("b"), numbers({-0.5 * 0.25 * 8})));
  CHECK(same_bits(global.at("b"), numbers({7 + 2 * 0.5 * 0.25 * 8})));
  CHECK(same_bits(global.at("own"), numbers({9})));
  CHECK(state.control.count("own") == 0);
}

TEST_CASE("the order of the updates is no matter") {
  // Sums of these depend on the order, in float64, too.
  const std::map<std::string, float> values = {
      {"a", 1e30F}, {"b", 1.0F}, {"c", -1e30F}, {"d", 2.0F}, {"e", 4.0F}};
  std::map<std::string, double> parts;
  std::vector<ClientUpdate> updates;
  for (const std::string client : {"d", "b", "e", "a", "c"}) {
    parts[client] = 0.2;
    const Tensor value = numbers({values.at(client)});
    updates.push_back(update_of(client, 1, {{"a", value}}, {{"a", value}}, {"u"}));
  }
  const ModelState before = {{"a", numbers({0})}}, averaged = {{"a", numbers({0})}};
  for (const auto algorithm : {FederatedAlgorithm::kScaffold, FederatedAlgorithm::kFeddyn}) {
    const AlgorithmOptions options = options_of(algorithm);
    ModelState first = averaged, second = averaged;
    AlgorithmState one, other;
    finish_round({options, {kTwo[0]}, parts, updates, before}, first, one);
    std::reverse(updates.begin(), updates.end());
    finish_round({options, {kTwo[0]}, parts, updates, before}, second, other);
    CHECK(same_bits(first.at("a"), second.at("a")));
    CHECK(same_bits(one.control.at("a"), other.control.at("a")));
  }
}

TEST_CASE("control travels with parameters, not with statistics or what clients keep") {
  const ModelState weights = {
      {"a", numbers({1, 2})}, {"n", numbers({3})}, {"b", numbers({1})}, {"own", numbers({1})}};
  const auto doubled = with_control(scaffold(), kTwo, weights);
  CHECK(doubled[0].bytes == 12 + 8);
  CHECK(doubled[1].bytes == 4 + 4);
  for (const auto& algorithm : {fedavg(), feddyn(), ditto()})
    CHECK(with_control(algorithm, kTwo, weights)[0].bytes == 12);
}

TEST_CASE("an update whose memory is not finite has failed") {
  std::vector<ClientUpdate> updates = {
      update_of("x", 1, {{"a", numbers({1})}}, {{"a", numbers({1})}}),
      update_of("y", 1, {{"a", numbers({1})}},
                {{"a", numbers({std::numeric_limits<float>::quiet_NaN()})}})};
  fail_spoiled_memories(updates);
  CHECK(updates[0].failure.empty());
  CHECK(updates[1].failure == "what it remembers of the weight a is not finite");
  CHECK(updates[1].weights.empty());
}

TEST_CASE("what an algorithm remembers travels in both messages, and is checked") {
  Order order;
  order.run = "run";
  order.round = 2;
  order.client = "x";
  order.units = {"u", "v"};
  order.base = "base";
  order.state = std::make_shared<const ModelState>(ModelState{
      {"a", numbers({1, 2})}, {"n", numbers({3})}, {"b", numbers({1})}, {"own", numbers({1})}});
  TrainWork work;
  work.local.steps = 2;
  work.algorithm = options_of(FederatedAlgorithm::kFeddyn);
  work.memory = {{"a", numbers({7, 8})}};
  work.control = {{"b", numbers({-1})}};
  order.work = work;
  const auto again = std::get<TrainWork>(decode_order(encode(order)).work);
  CHECK(again.algorithm.algorithm == FederatedAlgorithm::kFeddyn);
  CHECK(again.algorithm.alpha == 0.5);
  CHECK(same_bits(again.memory.at("a"), work.memory.at("a")));
  CHECK(same_bits(again.control.at("b"), work.control.at("b")));

  const auto update =
      update_of("x", 5, *order.state, {{"a", numbers({1, 1})}, {"b", numbers({2})}});
  const auto reply = [&](ClientUpdate with) { return Reply{order.id(), "x", std::move(with)}; };
  const auto decoded = decode_reply(encode(reply(update)));
  CHECK(same_bits(std::get<ClientUpdate>(decoded.result).memory.at("b"), numbers({2})));
  const auto refused = [&](ClientUpdate with) {
    return test::error_of([&] { check_reply(reply(std::move(with)), order, {kTwo, 5}); });
  };
  CHECK(refused(update).empty());
  auto other = update;
  other.memory.erase("b");
  CHECK(refused(other) == "the reply lacks a memory of b");
  other = update;
  other.memory["own"] = numbers({1});
  CHECK(refused(other) == "the reply has a memory of own, which it was not asked for");
  other = update;
  other.memory["a"] = numbers({1});
  CHECK(refused(other) == "the reply has a memory of a as F32 1, not F32 2");
  // A model of one's own is of all that was trained; without an algorithm there is nothing.
  work.algorithm = options_of(FederatedAlgorithm::kDitto);
  order.work = work;
  CHECK(refused(update) == "the reply lacks a memory of n");
  work.algorithm = {};
  order.work = work;
  CHECK(refused(update) == "the reply has a memory of a, which it was not asked for");
}
