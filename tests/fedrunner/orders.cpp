#include "fedrunner/orders.h"

#include <cmath>

#include "catch.h"
#include "fedrunner/streams.h"
#include "fedrunner/tiny.h"

using namespace strata;
using namespace strata::fedrunner;

namespace {

using Names = std::vector<std::string>;

struct Fixture {
  test::TempDir dir;
  data::Manifest manifest = test::write_tiny_data(dir / "data");
  FederatedTask task{.name = "tiny",
                     .task = tasks::answer_classification(),
                     .clients = {},
                     .units = {},
                     .budgets = {},
                     .run = {},
                     .foundation_fingerprint = "base",
                     .tokenizer = test::tiny_tokenizer()};
  PlannedRun run{{.name = "topk", .metric = "lntk"}, 11, "", "run"};
  RunUnits units{{"block.0", "block.1"}, {"head"}, {}, {}};
  States state{std::make_shared<const ModelState>()};

  Fixture() {
    for (const char* name : {"ct", "mri"}) task.clients.push_back(name);
    for (const char* name : {"block.0", "block.1", "head"}) units.all.push_back({.name = name});
    task.run.score.samples = 4;
    task.run.local.training.learning_rate = 0.5;
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "every exchange asks every client, and shares one state") {
  const Orders orders(task, run, units);
  for (const auto& asked : {orders.score(3, state), orders.evaluate(3, state)}) {
    REQUIRE(asked.size() == 2);
    CHECK(asked[0].client == "ct");
    CHECK(asked[1].client == "mri");
    for (const auto& order : asked) {
      CHECK(order.run == "run");
      CHECK(order.base == "base");
      CHECK(order.round == 3);
      CHECK(order.state == state.shared);
    }
  }
  const auto hello = orders.hello();
  CHECK(hello[1].units == Names{"block.0", "block.1", "head"});
  CHECK(hello[1].state == nullptr);
  CHECK(hello[1].phase() == Phase::kHello);
  CHECK(orders.evaluate(3, state)[0].units.empty());
  const auto score = orders.score(3, state);
  CHECK(score[1].units == Names{"block.0", "block.1"});
  const auto& work = std::get<ScoreWork>(score[1].work);
  CHECK(work.metric == "lntk");
  CHECK(work.samples == 4);
  CHECK(work.seed == stream(11, Purpose::kScore, 3, "mri"));
}

TEST_CASE_METHOD(Fixture, "a client trains what the plan gives it and what is always trained") {
  Plan plan;
  plan.clients = {"ct", "mri"};
  plan.units = {"block.0", "block.1"};
  plan.assignment = Assignment::Zero(2, 2);
  plan.assignment(1, 1) = 1;
  const Orders orders(task, run, units);
  const auto train = orders.train(2, 4, plan, state);
  CHECK(train[0].units == Names{"head"});
  CHECK(train[1].units == Names{"block.1", "head"});
  using Cohorts = std::map<std::string, std::int64_t>;
  CHECK(std::get<TrainWork>(train[0].work).cohorts == Cohorts{{"head", 2}});
  CHECK(std::get<TrainWork>(train[1].work).cohorts == Cohorts{{"block.1", 1}, {"head", 2}});
  for (const auto& order : train) {
    const auto& work = std::get<TrainWork>(order.work);
    CHECK(work.seed == stream(11, Purpose::kTrain, 2, order.client));
    CHECK(work.share == 1);
    CHECK(work.local.training.learning_rate == 0.5);
  }
  // The schedule is over the rounds.
  task.run.local.schedule = experiment::Schedule::kCosine;
  const auto rate = [&](int round) {
    return std::get<TrainWork>(orders.train(round, 4, plan, state)[0].work)
        .local.training.learning_rate;
  };
  CHECK(rate(1) == 0.5);
  CHECK(rate(3) == Approx(0.25));
  CHECK(rate(4) == Approx(0.25 * (1 + std::cos(M_PI * 3 / 4))));
  // Two rounds of warm-up, and what is left of the way to the power.
  task.run.local.schedule = experiment::Schedule::kPolynomial;
  task.run.local.training.warmup = 0.5;
  task.run.local.training.decay_power = 7;
  CHECK(rate(1) == Approx(0.25));
  CHECK(rate(2) == Approx(0.5));
  CHECK(rate(3) == Approx(0.5));
  CHECK(rate(4) == Approx(0.5 * std::pow(0.5, 7)));
}

TEST_CASE_METHOD(Fixture, "an order freezes what the rule of LoRA pairs does, of its own units") {
  auto shape = test::tiny_config();
  shape.peft.lora_rank = 2;
  const auto blueprint = shape.blueprint();
  const auto all = peft::scheme_units(blueprint, "lora", models::Buffers::kFrozen);
  units.pairs = UnitPairs(lora_rule(LoraAverage::kRolora), blueprint, all);
  units.always = {"lora.1"};
  Plan plan;
  plan.clients = {"ct", "mri"};
  plan.units = {"lora.0", "lora.2"};
  plan.assignment = Assignment::Zero(2, 2);
  plan.assignment(1, 1) = 1;
  const Orders orders(task, run, units);
  const auto frozen = [&](int round, std::size_t client) {
    return std::get<TrainWork>(orders.train(round, 4, plan, state)[client].work).frozen;
  };
  CHECK(frozen(1, 0) == units.pairs.frozen(1, {"lora.1"}));
  CHECK(frozen(2, 0) == units.pairs.frozen(2, {"lora.1"}));
  CHECK(frozen(1, 1) == units.pairs.frozen(1, {"lora.1", "lora.2"}));
  CHECK(frozen(1, 0).size() == 2);
  CHECK(frozen(1, 1).size() == 4);
  CHECK(frozen(1, 0) != frozen(2, 0));
}

TEST_CASE("a client that keeps weights to itself works on these, and on everybody's others") {
  const ModelState global = {{"a", torch::tensor({1.0f})}, {"b", torch::tensor({2.0f})}};
  const States states = states_of(global, {{"mri", {{"b", torch::tensor({5.0f})}}}});
  CHECK(states.of("ct") == states.shared);
  CHECK(states.of("ct")->at("b").item<float>() == 2);
  CHECK(states.of("mri")->at("b").item<float>() == 5);
  CHECK(states.of("mri")->at("a").item<float>() == 1);
}
