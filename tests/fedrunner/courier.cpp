#include "fedrunner/courier.h"

#include "catch.h"
#include "core/console.h"
#include "strata/core/error.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::fedrunner;
using Catch::Matchers::Contains;

namespace {

std::vector<Order> greetings() {
  std::vector<Order> orders;
  for (const char* client : {"ct", "mri", "oct"})
    orders.push_back({"run", 2, client, {"head"}, "base", nullptr, HelloWork()});
  return orders;
}

Reply answer(const Order& order, std::int64_t samples) {
  return {order.id(), order.client, HelloResult{samples, 0}};
}

std::int64_t samples_of(const Reply& reply) {
  return std::get<HelloResult>(reply.result).train_samples;
}

/// Brings back what it was given.
struct Canned : Courier {
  std::vector<Reply> replies;
  bool elsewhere = false;
  bool remote() const override { return elsewhere; }
  std::vector<Reply> exchange(const std::vector<Order>&, Deadline deadline,
                              const Answered&) override {
    CHECK_FALSE(deadline.has_value());
    return replies;
  }
};

}  // namespace

TEST_CASE("of several replies to an order the first counts, and others are passed over") {
  const test::TempDir dir;
  set_log_file((dir / "log").string());
  set_quiet(true);
  const auto orders = greetings();
  Reply stray = answer(orders[1], 9);
  stray.order = "an order of another round";
  const auto replies = first_replies(
      orders, {answer(orders[2], 3), stray, answer(orders[0], 1), answer(orders[2], 4)});
  REQUIRE(replies.size() == 3);
  REQUIRE(replies[0].has_value());
  CHECK(samples_of(*replies[0]) == 1);
  CHECK_FALSE(replies[1].has_value());
  REQUIRE(replies[2].has_value());
  CHECK(samples_of(*replies[2]) == 3);
  set_log_file("");
  CHECK_THAT(test::slurp(dir / "log"),
             Contains("a reply of client " + stray.client + " is passed over: it is to none") &&
                 Contains("a second reply of client " + orders[2].client +
                          " to the order \"hello\" is passed over"));
}

TEST_CASE("where every client has to answer, one that does not, or answers wrong, is named") {
  set_quiet(true);
  const auto orders = greetings();
  Canned courier;
  courier.replies = {answer(orders[2], 3), answer(orders[0], 1), answer(orders[1], 2)};
  const auto all = all_replies(courier, orders, {}, {});
  REQUIRE(all.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) CHECK(samples_of(all[i]) == static_cast<std::int64_t>(i) + 1);
  courier.replies.pop_back();
  CHECK_THROWS_WITH(all_replies(courier, orders, {}, {}),
                    "round 2, client mri: no reply to the order \"hello\"");
  CHECK_THROWS_AS(all_replies(courier, orders, {}, {}), WorkError);
  courier.replies.push_back(answer(orders[1], 2));
  courier.replies.back().result = ScoreResult();
  CHECK_THROWS_WITH(all_replies(courier, orders, {}, {}),
                    "round 2, client mri: the reply is of the phase score, not hello");
  CHECK_THROWS_AS(all_replies(courier, orders, {}, {}), InputError);
}

TEST_CASE("of clients that are elsewhere those count that answered right") {
  set_quiet(true);
  const auto orders = greetings();
  Canned courier;
  courier.replies = {answer(orders[2], 3), answer(orders[0], 1), answer(orders[1], 2)};
  courier.replies[1].result = ScoreResult();
  courier.replies[2].result = {};
  courier.replies[2].failure = "no data";
  CHECK_THROWS_WITH(usable_replies(courier, orders, {}, {}),
                    "round 2, client ct: the reply is of the phase score, not hello");
  courier.elsewhere = true;
  auto usable = usable_replies(courier, orders, {}, {});
  REQUIRE(usable.size() == 3);
  CHECK_FALSE(usable[0].has_value());
  CHECK_FALSE(usable[1].has_value());
  REQUIRE(usable[2].has_value());
  CHECK(samples_of(*usable[2]) == 3);
  courier.replies.erase(courier.replies.begin());
  for (const auto& reply : usable_replies(courier, orders, {}, {})) CHECK_FALSE(reply.has_value());
}
