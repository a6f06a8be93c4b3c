// FedDAT (fedrunner/algorithms/feddat.cpp): two sets of adapters, against computations by hand.

#include <cmath>
#include <limits>
#include <numeric>

#include "catch.h"
#include "fedrunner/algorithms/algorithms.h"
#include "fedrunner/client.h"
#include "fedrunner/federated_task.h"
#include "fedrunner/orders.h"
#include "fedrunner/tiny.h"
#include "models/drawn.h"
#include "models/precision.h"
#include "strata/core/error.h"
#include "support/companions.h"

using namespace strata;
using namespace strata::fedrunner;
using Catch::Matchers::Contains;
using models::Model;
using test::same_bits;
using torch::Tensor;

namespace {

using Names = std::vector<std::string>;
const Names kAdapters = {"adapter.0", "adapter.2"}, kUnits = {"adapter.0", "adapter.2", "head"};

Model adapted(std::int64_t reduction, double dropout = 0) {
  auto shape = test::tiny_config();
  shape.peft.adapter_reduction = reduction;
  shape.hidden_dropout_prob = dropout;
  Model model = test::make_model(shape, 3);
  peft::set_units(model, "adapter", models::Buffers::kFrozen);
  return model;
}

/// With adapters and a head whose numbers are large enough for logits to differ.
Model noisy(Model model, std::uint64_t seed) {
  torch::manual_seed(seed);
  for (const auto& parameter : test::added_parameters(model))
    model.weight(parameter.name).add_(0.7 * torch::randn(parameter.shape));
  for (const auto& name : model.unit("head").parameters)
    model.weight(name).add_(0.4 * torch::randn_like(model.weight(name)));
  return model;
}

ModelState adapters_of(const Model& model) {
  ModelState state;
  for (const auto& parameter : test::added_parameters(model))
    state[parameter.name] = model.weight(parameter.name).clone();
  return state;
}

/// Σ q (log q − log p) of softmax(teacher / T) and softmax(student / T), a mean over the samples.
Tensor divergence(const Tensor& teacher, const Tensor& student, double temperature) {
  const auto share = [&](const Tensor& logits) {
    const Tensor powers = (logits.to(torch::kFloat64) / temperature).exp();
    return powers / powers.sum(1, true);
  };
  const Tensor q = share(teacher.detach()), p = share(student);
  return (q * (q.log() - p.log())).sum() / static_cast<double>(teacher.size(0));
}

struct Fixture {
  test::TempDir dir;
  data::Manifest manifest = test::write_tiny_data(dir / "data");
  Model model = noisy(adapted(4), 1);
  ModelState global = model.state();
  FederatedClient ct{"ct", rows("train"), rows("test")};

  test::Answers rows(const std::string& split) const {
    return test::answers(manifest, test::examples_of(manifest, "ct", split), test::tiny_config(),
                         test::tiny_tokenizer());
  }
  TrainWork work(const Names& units = kUnits) const {
    TrainWork work;
    work.local.steps = 4;
    work.local.training.optimizer = LocalOptimizer::kSgd;
    work.local.training.batch_size = 3;
    work.local.training.learning_rate = 0.2;
    work.local.training.weight_decay = 0.1;
    work.local.training.clip_norm = 0.5;
    work.seed = 11;
    work.algorithm.algorithm = FederatedAlgorithm::kFeddat;
    work.algorithm.distill_local = 0.7;
    work.algorithm.distill_shared = 1.3;
    work.algorithm.temperature = 2;
    const auto may = peft::companion_parameters(model.blueprint());
    for (const auto& name : sent_parameters(model.units(), units, {}))
      if (may.count(name)) work.companions.push_back(name);
    return work;
  }
  /// What the client remembers of all adapters, of those that it does not train now, too.
  static ModelState memory() { return adapters_of(noisy(adapted(4), 2)); }

  /// The same training with gradients in float32 and all else in float64. The teacher is a model
  /// of one adapter where it has two.
  struct Reference {
    const Fixture& fixture;
    const TrainWork& work;
    Model shared = adapted(4), teacher = adapted(2);
    ModelState sent, own;  // in float64

