#include "fedrunner/aggregation.h"

#include <algorithm>

#include "catch.h"
#include "fedrunner/tiny.h"

using namespace strata;
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
