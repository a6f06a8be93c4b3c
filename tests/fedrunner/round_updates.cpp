#include "fedrunner/round_updates.h"

#include <limits>

#include "catch.h"
#include "core/console.h"
#include "core/document.h"
#include "strata/core/error.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::fedrunner;
using Catch::Matchers::Contains;

namespace {

const std::vector<Unit> kUnits = {{.name = "block.0", .parameters = {"a"}},
                                  {.name = "head", .role = Role::kHead, .parameters = {"b"}}};
const std::vector<ClientSize> kClients = {{"ct", 8, 0}, {"mri", 8, 0}, {"oct", 8, 0}};

ModelState state() {
  return {{"a", torch::zeros({2})}, {"b", torch::zeros({2})}};
}

std::vector<Order> orders() {
  TrainWork work;
  work.local.steps = 4;
  std::vector<Order> orders;
  for (const auto& client : kClients)
    orders.push_back({"run",
                      1,
                      client.name,
                      {"head"},
                      "base",
                      std::make_shared<const ModelState>(state()),
                      work});
  return orders;
}

ClientUpdate update(const std::string& client) {
  return {.client = client,
          .samples = 8,
          .steps = 4,
          .units = {"head"},
          .weights = {{"b", torch::full({2}, 1.0f)}},
          .failure = "",
          .train_loss = 1,
          .seconds = 0,
          .peak_memory = {}};
}

ClientUpdate failed(const std::string& client) {
  auto none = update(client);
  none.weights.clear();
  none.failure = "the training loss is not finite";
  return none;
}

std::vector<std::optional<Reply>> replies(const std::vector<Order>& orders) {
  std::vector<std::optional<Reply>> replies;
  for (const auto& order : orders)
    replies.push_back(Reply{order.id(), order.client, update(order.client)});
  return replies;
}

std::vector<std::string> senders(const RoundUpdates& updates) {
  std::vector<std::string> names;
  for (const auto& sent : updates.sent) names.push_back(sent.client);
  return names;
}

RoundUpdates sent(std::vector<ClientUpdate> updates, bool complete = true) {
  return {std::move(updates), {}, complete};
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("replies are sorted into updates, clients that are gone or late, and refusals") {
  const auto asked = orders();
  auto all = sort_replies(asked, replies(asked), kUnits, kClients);
  CHECK(senders(all) == Names{"ct", "mri", "oct"});
  CHECK(all.complete);

  auto some = replies(asked);
  some[0].reset();
  std::get<ClientUpdate>(some[1]->result).weights["a"] = torch::ones({2});
  some[2]->late = true;
  auto sorted = sort_replies(asked, std::move(some), kUnits, kClients);
  CHECK(senders(sorted) == Names{"oct"});
  CHECK(sorted.failures.dropped == Names{"ct"});
  CHECK(sorted.failures.late == Names{"oct"});
  REQUIRE(sorted.failures.refused.size() == 1);
  CHECK(sorted.failures.refused[0].client == "mri");
  CHECK(sorted.failures.refused[0].reason ==
        "the reply has the weight a, which it was not asked for");
  CHECK_FALSE(sorted.complete);

  // Each by itself leaves something to hope for from another round.
  auto gone = replies(asked);
  gone[0].reset();
  CHECK_FALSE(sort_replies(asked, std::move(gone), kUnits, kClients).complete);
  auto wrong = replies(asked);
  std::get<ClientUpdate>(wrong[1]->result).weights.clear();
  CHECK_FALSE(sort_replies(asked, std::move(wrong), kUnits, kClients).complete);
  // A straggler that is not waited for; a client without a unit to train.
  auto late = replies(asked);
  late[1]->result = {};
  late[1]->late = true;
  CHECK_FALSE(sort_replies(asked, std::move(late), kUnits, kClients).complete);
  auto idle = asked;
  idle[1].units.clear();
  auto answers = replies(idle);
  answers[1]->result = {};
  sorted = sort_replies(idle, std::move(answers), kUnits, kClients);
  CHECK(senders(sorted) == Names{"ct", "oct"});
  CHECK(sorted.complete);
  // Samples are those of the greeting.
  auto others = kClients;
  others[2].train_samples = 9;
  CHECK(sort_replies(asked, replies(asked), kUnits, others).failures.refused.size() == 1);
}

TEST_CASE("updates are kept but for those that would spoil the model") {
  set_quiet(true);
  const experiment::ServerConfig server;
  auto updates = sent({update("ct"), failed("mri"), update("oct")});
  updates.sent[2].weights["b"][0] = std::numeric_limits<float>::quiet_NaN();
  updates.failures.refused.push_back({"pet", "of old"});
  keep_usable(1, updates, state(), server);
  CHECK(senders(updates) == Names{"ct"});
  REQUIRE(updates.failures.refused.size() == 3);
  CHECK(updates.failures.refused[0].client == "pet");
  CHECK(updates.failures.refused[1].client == "mri");
  CHECK(updates.failures.refused[2].reason == "the weight b is not finite");

  auto few = sent({update("ct"), update("mri")});
  keep_usable(1, few, state(), {.min_clients = 3});
  CHECK(few.sent.empty());
  CHECK(few.failures.too_few == Names{"ct", "mri"});
  auto enough = sent({update("ct"), update("mri")});
  keep_usable(1, enough, state(), {.min_clients = 2});
  CHECK(enough.sent.size() == 2);
}

TEST_CASE("units that fewer clients sent than must train them stay as they are") {
  set_quiet(true);
  auto updates = sent({update("ct"), update("mri"), update("oct")});
  ClientUpdate& more = updates.sent[1];
  more.units.push_back("further");
  more.weights["c"] = torch::ones({2});
  more.weights["c.mean"] = torch::ones({2});
  auto units = kUnits;
  units.push_back({.name = "further", .parameters = {"c"}, .buffers = {"c.mean"}});
  units.push_back({.name = "nobody's", .parameters = {"d"}});
  const auto whole = updates.sent[0].units;
  auto alone = updates;
  keep_cohorts(1, alone, units, 1);
  CHECK(alone.sent[1].units.back() == "further");
  keep_cohorts(1, updates, units, 3);
  CHECK(senders(updates) == Names{"ct", "mri", "oct"});
  CHECK(updates.sent[1].units == whole);
  CHECK(updates.sent[1].weights.count("c") + updates.sent[1].weights.count("c.mean") == 0);
  CHECK(updates.sent[1].weights.size() == updates.sent[0].weights.size());
  CHECK(updates.failures.small_cohorts == Names{"further"});
  CHECK_THAT(aggregation_json(1, updates, {}), Contains("\"small_cohorts\": [\n  \"further\"\n ]"));
  keep_cohorts(1, updates, units, 4);
  for (const auto& update : updates.sent) CHECK(update.units.size() + update.weights.size() == 0);
}

TEST_CASE("a round in which no training stayed finite ends the run, unless somebody is missing") {
  set_quiet(true);
  const experiment::ServerConfig server;
  auto diverged = sent({failed("ct"), failed("oct")});
  CHECK_THROWS_WITH(keep_usable(3, diverged, state(), server),
                    "round 3: no client's training stayed finite; client ct: the training loss is "
                    "not finite");
  auto missing = sent({failed("ct")}, false);
  CHECK_NOTHROW(keep_usable(3, missing, state(), server));
  CHECK(missing.failures.refused.size() == 1);
  auto one = sent({failed("ct"), update("oct")});
  CHECK_NOTHROW(keep_usable(3, one, state(), server));
  auto nobody = sent({});
  CHECK_NOTHROW(keep_usable(3, nobody, state(), server));
}

TEST_CASE("aggregation.json says who trained what, and who is missing") {
  auto updates = sent({update("ct"), update("oct")});
  updates.failures = {{"mri"}, {"oct"}, {{"pet", "why"}}, {"us"}};
  Aggregated done{
      {{"block.0", {}, UnitStatus::kUntouched}, {"head", {"ct", "oct"}, UnitStatus::kMatched}}};
  auto json = Json::parse(aggregation_json(7, updates, done));
  CHECK(json == Json::parse(R"({
    "version": 1, "round": 7, "clients": ["ct", "oct"],
    "units": [{"unit": "block.0", "status": "untouched", "clients": []},
              {"unit": "head", "status": "matched", "clients": ["ct", "oct"]}],
    "dropped": ["mri"], "late": ["oct"], "refused": [{"client": "pet", "reason": "why"}],
    "too_few": ["us"]})"));
  // What a rule of LoRA pairs has lost, if it has merged any.
  done.rule = LoraAverage::kProduct;
  done.losses = {{"query.weight", 0.25}, {"value.weight", 0.5}, {"key.weight", 0}};
  json = Json::parse(aggregation_json(7, updates, done));
  CHECK(json["lora"] == Json::parse(R"({
    "rule": "product", "measure": "cut", "mean": 0.25, "worst": 0.5, "worst_pair": "value.weight",
    "pairs": {"query.weight": 0.25, "value.weight": 0.5, "key.weight": 0.0}})"));
}

TEST_CASE("the log has one line of what was lost of LoRA pairs") {
  test::TempDir dir;
  set_quiet(true);
  set_log_file((dir / "log").string());
  Aggregated done{{{"lora.0", {"ct"}, UnitStatus::kMatched}}};
  log_aggregation(3, sent({update("ct")}), done);
  CHECK_THAT(test::slurp(dir / "log"), !Contains("LoRA"));
  done.losses = {{"query.weight", 0.25}, {"value.weight", 0.5}};
  log_aggregation(3, sent({update("ct")}), done);
  set_log_file("");
  CHECK_THAT(test::slurp(dir / "log"),
             Contains("round 3: LoRA factors: drift 0.3750 on average, 0.5000 at most "
                      "(value.weight)\n"));
}

TEST_CASE("what clients keep to themselves is taken out of their updates, and by nobody else's") {
  const std::vector<Unit> units = {
      {.name = "head", .parameters = {"b", "c"}, .buffers = {"mean"}, .local = {"c", "mean"}}};
  std::vector<ClientUpdate> sent = {update("ct"), update("mri"), update("oct")};
  for (std::size_t i = 0; i < sent.size(); ++i) {
    const float number = i == 1 ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(i);
    sent[i].weights["c"] = torch::full({1}, static_cast<float>(i));
    sent[i].weights["mean"] = torch::full({1}, number);
  }
  const auto kept = take_local(sent, units);
  CHECK(kept.at("oct").at("c").item<float>() == 2);
  CHECK(kept.at("oct").at("mean").item<float>() == 2);
  CHECK(sent[0].weights.size() == 1);
  CHECK(sent[0].weights.count("b") == 1);
  CHECK(sent[0].failure.empty());
  CHECK(sent[1].failure == "the weight mean is not finite");
  CHECK(sent[1].weights.empty());
}
