#include "strata/core/planning_problem.h"

#include "catch.h"
#include "linear_time.h"
#include "strata/core/error.h"
#include "temp_dir.h"

using namespace strata;
using Catch::Contains;

namespace {

std::vector<int> histogram(int units, const std::vector<std::pair<int, int>>& counts) {
  std::vector<int> out(units, 0);
  for (const auto& [unit, count] : counts) out[unit] = count;
  return out;
}

ScoreTable table() {
  ScoreTable scores;
  scores.clients = {"ct", "mri"};
  scores.units = {"a", "b", "c"};
  scores.scores.resize(2, 3);
  scores.scores << 0.5, 0.3, 0.2, 0.1, 0.6, 0.3;
  return scores;
}

}  // namespace

TEST_CASE("the usage variances that the F3OCUS paper publishes") {
  // Usage of 32 layers before and after the server's planning.
  const auto before = histogram(32, {{0, 5}, {1, 5}, {12, 2}, {17, 4}, {22, 3}, {25, 1}});
  const auto after = histogram(
      32, {{0, 4}, {1, 2}, {12, 3}, {15, 1}, {17, 3}, {19, 1}, {22, 3}, {23, 2}, {25, 1}});
  CHECK(usage_variance(before) == Approx(2.109).margin(0.0005));
  CHECK(usage_variance(after) == Approx(1.297).margin(0.0005));
  CHECK(usage_variance({}) == 0);
  CHECK(usage_variance({3, 3, 3}) == 0);
}

TEST_CASE("objectives of a hand-made assignment") {
  PlanningProblem problem = make_problem(table(), "2");
  Assignment assignment(2, 3);
  assignment << 1, 1, 0, 0, 1, 1;
  const Objectives objectives = evaluate(problem, assignment);
  CHECK(objectives.importance == Approx(0.5 + 0.3 + 0.6 + 0.3));
  CHECK(objectives.usage_variance == Approx((1 + 4 + 1) / 3.0 - 16.0 / 9));
  CHECK(is_feasible(problem, assignment));
  assignment(0, 2) = 1;
  CHECK_FALSE(is_feasible(problem, assignment));
  assignment(0, 2) = 0;
  assignment(0, 0) = 2;
  CHECK_FALSE(is_feasible(problem, assignment));
}

TEST_CASE("dominance is strict in at least one objective") {
  CHECK(dominates({2, 1}, {1, 1}));
  CHECK(dominates({2, 1}, {2, 2}));
  CHECK_FALSE(dominates({2, 1}, {2, 1}));
  CHECK_FALSE(dominates({2, 2}, {1, 1}));
  // Importance, usage variance, bytes, seconds: each alone is enough, and each alone prevents it.
  CHECK(dominates({2, 1, 5, 3}, {2, 1, 6, 3}));
  CHECK(dominates({2, 1, 5, 3}, {2, 1, 5, 4}));
  CHECK_FALSE(dominates({2, 1, 5, 3}, {2, 1, 5, 3}));
  CHECK_FALSE(dominates({3, 1, 6, 3}, {2, 1, 5, 3}));
  CHECK_FALSE(dominates({3, 1, 5, 4}, {2, 1, 5, 3}));
}

TEST_CASE("a unit may cost all that its client has, and not more") {
  PlanningProblem problem = make_problem(table(), "0");
  problem.budgets.clear();
  problem.resource = "bytes";
  problem.unit_costs = {5, 6, 7};
  problem.capacities = {4, 6};
  problem.coverage = {1, 1, 0};
  problem.validate();
  problem.coverage = {0, 2, 0};
  CHECK_THROWS_WITH(problem.validate(),
                    Contains("unit \"b\"") && Contains("only 1 may train it and can afford it"));
  problem.coverage = {0, 0, 1};
  CHECK_THROWS_WITH(problem.validate(),
                    Contains("unit \"c\"") && Contains("only 0 may train it and can afford it"));
}

TEST_CASE("budgets from a number and from a file") {
  const test::TempDir dir;
  CHECK(make_problem(table(), "0").budgets == std::vector<int>{0, 0});
  CHECK(
      make_problem(table(), dir.write("b.csv", "client,budget\nmri,3\nct,1\n").string()).budgets ==
      std::vector<int>{1, 3});
}

TEST_CASE("wrong budgets are named with client and numbers") {
  const test::TempDir dir;
  CHECK_THROWS_WITH(make_problem(table(), "4"),
                    Contains("client \"ct\": a budget of 4 units, but there are 3"));
  CHECK_THROWS_WITH(make_problem(table(), "-1"), Contains("neither a whole number of units nor"));
  CHECK_THROWS_WITH(
      make_problem(table(), dir.write("a.csv", "client,budget\nct,1\nmri,9\n").string()),
      Contains("a.csv:3: client \"mri\": a budget of 9"));
  CHECK_THROWS_WITH(
      make_problem(table(), dir.write("b.csv", "client,budget\nct,1\nmrt,1\n").string()),
      Contains("no client \"mrt\" (did you mean \"mri\"?)"));
  CHECK_THROWS_WITH(make_problem(table(), dir.write("c.csv", "client,budget\nct,1\n").string()),
                    Contains("no budget for the client \"mri\""));
  CHECK_THROWS_WITH(
      make_problem(table(), dir.write("d.csv", "client,budget\nct,1\nct,1\n").string()),
      Contains("stands twice"));
  CHECK_THROWS_WITH(
      make_problem(table(), dir.write("e.csv", "client,budget\nct,1.5\nmri,1\n").string()),
      Contains("found \"1.5\""));
}

TEST_CASE("a budget file is read in time linear in the clients") {
  const test::TempDir dir;
  ScoreTable small, large;
  for (ScoreTable* table : {&small, &large}) {
    const int clients = table == &small ? 2500 : 16 * 2500;
    std::string budgets = "client,budget\n";
    for (int i = 0; i < clients; ++i) {
      table->clients.push_back("client-" + std::to_string(i));
      budgets += table->clients.back() + ",1\n";
    }
    table->units = {"a", "b"};
    table->scores = Eigen::MatrixXd::Ones(clients, 2);
    dir.write(std::to_string(clients) + ".csv", budgets);
  }
  const auto read = [&](int clients) {
    make_problem(clients > 2500 ? large : small,
                 (dir / (std::to_string(clients) + ".csv")).string());
  };
  CHECK(test::growth(2500, read) < test::kLinear);
}

TEST_CASE("a problem names its objectives") {
  PlanningProblem problem{{"a"}, {"u"}, Eigen::MatrixXd::Ones(1, 1), {1}};
  CHECK(objective_names(problem) == std::vector<std::string>{"importance", "usage_variance"});
  CHECK_FALSE(problem.has_further_objectives());
  problem.seconds = Eigen::MatrixXd::Ones(1, 1);
  CHECK(objective_names(problem).back() == "slowest_client");
  problem.uplink_bytes = {3};
  CHECK(objective_names(problem)[2] == "uplink_bytes");
  CHECK(problem.has_further_objectives());
}

TEST_CASE("what clients spend counts units or the resource") {
  PlanningProblem problem{{"ct", "mri"}, {"a", "b"}, Eigen::MatrixXd::Ones(2, 2), {2, 1}};
  Assignment assignment(2, 2);
  assignment << 1, 1, 0, 1;
  CHECK(spent(problem, assignment) == std::vector<std::int64_t>{2, 1});
  problem.budgets.clear();
  problem.resource = "bytes";
  problem.unit_costs = {30, 40};
  problem.capacities = {100, 50};
  CHECK(spent(problem, assignment) == std::vector<std::int64_t>{70, 40});
}