    Reference(const Fixture& of, const TrainWork& with, const ModelState& memory)
        : fixture(of), work(with) {
      for (const auto& name : sent_parameters(shared.units(), kUnits, {}))
        sent[name] = of.global.at(name).to(torch::kFloat64);
      for (const auto& [name, weight] : memory) own[name] = weight.to(torch::kFloat64);
      shared.load_state(of.global);
    }
    bool doubled(const std::string& name) const {
      return std::find(work.companions.begin(), work.companions.end(), name) !=
             work.companions.end();
    }
    /// Leaves of what moves, and the logits that the teacher makes of them.
    ModelState teach(const models::Batch& batch, Tensor& logits) {
      ModelState leaves;
      Model now = teacher;
      for (const auto& [name, weight] : sent)
        if (!doubled(name)) leaves[name] = weight.to(torch::kFloat).requires_grad_();
      for (auto& [name, weight] : now.weights()) {
        const auto mine = own.find(name);
        if (mine == own.end()) {
          weight = leaves.count(name) ? leaves.at(name) : fixture.global.at(name);
          continue;
        }
        const Tensor leaf = mine->second.to(torch::kFloat).requires_grad_(doubled(name));
        if (doubled(name)) leaves[name] = leaf;
        weight = test::side_by_side(leaf, fixture.global.at(name), weight.sizes());
      }
      logits = now.forward(batch);
      return leaves;
    }
    /// Gradients of all leaves together clipped, one step of SGD.
    void step(const ModelState& leaves, const std::function<Tensor&(const std::string&)>& weight) {
      const auto& options = work.local.training;
      double squares = 0;
      for (const auto& [name, leaf] : leaves)
        squares += leaf.grad().to(torch::kFloat64).square().sum().item<double>();
      const double factor = std::min(1.0, options.clip_norm / (std::sqrt(squares) + 1e-6));
      for (const auto& [name, leaf] : leaves) {
        Tensor& moves = weight(name);
        moves = moves - options.learning_rate * (factor * leaf.grad().to(torch::kFloat64) +
                                                 options.weight_decay * moves);
      }
    }
    void run() {
      Random random(work.seed);
      std::vector<std::int64_t> order(8);
      std::iota(order.begin(), order.end(), std::int64_t{0});
      const std::vector<std::pair<int, int>> batches = {{0, 3}, {3, 6}, {6, 8}};
      const double t = work.algorithm.temperature;
      for (std::int64_t i = 0; i < work.local.steps; ++i) {
        const auto [begin, end] = batches[static_cast<std::size_t>(i) % 3];
        if (begin == 0) random.shuffle(order);
        const auto batch =
            fixture.ct.train->batch({order.begin() + begin, order.begin() + end}, torch::kCPU);
        Tensor taught;
        teach(batch, taught);
        ModelState leaves;
        for (const auto& [name, weight] : sent) {
          leaves[name] = weight.to(torch::kFloat).requires_grad_();
          shared.weight(name) = leaves[name];
        }
        const Tensor said = shared.forward(batch);
        (torch::cross_entropy_loss(said, batch.labels) +
         work.algorithm.distill_shared * t * t * divergence(taught, said, t))
            .backward();
        step(leaves, [&](const std::string& name) -> Tensor& { return sent.at(name); });
        // The head has moved.
        leaves = teach(batch, taught);
        (torch::cross_entropy_loss(taught, batch.labels) +
         work.algorithm.distill_local * t * t * divergence(said, taught, t))
            .backward();
        step(leaves, [&](const std::string& name) -> Tensor& {
          return doubled(name) ? own.at(name) : sent.at(name);
        });
      }
    }
  };
};

double farthest(const ModelState& found, const ModelState& expected) {
  REQUIRE(found.size() == expected.size());
  double most = 0;
  for (const auto& [name, value] : expected) {
    INFO(name);
    CHECK(found.at(name).scalar_type() == torch::kFloat32);
    most = std::max(most, (found.at(name) - value).abs().max().item<double>());
  }
  return most;
}

ModelState only(const ModelState& state, const Names& names) {
  ModelState some;
  for (const auto& name : names) some[name] = state.at(name);
  return some;
}

void check_same_bits(const ModelState& found, const ModelState& expected) {
  REQUIRE(found.size() == expected.size());
  for (const auto& [name, value] : expected) {
    INFO(name);
    CHECK(same_bits(found.at(name), value));
  }
}

}  // namespace

