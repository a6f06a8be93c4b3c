#include "fedrunner/client_ranks.h"

#include "catch.h"
#include "fedrunner/client.h"
#include "fedrunner/orders.h"
#include "fedrunner/tiny.h"
#include "peft/methods.h"
#include "strata/core/error.h"

using namespace strata;
using namespace strata::fedrunner;
using Catch::Matchers::Contains;
using test::same_bits;
using torch::Tensor;

namespace {

using Sizes = std::vector<std::int64_t>;

/// Pairs beside a layer from 16 to 64 numbers of each of three blocks.
test::ModelShape shape_of(std::int64_t rank) {
  auto shape = test::tiny_config();
  shape.peft.lora_rank = rank;
  shape.peft.lora_alpha = 2.0 * static_cast<double>(rank);  // a scale of 2 whatever the rank
  shape.peft.lora_targets = {"intermediate.dense"};
  return shape;
}

/// The client ct with a model whose pairs have this rank.
struct Site {
  test::TempDir dir;
  data::Manifest manifest = test::write_tiny_data(dir / "data");
  test::ModelShape shape;
  models::Model model;
  FederatedClient examples{"ct",
                           test::answers(manifest, test::examples_of(manifest, "ct", "train"),
                                         shape, test::tiny_tokenizer()),
                           nullptr};
  Scorer scorer = test::tiny_tools().score;
  std::string base = "base";
  std::set<std::string> trained;
  std::unique_ptr<Workspaces> workspaces;
  std::unique_ptr<Client> client;

  explicit Site(std::int64_t rank) : shape(shape_of(rank)), model(test::make_model(shape, 3)) {
    peft::set_units(model, "lora", models::Buffers::kFrozen);
    for (const auto& unit : units()) trained.insert(unit.parameters.begin(), unit.parameters.end());
    workspaces = std::make_unique<Workspaces>(model, trained, 1);
    client = std::make_unique<Client>(examples, *workspaces, scorer, base);
  }
  std::vector<Unit> units() const {
    return {model.unit("lora.0"), model.unit("lora.1"), model.unit("lora.2")};
  }
  std::vector<UnitPair> pairs() const { return unit_pairs(model.blueprint(), units()); }
  /// Neither factor is 0.
  ModelState state() const {
    torch::manual_seed(8);
    ModelState state;
    for (const auto& name : trained) state[name] = torch::randn(model.weight(name).sizes()) * 0.2;
    return state;
  }
  Order training(const ModelState& state, experiment::LocalOptimizer optimizer) const {
    TrainWork work;
    work.local.steps = 4;
    work.local.training.batch_size = 3;
    work.local.training.learning_rate = 0.05;
    work.local.training.weight_decay = 0.1;
    work.local.training.clip_norm = 0.1;
    work.local.training.optimizer = optimizer;
    work.local.training.proximal = 0.5;
    work.seed = 5;
    return {"run", 1, "ct", {"lora.0", "lora.2"}, base, std::make_shared<ModelState>(state), work};
  }
};

const UnitRanks kTwo = {{"lora.0", 2}, {"lora.1", 2}, {"lora.2", 2}};

Sizes sizes(const Tensor& tensor) {
  return tensor.sizes().vec();
}

}  // namespace

TEST_CASE("a rank keeps the first rows of A and the first columns of B, of its unit's pairs") {
  const Site site(3);
  const auto cuts = cuts_of(site.pairs(), {{"lora.0", 1}, {"lora.1", 3}, {"lora.2", 0}});
  CHECK(cuts.size() == 4);  // rank 3 is the pair's own
  const auto whole = site.state(), part = cut(whole, cuts);
  REQUIRE(part.size() == 6);
  for (const auto& pair : site.pairs()) {
    INFO(pair.names.first);
    CHECK(pair.rank == 3);
    const std::int64_t kept = pair.unit == "lora.0" ? 1 : pair.unit == "lora.1" ? 3 : 0;
    const Tensor &a = part.at(pair.names.first), &b = part.at(pair.names.second);
    CHECK(sizes(a) == Sizes{kept, 16});
    CHECK(sizes(b) == Sizes{64, kept});
    CHECK(torch::equal(a, whole.at(pair.names.first).slice(0, 0, kept)));
    CHECK(torch::equal(b, whole.at(pair.names.second).slice(1, 0, kept)));
  }
  CHECK(cuts_of(site.pairs(), {{"lora.0", 9}}).empty());
  CHECK(cuts_of(site.pairs(), {}).empty());
}

