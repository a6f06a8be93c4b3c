#include "strata/optimizers/instances.h"

#include <cmath>
#include <set>

#include "catch.h"
#include "strata/core/error.h"
#include "strata/optimizers/exact_front.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::optimizers;
using test::TempDir;

TEST_CASE("generated instances have rows that sum to 1 and budgets from 2 to a quarter") {
  for (const auto& [clients, units] : {std::pair{1, 8}, {9, 24}, {20, 48}, {3, 11}}) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      const PlanningProblem problem = generate_instance(clients, units, seed);
      CAPTURE(clients, units, seed);
      problem.validate();
      REQUIRE(problem.client_count() == clients);
      REQUIRE(problem.unit_count() == units);
      for (int i = 0; i < clients; ++i) {
        CHECK(problem.importance.row(i).sum() == Approx(1).epsilon(1e-12));
        CHECK(problem.importance.row(i).minCoeff() > 0);
        CHECK(problem.budgets[i] >= 2);
        CHECK(problem.budgets[i] <= units / 4);
      }
    }
  }
}

TEST_CASE("the same seed gives the same instance, another one another") {
  const PlanningProblem a = generate_instance(9, 24, 7), b = generate_instance(9, 24, 7),
                        c = generate_instance(9, 24, 8);
  CHECK(a.importance == b.importance);
  CHECK(a.budgets == b.budgets);
  CHECK_FALSE(a.importance == c.importance);
  // A larger one is no continuation of a smaller one.
  CHECK(generate_instance(10, 24, 7).importance(0, 0) != a.importance(0, 0));
}

TEST_CASE("logarithms of the scores have the trend's and the noise's variances") {
  // log S[i,l] = zₗ + z[i,l] / 2 − a constant of the client: over units its variance is 1.25, of
  // the mean over clients 1 + 0.25 / clients; 1,000 units leave a relative error of about 4.5 %.
  const int clients = 40, units = 1000;
  const PlanningProblem problem = generate_instance(clients, units, 1);
  const Eigen::MatrixXd logs = problem.importance.array().log().matrix();
  const auto variance = [](const Eigen::VectorXd& values) {
    return (values.array() - values.mean()).square().mean();
  };
  CHECK(variance(logs.colwise().mean().transpose()) == Approx(1).epsilon(0.2));
  double own = 0;
  for (int i = 0; i < clients; ++i)
    own += variance((logs.row(i) - logs.colwise().mean()).transpose()) / clients;
  CHECK(own == Approx(0.25).epsilon(0.1));
  std::set<int> budgets(problem.budgets.begin(), problem.budgets.end());
  CHECK(budgets.size() > 20);
}

TEST_CASE("instances that are written are read back to the bit") {
  const TempDir dir;
  const auto made = load_instances({"3x8", "9x24"}, 2, "");
  REQUIRE(made.size() == 4);
  CHECK(made[1].name == "3x8");
  CHECK(made[1].seed == 2);
  CHECK(made[2].name == "9x24");
  write_instances(made, dir.path());
  const auto read = load_instances({dir.path().string()}, 1, "");
  REQUIRE(read.size() == made.size());
  for (std::size_t i = 0; i < made.size(); ++i) {
    CHECK(read[i].name == made[i].name);
    CHECK(read[i].seed == made[i].seed);
    CHECK(read[i].problem.importance == made[i].problem.importance);
    CHECK(read[i].problem.budgets == made[i].problem.budgets);
    CHECK(read[i].problem.units == made[i].problem.units);
  }
  const std::string front = test::slurp(dir / "3x8-1.front.csv");
  CHECK(front.rfind("importance,usage_variance\n", 0) == 0);
  CHECK(static_cast<std::size_t>(std::count(front.begin(), front.end(), '\n')) ==
        exact_front(made[0].problem).points.size() + 1);
}

TEST_CASE("single files take budgets from beside them or from the option") {
  const TempDir dir;
  dir.write("ward.csv", "client,a,b\nct,1,2\nmr,2,1\n");
  const std::string file = (dir / "ward.csv").string();
  const auto given = load_instances({file}, 3, "1");
  REQUIRE(given.size() == 1);
  CHECK(given[0].name == "ward");
  CHECK(given[0].seed == 0);
  CHECK(given[0].problem.budgets == std::vector<int>{1, 1});
  CHECK_THROWS_WITH(load_instances({file}, 3, ""),
                    Catch::Contains("ward.budgets.csv") && Catch::Contains("--budget"));
  dir.write("ward.budgets.csv", "client,budget\nct,2\nmr,0\n");
  CHECK(load_instances({file}, 3, "1")[0].problem.budgets == std::vector<int>{2, 0});
  CHECK(load_instances({dir.path().string()}, 3, "").size() == 1);
}

TEST_CASE("bad instances are named with what is allowed") {
  const TempDir dir;
  CHECK_THROWS_WITH(generate_instance(0, 24, 1), Catch::Contains("0x24"));
  CHECK_THROWS_WITH(load_instances({"9x7"}, 1, ""), Catch::Contains("8 units"));
  CHECK_THROWS_WITH(load_instances({"9x-24"}, 1, ""), Catch::Contains("\"9x-24\" is no size"));
  CHECK_THROWS_WITH(load_instances({"9x999999"}, 1, ""), Catch::Contains("at most 100000"));
  CHECK_THROWS_WITH(load_instances({"9x24", "9x24"}, 1, ""), Catch::Contains("stands twice"));
  CHECK_THROWS_WITH(load_instances({dir.path().string()}, 1, "1"), Catch::Contains("no scores"));
  CHECK_THROWS_WITH(load_instances({(dir / "absent.csv").string()}, 1, "1"),
                    Catch::Contains("absent.csv"));
}