TEST_CASE_METHOD(Fixture, "feddat: shared and own adapters move by their labels and each other") {
  auto feddat = work();
  feddat.memory = memory();
  REQUIRE(feddat.companions.size() == 8);
  const auto update = train_client(model, global, ct, kUnits, feddat);
  Reference expected(*this, feddat, feddat.memory);
  expected.run();
  CHECK(farthest(update.weights, expected.sent) < 2e-6);
  CHECK(farthest(update.memory, only(expected.own, feddat.companions)) < 2e-6);
  CHECK(farthest(update.weights, only(global, sent_parameters(model.units(), kUnits, {}))) > 0.05);
  CHECK(farthest(update.memory, only(feddat.memory, feddat.companions)) > 0.05);
  // Each of the numbers counts.
  for (double AlgorithmOptions::*number :
       {&AlgorithmOptions::distill_local, &AlgorithmOptions::distill_shared,
        &AlgorithmOptions::temperature}) {
    auto other = feddat;
    other.algorithm.*number *= 2;
    const auto moved = train_client(model, global, ct, kUnits, other);
    CHECK(farthest(moved.memory, update.memory) > 1e-4);
    CHECK(farthest(moved.weights, update.weights) > 1e-5);
  }
}

TEST_CASE_METHOD(Fixture, "feddat: without distillation the shared adapters are FedAvg's") {
  for (const auto optimizer : {LocalOptimizer::kAdamw, LocalOptimizer::kSgd}) {
    Model dropping = noisy(adapted(4, 0.2), 1);
    auto feddat = work(kAdapters);
    feddat.memory = memory();
    feddat.local.training.optimizer = optimizer;
    feddat.local.training.proximal = 0.3;
    feddat.local.training.flips = Flips::kBoth;
    feddat.algorithm.distill_local = feddat.algorithm.distill_shared = 0;
    const auto found = train_client(dropping, global, ct, kAdapters, feddat);
    auto fedavg = feddat;
    fedavg.algorithm = {};
    fedavg.companions.clear();
    fedavg.memory.clear();
    const auto plain = train_client(dropping, global, ct, kAdapters, fedavg);
    check_same_bits(found.weights, plain.weights);
    CHECK(found.train_loss == plain.train_loss);
    CHECK(farthest(found.memory, only(feddat.memory, feddat.companions)) > 1e-3);
    // What the teacher teaches it does.
    feddat.algorithm.distill_shared = 1;
    const auto taught = train_client(dropping, global, ct, kAdapters, feddat);
    CHECK(farthest(taught.weights, plain.weights) > 1e-5);
    CHECK(taught.train_loss > plain.train_loss);
  }
}

TEST_CASE_METHOD(Fixture, "feddat: own adapters are drawn when they are first trained") {
  auto feddat = work();
  feddat.local.training.learning_rate = 0;
  const auto begins = [&] { return train_client(model, global, ct, kUnits, feddat).memory; };
  const auto first = begins();
  for (const auto& name : feddat.companions) {
    const auto& parameter = model.blueprint().parameter(name);
    CHECK(same_bits(first.at(name),
                    models::drawn(parameter, derive_seed(feddat.seed, "companions"))));
  }
  CHECK(first.at(feddat.companions.front()).abs().max().item<double>() > 1e-3);
  check_same_bits(begins(), first);
  feddat.memory = memory();
  check_same_bits(begins(), only(feddat.memory, feddat.companions));
  // The client's workspace is as it was for whoever borrows it next.
  CHECK(same_bits(model.weight(feddat.companions.front()), global.at(feddat.companions.front())));
  for (const auto& [name, weight] : model.weights()) CHECK_FALSE(weight.requires_grad());
}

