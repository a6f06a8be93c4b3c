#include "fedrunner/failing_courier.h"

#include "catch.h"
#include "fedrunner/streams.h"

using namespace strata;
using namespace strata::fedrunner;

namespace {

/// Answers every order to train at once: the weights are the state plus one.
struct Willing : Courier {
  std::vector<Order> orders;

  std::vector<Reply> exchange(const std::vector<Order>& sent, Deadline,
                              const Answered& answered) override {
    orders = sent;
    std::vector<Reply> replies;
    for (const auto& order : sent) {
      Reply reply{order.id(), order.client};
      if (std::holds_alternative<TrainWork>(order.work)) {
        ClientUpdate update;
        for (const auto& [name, weight] : *order.state) update.weights[name] = weight + 1;
        reply.result = update;
      }
      replies.push_back(reply);
      answered(order);
    }
    return replies;
  }
};

std::vector<Order> orders(int round, const Work& work) {
  const auto state = std::make_shared<const ModelState>(ModelState{{"w", torch::full({3}, 2.0f)}});
  std::vector<Order> orders;
  for (int i = 0; i < 40; ++i)
    orders.push_back({"run", round, "client " + std::to_string(i), {"head"}, "base", state, work});
  return orders;
}

struct Outcome {
  std::set<std::string> answered, late, silent;
  std::vector<Order> passed;
  std::map<std::string, float> weights;  ///< the first of each client that sent some
};

Outcome carried(const FailureOptions& options, const std::vector<Order>& sent) {
  Willing inner;
  FailingCourier courier(inner, options, 11);
  Outcome outcome;
  for (const auto& order : sent) outcome.silent.insert(order.client);
  const auto replies = courier.exchange(
      sent, {}, [&](const Order& order) { CHECK(outcome.answered.insert(order.client).second); });
  for (const auto& reply : replies) {
    outcome.silent.erase(reply.client);
    if (reply.late) outcome.late.insert(reply.client);
    if (const auto* update = std::get_if<ClientUpdate>(&reply.result))
      outcome.weights[reply.client] = update->weights.at("w")[0].item<float>();
  }
  outcome.passed = inner.orders;
  return outcome;
}

}  // namespace

TEST_CASE("clients that drop out or come late send nothing; the others are not touched") {
  const auto sent = orders(3, TrainWork());
  const auto outcome = carried({.dropout = 0.3, .stragglers = 0.3}, sent);
  for (const auto& order : sent) {
    const auto drawn = draw_failure({.dropout = 0.3, .stragglers = 0.3},
                                    stream(11, Purpose::kFailures, 3, order.client));
    CHECK(outcome.silent.count(order.client) == drawn.dropped);
    CHECK(outcome.late.count(order.client) == drawn.late);
    CHECK(outcome.weights.count(order.client) == !(drawn.dropped || drawn.late));
  }
  CHECK(outcome.silent.size() > 3);
  CHECK(outcome.late.size() > 3);
  CHECK(outcome.passed.size() == 40 - outcome.silent.size() - outcome.late.size());
  // Nothing more is expected for any of the orders.
  CHECK(outcome.answered.size() == 40);
  for (const auto& [client, weight] : outcome.weights) CHECK(weight == 3);
  // Another round has other failures.
  CHECK(carried({.dropout = 0.3}, orders(4, TrainWork())).silent != outcome.silent);
}

TEST_CASE("with late: partial a straggler does its share, and its reply says that it is late") {
  const FailureOptions options{.stragglers = 0.5, .straggler_share = 0.25, .late = Late::kPartial};
  const auto outcome = carried(options, orders(1, TrainWork()));
  CHECK(outcome.weights.size() == 40);
  CHECK(outcome.late.size() > 10);
  CHECK(outcome.late.size() < 30);
  for (const auto& order : outcome.passed) {
    CHECK(std::get<TrainWork>(order.work).share == (outcome.late.count(order.client) ? 0.25 : 1.0));
  }
}

TEST_CASE("a corrupted update is no number, or a thousand times too far") {
  const auto outcome = carried({.corruption = 0.5}, orders(1, TrainWork()));
  int kept = 0, nan = 0, scaled = 0;
  for (const auto& [client, weight] : outcome.weights) {
    kept += weight == 3;
    nan += std::isnan(weight);
    scaled += weight == 2 + 1000;
  }
  CHECK(kept + nan + scaled == 40);
  CHECK(kept > 10);
  CHECK(nan > 3);
  CHECK(scaled > 3);
  CHECK(outcome.late.empty());
}

TEST_CASE("only training fails: every client is greeted, scored and evaluated") {
  const FailureOptions all{.dropout = 1};
  for (const Work& work : {Work(HelloWork()), Work(ScoreWork{"lntk", 1, 1}), Work(EvaluateWork())})
    CHECK(carried(all, orders(1, work)).silent.empty());
  CHECK(carried(all, orders(1, TrainWork())).silent.size() == 40);
}

TEST_CASE("failures follow their probabilities and their seed, one kind apart from another") {
  FailureOptions options;
  options.dropout = 0.2;
  options.stragglers = 0.3;
  int dropped = 0, late = 0;
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    const auto drawn = draw_failure(options, seed);
    dropped += drawn.dropped;
    late += drawn.late;
    CHECK_FALSE((drawn.dropped && drawn.late));
    CHECK(drawn.corruption == Failure::Corruption::none);
    auto more = options;
    more.stragglers = 0;
    more.corruption = 1;
    const auto other = draw_failure(more, seed);
    CHECK(other.dropped == drawn.dropped);
    CHECK((other.corruption == Failure::Corruption::none) == other.dropped);
  }
  // Within four standard deviations.
  CHECK(dropped == Approx(800).margin(101));
  CHECK(late == Approx(960).margin(108));
}
