#include "fedrunner/scoring.h"

#include "catch.h"

using namespace strata;
using namespace strata::fedrunner;

TEST_CASE("a score table has a row for every order, raw and divided by its sum") {
  const std::vector<Unit> units = {{.name = "block.0"}, {.name = "head", .role = Role::kHead}};
  std::vector<Order> orders;
  std::vector<std::optional<Reply>> replies;
  const std::vector<std::vector<double>> values = {{3, 1}, {0, 0}, {2, 2}};
  for (const char* client : {"ct", "mri", "oct"}) {
    orders.push_back(
        {"run", 1, client, {"block.0", "head"}, "base", nullptr, ScoreWork{"lntk", 16, 1}});
    replies.push_back(Reply{orders.back().id(), client, ScoreResult{values[replies.size()]}});
  }
  const auto table = score_table(orders, replies, units, "fingerprint");
  CHECK(table.metric == "lntk");
  CHECK(table.samples == 16);
  CHECK(table.model_fingerprint == "fingerprint");
  CHECK(table.clients == std::vector<std::string>{"ct", "mri", "oct"});
  CHECK(table.units == std::vector<std::string>{"block.0", "head"});
  CHECK((table.roles == std::vector<Role>{Role::kBody, Role::kHead}));
  CHECK(table.raw == Eigen::MatrixXd{{3, 1}, {0, 0}, {2, 2}});
  CHECK(table.scores == Eigen::MatrixXd{{0.75, 0.25}, {0.5, 0.5}, {0.5, 0.5}});

  // A client that did not answer has no row.
  replies[1].reset();
  const auto without = score_table(orders, replies, units, "fingerprint");
  CHECK(without.clients == std::vector<std::string>{"ct", "oct"});
  CHECK(without.raw == Eigen::MatrixXd{{3, 1}, {2, 2}});
  replies[0].reset();
  replies[2].reset();
  CHECK_THROWS_WITH(score_table(orders, replies, units, "fingerprint"),
                    "round 1: no client scored");
}