TEST_CASE_METHOD(Fixture, "feddat: a client that trains no adapter trains as FedAvg does") {
  auto feddat = work({"head"});
  feddat.memory = memory();
  REQUIRE(feddat.companions.empty());
  const auto found = train_client(model, global, ct, {"head"}, feddat);
  CHECK(found.memory.empty());
  feddat.algorithm = {};
  check_same_bits(found.weights, train_client(model, global, ct, {"head"}, feddat).weights);
}

TEST_CASE_METHOD(Fixture, "feddat: with gradient checkpointing the numbers are the same") {
  auto feddat = work();
  feddat.memory = memory();
  const auto kept = train_client(model, global, ct, kUnits, feddat);
  feddat.local.training.gradient_checkpointing = true;
  const auto anew = train_client(model, global, ct, kUnits, feddat);
  CHECK(farthest(anew.weights, kept.weights) < 1e-6);
  CHECK(farthest(anew.memory, kept.memory) < 1e-6);
  CHECK(anew.train_loss == Approx(kept.train_loss).epsilon(1e-6));
}

TEST_CASE_METHOD(Fixture, "feddat: a batch with a partner is one part") {
  ct.train = test::answers(manifest, test::examples_of(manifest, "", "train"), test::tiny_config(),
                           test::tiny_tokenizer());
  auto feddat = work();
  feddat.memory = memory();
  feddat.local.training.batch_size = 16;
  const auto once = train_client(model, global, ct, kUnits, feddat);
  for (const int parts : {1, 2}) {
    Model again = model;
    again.load_state(global);
    const ClientRound round{feddat, global, feddat.local.steps};
    TrainingHooks hooks;
    hooks.partner = strata::fedrunner::feddat().partner(round, again);
    train(again, *ct.train, kUnits, feddat.local.steps, feddat.local.training, feddat.seed, hooks,
          parts);
    for (const auto& [name, weight] : once.memory)
      CHECK(same_bits(hooks.partner->model.weight(name), weight));
    for (const auto& [name, weight] : once.weights) CHECK(same_bits(again.weight(name), weight));
  }
}

TEST_CASE_METHOD(Fixture, "feddat: a training that does not stay finite leaves nothing") {
  auto feddat = work();
  feddat.memory = memory();
  feddat.memory.begin()->second.fill_(std::numeric_limits<float>::infinity());
  const auto update = train_client(model, global, ct, kUnits, feddat);
  CHECK_FALSE(update.failure.empty());
  CHECK(update.weights.empty());
  CHECK(update.memory.empty());
}

