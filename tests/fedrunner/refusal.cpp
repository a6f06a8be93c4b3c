#include "fedrunner/refusal.h"

#include <limits>
#include <string>
#include <vector>

#include "catch.h"
#include "fedrunner/tiny.h"

using namespace strata;
using namespace strata::fedrunner;

namespace {

ClientUpdate update(const std::string& client, std::int64_t samples,
                    const std::vector<std::string>& units, const ModelState& weights) {
  ClientUpdate update;
  update.client = client;
  update.samples = samples;
  update.units = units;
  update.weights = weights;
  return update;
}

}  // namespace

TEST_CASE("updates that are no numbers, or far from the others, are refused by name") {
  torch::manual_seed(5);
  const ModelState before{{"b.weight", torch::randn({400})}, {"c.weight", torch::randn({3})}};
  const auto sent = [&](const std::string& name, double change, std::int64_t steps) {
    auto upload = update(name, 10, {"block.1"},
                         {{"b.weight", before.at("b.weight") + change * torch::randn({400})}});
    upload.steps = steps;
    return upload;
  };
  std::vector<ClientUpdate> round = {sent("a", 0.01, 1), sent("b", 0.02, 1), sent("c", 0.1, 10),
                                     sent("d", 5, 1)};
  auto taken = round;
  auto refusals = refuse_updates(before, taken, 100);
  REQUIRE(refusals.size() == 1);
  CHECK(refusals[0].client == "d");
  CHECK_THAT(refusals[0].reason,
             Catch::Matchers::Contains("its weights changed by 5") &&
                 Catch::Matchers::Contains("times the median of the clients (allowed: 100 times)"));
  REQUIRE(taken.size() == 3);
  CHECK(taken[2].client == "c");
  taken = round;
  CHECK(refuse_updates(before, taken, 0).empty());
  // Changes count by the step: the same change in ten times the steps is none of note.
  taken = {sent("a", 0.01, 1), sent("b", 0.01, 1), sent("c", 5, 1000)};
  CHECK(refuse_updates(before, taken, 2).empty());
  taken[2].steps = 10;
  CHECK(refuse_updates(before, taken, 2).size() == 1);
  // Two cannot be told apart, and a median of 0 measures nothing.
  taken = {sent("a", 0.01, 1), sent("b", 5, 1)};
  CHECK(refuse_updates(before, taken, 2).empty());
  // The larger of two is never beyond twice their mean, but easily beyond 1.5 times.
  CHECK(refuse_updates(before, taken, 1.5).empty());
  taken.push_back(sent("c", 0.01, 1));
  CHECK(refuse_updates(before, taken, 1.5).size() == 1);
  taken = {sent("a", 0, 1), sent("b", 0, 1), sent("c", 5, 1)};
  CHECK(refuse_updates(before, taken, 2).empty());
  // The median of four is the mean of the middle two, here 3 times the least change.
  const auto scaled = [&](const std::string& name, double change) {
    return update(name, 10, {"block.1"}, {{"b.weight", before.at("b.weight") + change}});
  };
  taken = {scaled("a", 0.01), scaled("b", 0.01), scaled("c", 0.05), scaled("d", 0.11)};
  CHECK(refuse_updates(before, taken, 3.5).size() == 1);
  taken = {scaled("a", 0.01), scaled("b", 0.01), scaled("c", 0.05), scaled("d", 0.11)};
  CHECK(refuse_updates(before, taken, 4).empty());

  round[1].weights["b.weight"][17] = std::numeric_limits<float>::quiet_NaN();
  round[2].weights["c.weight"] = torch::full({3}, std::numeric_limits<float>::infinity());
  round[0].failure = "the training loss is not finite";
  refusals = refuse_updates(before, round, 100);
  REQUIRE(refusals.size() == 3);
  CHECK(refusals[0].reason == "the training loss is not finite");
  CHECK(refusals[1].reason == "the weight b.weight is not finite");
  CHECK(refusals[2].client == "c");
  CHECK(refusals[2].reason == "the weight c.weight is not finite");
  // Alone, the distant one is nobody's outlier.
  REQUIRE(round.size() == 1);
  CHECK(round[0].client == "d");
}
