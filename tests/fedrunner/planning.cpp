#include "fedrunner/planning.h"

#include "catch.h"

using namespace strata;
using namespace strata::fedrunner;

namespace {

PlanningProblem problem(const std::vector<int>& budgets, int units) {
  PlanningProblem problem;
  for (std::size_t i = 0; i < budgets.size(); ++i)
    problem.clients.push_back("client " + std::to_string(i));
  for (int l = 0; l < units; ++l) problem.units.push_back("block." + std::to_string(l));
  problem.budgets = budgets;
  return problem;
}

Assignment rows(const std::vector<std::vector<int>>& values) {
  Assignment assignment(values.size(), values.front().size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    for (std::size_t l = 0; l < values[i].size(); ++l)
      assignment(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(l)) =
          static_cast<std::uint8_t>(values[i][l]);
  }
  return assignment;
}

}  // namespace

TEST_CASE("what is due every three rounds is due in the first, the fourth and so on") {
  std::vector<int> due, last;
  for (int round = 1; round <= 7; ++round) {
    if (is_due(round, 3)) due.push_back(round);
    last.push_back(last_due(round, 3));
  }
  CHECK(due == std::vector<int>{1, 4, 7});
  CHECK(last == std::vector<int>{1, 1, 1, 4, 4, 4, 7});
  CHECK(is_due(5, 1));
  CHECK(last_due(5, 1) == 5);
}

TEST_CASE("a rotation deals on from where it ended, one client later each time") {
  const auto two = problem({2, 1}, 4);
  Rotation rotation;
  CHECK(rotation.deal(two, 0) == rows({{1, 1, 0, 0}, {0, 0, 1, 0}}));
  // The second client goes first, with the unit behind those that are dealt.
  CHECK(rotation.deal(two, 1) == rows({{1, 1, 0, 0}, {0, 0, 0, 1}}));
  CHECK(rotation.deal(two, 2) == rows({{0, 0, 1, 1}, {1, 0, 0, 0}}));
}

TEST_CASE("a rotation gives a deal the same in any order, also where units cost") {
  auto costs = problem({0, 0, 0}, 5);
  costs.budgets.clear();
  costs.resource = "bytes";
  costs.unit_costs = {3, 1, 4, 1, 5};
  costs.capacities = {5, 2, 9};
  for (const auto& asked : {problem({2, 0, 3}, 5), costs}) {
    Rotation in_order, backwards;
    std::vector<Assignment> deals;
    for (int number = 0; number < 12; ++number) deals.push_back(in_order.deal(asked, number));
    for (int number = 11; number >= 0; --number) {
      INFO("deal " << number);
      CHECK(backwards.deal(asked, number) == deals[static_cast<std::size_t>(number)]);
      CHECK(Rotation().deal(asked, number) == deals[static_cast<std::size_t>(number)]);
    }
    // A resumed run asks for a later one first, and the same one again.
    Rotation resumed;
    CHECK(resumed.deal(asked, 7) == deals[7]);
    CHECK(resumed.deal(asked, 7) == deals[7]);
    CHECK(resumed.deal(asked, 9) == deals[9]);
    CHECK(deals[0] != deals[1]);
  }
}