TEST_CASE_METHOD(Fixture, "feddat: orders say of what there are second weights, and carry them") {
  FederatedTask task{.name = "tiny",
                     .task = tasks::answer_classification(),
                     .clients = {"ct", "mri"},
                     .units = {},
                     .budgets = {},
                     .run = {},
                     .foundation_fingerprint = "base",
                     .tokenizer = test::tiny_tokenizer()};
  task.run.server.algorithm.algorithm = FederatedAlgorithm::kFeddat;
  const PlannedRun run{{.name = "topk", .metric = "lntk"}, 11, "", "run"};
  const SelectedUnits selected{{model.unit("adapter.0"), model.unit("adapter.2")},
                               {model.unit("head")}};
  auto units = units_of_run(selected, run.strategy, model);
  CHECK(units.companions.size() == 8);
  Plan plan;
  plan.clients = task.clients;
  plan.units = {"adapter.0", "adapter.2"};
  plan.assignment = Assignment::Zero(2, 2);
  plan.assignment(0, 1) = 1;
  const States states{std::make_shared<const ModelState>(global)};
  AlgorithmState state;
  state.memory["ct"] = memory();
  const auto orders = Orders(task, run, units).train(1, 2, plan, states, state);
  const auto& of_ct = std::get<TrainWork>(orders[0].work);
  CHECK(of_ct.companions == sent_parameters(model.units(), {"adapter.2"}, {}));
  CHECK(of_ct.memory.size() == state.memory["ct"].size());
  CHECK(std::get<TrainWork>(orders[1].work).companions.empty());
  const Order decoded = decode_order(encode(orders[0]));
  CHECK(std::get<TrainWork>(decoded.work).companions == of_ct.companions);
  CHECK(std::get<TrainWork>(decoded.work).algorithm.temperature == of_ct.algorithm.temperature);

  const auto measured = Orders(task, run, units).evaluate(1, states, state);
  check_same_bits(std::get<EvaluateWork>(measured[0].work).companions, state.memory["ct"]);
  CHECK(std::get<EvaluateWork>(measured[1].work).companions.empty());
  const Order again = decode_order(encode(measured[0]));
  check_same_bits(std::get<EvaluateWork>(again.work).companions, state.memory["ct"]);
  task.run.server.algorithm.algorithm = FederatedAlgorithm::kDitto;
  const auto ditto = Orders(task, run, units);
  CHECK(std::get<TrainWork>(ditto.train(1, 2, plan, states, state)[0].work).companions.empty());
  CHECK(std::get<EvaluateWork>(ditto.evaluate(1, states, state)[0].work).companions.empty());
  // What clients keep to themselves they have once.
  for (Unit& unit : units.all) unit.local = state_of(unit);
  task.run.server.algorithm.algorithm = FederatedAlgorithm::kFeddat;
  const auto personal = Orders(task, run, units).train(1, 2, plan, states, state);
  CHECK(std::get<TrainWork>(personal[0].work).companions.empty());

  // A reply remembers them and no other.
  ClientUpdate update;
  update.client = "ct";
  update.samples = 8;
  update.units = orders[0].units;
  for (const auto& name : sent_parameters(model.units(), orders[0].units, {}))
    update.weights[name] = global.at(name);
  update.memory = only(global, of_ct.companions);
  const auto refused = [&] {
    const Reply reply{orders[0].id(), "ct", update};
    return test::error_of([&] { check_reply(reply, orders[0], {units.all, 8}); });
  };
  update.units = orders[0].units;
  CHECK(refused().empty());
  update.memory.erase(of_ct.companions.front());
  CHECK(refused() == "the reply lacks a memory of " + of_ct.companions.front());
}

TEST_CASE_METHOD(Fixture,
                 "feddat: clients are measured with the mean of their and the global ones") {
  std::set<std::string> trained;
  for (const auto& unit : kUnits) {
    const auto names = state_of(model.unit(unit));
    trained.insert(names.begin(), names.end());
  }
  Workspaces workspaces(model, trained, 1);
  const Scorer scorer = test::tiny_tools().score;
  const std::string base = "base";
  const Client client(ct, workspaces, scorer, base);
  const auto state =
      std::make_shared<const ModelState>(only(global, Names(trained.begin(), trained.end())));
  const auto loss = [&](const ModelState& companions) {
    const Order order{"run", 1, "ct", {}, base, state, EvaluateWork{companions}};
    return std::get<EvaluateResult>(client.serve(order).result).tally.of("loss").mean();
  };
  const ModelState own = memory();
  Model wide = adapted(2);
  for (auto& [name, weight] : wide.weights()) {
    weight = own.count(name) ? test::side_by_side(own.at(name), global.at(name), weight.sizes())
                             : global.at(name);
  }
  const double alone = loss({}), both = loss(own);
  CHECK(both == Approx(ct.test->task().evaluate(wide, *ct.test).of("loss").mean()).epsilon(1e-5));
  CHECK(std::abs(both - alone) > 1e-3);
  CHECK(loss({}) == alone);
  CHECK_THROWS_WITH(loss({{own.begin()->first, torch::zeros({1})}}),
                    Contains("of the shape that the order has"));
  auto feddat = work();
  feddat.companions = {"classifier.3.wieght"};
  const Order order{"run", 1, "ct", kUnits, base, state, feddat};
  CHECK_THROWS_WITH(client.serve(order),
                    Contains("classifier.3.wieght") && Contains("could train a second one"));
}