TEST_CASE("a corner is a view, is put back into a copy, and is padded with 0") {
  const Tensor whole = torch::arange(12).to(torch::kFloat32).view({3, 4});
  const Tensor part = corner(whole, {2, 4});
  CHECK(part.data_ptr() == whole.data_ptr());
  CHECK(sizes(part) == Sizes{2, 4});
  const Tensor mended = with_corner(whole, torch::full({3, 1}, -1.0f));
  CHECK(mended.slice(1, 0, 1).eq(-1).all().item<bool>());
  CHECK(torch::equal(mended.slice(1, 1), whole.slice(1, 1)));
  CHECK(whole[0][0].item<float>() == 0);
  CHECK(whole[1][0].item<float>() == 4);
  const Tensor full = torch::ones({3, 4});
  CHECK(with_corner(whole, full).data_ptr() == full.data_ptr());
  const Tensor wide = padded(torch::ones({3, 2}), whole);
  CHECK(sizes(wide) == Sizes{3, 4});
  CHECK(wide.slice(1, 0, 2).eq(1).all().item<bool>());
  CHECK(wide.slice(1, 2).eq(0).all().item<bool>());
  CHECK(padded(full, whole).data_ptr() == full.data_ptr());
}

TEST_CASE("a convolution's pair is cut along its channels, whatever its window") {
  const UnitPair pair{{"a", "b", "base", 1}, "lora.0", 3};
  const auto part = cut({{"a", torch::ones({3, 4, 5, 5})}, {"b", torch::ones({6, 3, 1, 1})}},
                        cuts_of({pair}, {{"lora.0", 2}}));
  CHECK(sizes(part.at("a")) == Sizes{2, 4, 5, 5});
  CHECK(sizes(part.at("b")) == Sizes{6, 2, 1, 1});
}

TEST_CASE("pairs that are added to no weight are never cut") {
  const UnitPair pair{{"v", "u"}, "prompt", 3};
  CHECK(kept_rank(pair, {{"prompt", 1}}) == 3);
  CHECK(cuts_of({pair}, {{"prompt", 1}}).empty());
}

TEST_CASE("clients whose rank is that of the pairs, or all without ranks, have whole pairs") {
  const Site site(3);
  const ClientRanks ranks(site.pairs(), {3, 2, 5});
  CHECK(ranks.cut());
  CHECK(ranks.of(0).empty());
  CHECK(ranks.of(1) == kTwo);
  CHECK(ranks.of(2).empty());
  CHECK_FALSE(ClientRanks(site.pairs(), {3, 4}).cut());
  CHECK_FALSE(ClientRanks(site.pairs(), {}).cut());
  CHECK(ClientRanks(site.pairs(), {}).of(7).empty());
}

TEST_CASE("bytes both ways are those of the rows and columns that a client has") {
  const Site site(3);
  const auto units = site.units();
  const auto first = [](const std::vector<Unit>& units) { return units.front().bytes; };
  const UnitPairs factors(lora_rule(LoraAverage::kFactors), site.model.blueprint(), units);
  CHECK(first(factors.sent(1, units)) == 4 * 3 * (16 + 64));
  CHECK(first(factors.sent(1, units, kTwo)) == 4 * 2 * (16 + 64));
  CHECK(first(factors.received(1, units, {{"lora.0", 1}})) == 4 * (16 + 64));
  CHECK(first(factors.sent(1, units, {{"lora.1", 1}})) == first(units));
  CHECK(first(factors.sent(1, units, {{"lora.0", 0}})) == 0);
  // Clients draw flora's pairs themselves and receive the weight beside them.
  const UnitPairs flora(lora_rule(LoraAverage::kFlora), site.model.blueprint(), units);
  CHECK(first(flora.sent(1, units, kTwo)) == 4 * 2 * (16 + 64));
  CHECK(first(flora.received(1, units, kTwo)) == 4 * 16 * 64);
}

TEST_CASE("a client of rank 2 trains what a model whose pairs have rank 2 trains") {
  using experiment::LocalOptimizer;
  const Site whole(3), small(2);
  const auto state = cut(whole.state(), cuts_of(whole.pairs(), kTwo));
  for (const auto optimizer : {LocalOptimizer::kAdamw, LocalOptimizer::kSgd}) {
    Order order = whole.training(state, optimizer);
    order.ranks = kTwo;
    const auto found = std::get<ClientUpdate>(whole.client->serve(order).result);
    const auto wanted =
        std::get<ClientUpdate>(small.client->serve(small.training(state, optimizer)).result);
    CHECK(found.train_loss == Approx(wanted.train_loss).epsilon(1e-6));
    REQUIRE(found.weights.size() == 4);
    for (const auto& [name, weight] : wanted.weights) {
      INFO(name);
      REQUIRE(sizes(found.weights.at(name)) == sizes(weight));
      CHECK(torch::allclose(found.weights.at(name), weight, 1e-5, 1e-6));
      CHECK_FALSE(torch::allclose(weight, state.at(name), 1e-3, 1e-3));
    }
    CHECK_NOTHROW(check_reply(whole.client->serve(order), order, {whole.units(), 8}));
  }
}

