#include "strata/core/target_usage.h"

#include "catch.h"
#include "strata/core/error.h"

using namespace strata;
using Catch::Equals;

namespace {

PlanningProblem small_problem() {
  PlanningProblem problem;
  problem.clients = {"ct", "mri"};
  problem.units = {"a", "b", "c"};
  problem.importance = Eigen::MatrixXd{{3, 2, 1}, {1, 2, 3}};
  problem.budgets = {1, 2};
  return problem;
}

std::string error_of(PlanningProblem problem, const std::vector<int>& target) {
  try {
    with_target_usage(std::move(problem), target);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("the usage variance is that of what usage and target differ by") {
  PlanningProblem problem = small_problem();
  problem.coverage = {1, 1, 0};
  const PlanningProblem planned = with_target_usage(problem, {2, 0, 1});
  planned.validate();
  CHECK(planned.clients.size() == 4);
  CHECK(planned.budgets == std::vector<int>{1, 2, 2, 1});
  CHECK(planned.coverage == std::vector<int>{1, 3, 1});
  Assignment assignment(4, 3);
  assignment << 1, 0, 0, 0, 1, 1, 0, 1, 1, 0, 1, 0;
  CHECK(is_feasible(planned, assignment));
  const Objectives objectives = evaluate(planned, assignment);
  CHECK(objectives.importance == 3 + 2 + 3);
  // Usage 1, 1, 1 less 2, 0, 1: −1, 1, 0 around 0.
  CHECK(objectives.usage_variance == Approx(2.0 / 3));

  Plan plan;
  plan.clients = planned.clients;
  plan.units = planned.units;
  plan.assignment = assignment;
  plan.archive = {assignment, assignment};
  plan.count_budgets(planned);
  plan = without_added_clients(std::move(plan), 2);
  CHECK(plan.clients == problem.clients);
  CHECK(plan.assignment == assignment.topRows(2));
  CHECK(plan.archive[1] == assignment.topRows(2));
  CHECK(plan.used == std::vector<std::int64_t>{1, 2});
  CHECK(plan.budgets == std::vector<std::int64_t>{1, 2});
}

TEST_CASE("an assignment gets the rows of the clients that were added") {
  const PlanningProblem planned = with_target_usage(small_problem(), {2, 0, 1});
  Assignment assignment(2, 3);
  assignment << 1, 0, 0, 0, 1, 1;
  Assignment whole(4, 3);
  whole << 1, 0, 0, 0, 1, 1, 0, 1, 1, 0, 1, 0;
  CHECK(with_added_clients(planned, assignment) == whole);
  CHECK(with_added_clients(small_problem(), assignment) == assignment);
  CHECK(target_usage_text({2, 0, 1}) == "2 0 1");
}

TEST_CASE("an even target adds nobody") {
  CHECK(with_target_usage(small_problem(), {2, 2, 2}).clients == small_problem().clients);
}

TEST_CASE("budgets of a resource pay for what is added") {
  PlanningProblem problem = small_problem();
  problem.resource = "bytes";
  problem.budgets.clear();
  problem.unit_costs = {5, 6, 7};
  problem.capacities = {10, 10};
  const PlanningProblem planned = with_target_usage(problem, {0, 1, 0});
  planned.validate();
  CHECK(planned.capacities == std::vector<std::int64_t>{10, 10, 12});
}

TEST_CASE("what is no target is refused") {
  CHECK_THAT(error_of(small_problem(), {1, 2}),
             Equals("target usage: found 2 numbers, and there are 3 units"));
  CHECK_THAT(error_of(small_problem(), {1, 2, 3}),
             Equals("target usage: unit \"c\": found 3, allowed is 0 to 2"));
  CHECK_THAT(error_of(small_problem(), {-1, 2, 0}),
             Equals("target usage: unit \"a\": found -1, allowed is 0 to 2"));
  PlanningProblem cohorts = small_problem();
  cohorts.least_cohort = 2;
  CHECK_THAT(error_of(cohorts, {1, 1, 1}),
             Equals("target usage: the clients that it adds are no cohort; found least_cohort 2, "
                    "allowed is 1 beside it"));
  PlanningProblem further = small_problem();
  further.uplink_bytes = {1, 1, 1};
  CHECK_THAT(error_of(further, {1, 1, 1}),
             Equals("target usage: it is for importance and usage_variance, not for uplink_bytes"));
}