TEST_CASE("what a client has not of a pair stays 0 to the bit while it trains") {
  Site site(3);
  ModelState state = site.state();
  for (const auto& [name, part] : cuts_of(site.pairs(), kTwo)) {
    state[name] = padded(state.at(name).narrow(part.dim, 0, part.kept), state.at(name));
  }
  const Order order = site.training(state, experiment::LocalOptimizer::kAdamw);
  const auto update =
      train_client(site.model, state, site.examples, order.units, std::get<TrainWork>(order.work));
  for (const auto& [name, part] : cuts_of(site.pairs(), kTwo)) {
    if (!update.weights.count(name)) continue;
    INFO(name);
    CHECK(update.weights.at(name).narrow(part.dim, 2, 1).abs().max().item<float>() == 0);
  }
}

TEST_CASE("a client refuses a state of other shapes than its ranks, and units that it lacks") {
  const Site site(3);
  Order order = site.training(site.state(), experiment::LocalOptimizer::kAdamw);
  order.ranks = kTwo;
  CHECK_THROWS_WITH(site.client->serve(order), Contains("client ct has no weight ") &&
                                                   Contains("of the shape that the order"));
  order.state =
      std::make_shared<ModelState>(cut(site.state(), cuts_of(site.pairs(), {{"lora.0", 1}})));
  CHECK_THROWS_WITH(site.client->serve(order), Contains("of the shape that the order has"));
  order.ranks = {};
  CHECK_THROWS_WITH(site.client->serve(order), Contains("of the shape that the order has"));
  order.ranks = {{"lora.0", 1}};
  CHECK_NOTHROW(site.client->serve(order));
  order.ranks = {{"lora.0", 1}, {"lora.9", 1}};
  CHECK_THROWS_WITH(site.client->serve(order), Contains("lora.9"));
}

TEST_CASE("the server takes a reply in the shapes of the client's ranks alone") {
  const Site site(3);
  Order order = site.training(cut(site.state(), cuts_of(site.pairs(), kTwo)),
                              experiment::LocalOptimizer::kAdamw);
  order.ranks = kTwo;
  const Reply good = site.client->serve(order);
  const Expected expected{site.units(), 8};
  CHECK_NOTHROW(check_reply(good, order, expected));
  for (const std::int64_t rank : {1, 3}) {
    Reply other = good;
    for (auto& [name, weight] : std::get<ClientUpdate>(other.result).weights) {
      if (name.ends_with("lora_A.weight")) weight = torch::zeros({rank, 16});
    }
    CHECK_THROWS_WITH(check_reply(other, order, expected),
                      Contains("as F32 " + std::to_string(rank) + " 16, not F32 2 16"));
  }
}

TEST_CASE("orders to score and to train are cut to a client's ranks, those to measure are not") {
  const Site site(3);
  FederatedTask task{.name = "tiny",
                     .task = tasks::answer_classification(),
                     .clients = {"ct", "mri"},
                     .units = {},
                     .budgets = {},
                     .run = {},
                     .foundation_fingerprint = "base",
                     .tokenizer = test::tiny_tokenizer(),
                     .ranks = {2, 3}};
  const PlannedRun run{{.name = "topk", .metric = "lntk"}, 11, "", "run"};
  RunUnits units{{"lora.0", "lora.1"}, {"lora.2"}, site.units(), site.trained};
  units.pairs = UnitPairs(lora_rule(LoraAverage::kFactors), site.model.blueprint(), site.units());
  Plan plan;
  plan.clients = task.clients;
  plan.units = {"lora.0", "lora.1"};
  plan.assignment = Assignment::Ones(2, 2);
  const auto state = site.state();
  const States states = states_of(state, {});
  const Orders orders(task, run, units);
  for (const auto& asked : {orders.score(1, states), orders.train(1, 2, plan, states)}) {
    CHECK(asked[0].ranks == kTwo);
    CHECK(asked[1].ranks.empty());
    CHECK(asked[1].state == states.shared);
    for (const auto& [name, weight] : *asked[0].state) {
      INFO(name);
      CHECK(weight.numel() * 3 == state.at(name).numel() * 2);
    }
  }
  for (const auto& order : orders.evaluate(1, states)) {
    CHECK(order.ranks.empty());
    CHECK(order.state == states.shared);
  }
}
