// Runs whose plans give each client a rank of each unit (`run.ranks: plan`).

#include <algorithm>

#include "catch.h"
#include "experiment/run_section.h"
#include "fedrunner/client_ranks.h"
#include "fedrunner/ranked_runs.h"
#include "fedrunner/run_folders.h"
#include "strata/core/error.h"
#include "strata/core/plan.h"
#include "strata/fedrunner/run.h"

using namespace strata;
using namespace strata::fedrunner;
using Catch::Matchers::Contains;
using test::kMegabit;
namespace fs = std::filesystem;

namespace {

using Set = std::vector<std::string>;

const std::string kRun =
    "  strategies: [topk]\n  rounds: 2\n  budget: {ct: 1, mri: 4, oct: 9}\n  ranks: plan\n"
    "  local: {steps: 3, batch_size: 3, learning_rate: 0.05}\n";

/// Each client's ranks of greatest gain.
Plan best_ranks(const PlanningProblem& problem, const PlanOptions& options) {
  Plan plan;
  plan.algorithm = options.algorithm;
  plan.clients = problem.clients;
  plan.units = problem.units;
  plan.ranks = problem.ranks;
  plan.assignment = Assignment::Zero(problem.client_count(), problem.unit_count());
  for (int i = 0; i < problem.client_count(); ++i) {
    for (int left = problem.budgets[static_cast<std::size_t>(i)]; left > 0; --left) {
      int best = -1;
      const auto gain = [&](int l) { return problem.gain(i, l, plan.assignment(i, l) + 1); };
      for (int l = 0; l < problem.unit_count(); ++l)
        if (plan.assignment(i, l) < problem.ranks && (best < 0 || gain(l) > gain(best))) best = l;
      ++plan.assignment(i, best);
    }
  }
  plan.objectives = evaluate(problem, plan.assignment);
  plan.front = {plan.objectives};
  return plan;
}

struct Fixture : test::RankedRuns {
  Fixture() : RankedRuns(kRun) {
    tools.plan = best_ranks;
    tools.names.plan_ranks = {"exact", "topk", "random"};
  }
  Plan plan(const std::string& out, int round) const {
    return read_plan(dir / out / "rounds" / ("00" + std::to_string(round)) / "plan.json");
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a client trains and sends of each unit what the plan gives it") {
  run("out");
  for (const int round : {1, 2}) {
    const Plan made = plan("out", round);
    CHECK(made.ranks == 3);
    CHECK(made.used == std::vector<std::int64_t>{1, 4, 9});
    CHECK(made.counted == "ranks");
    for (int i = 0; i < 3; ++i) {
      const double ranks = made.assignment.row(i).cast<double>().sum();
      CHECK(row("out", round, made.clients[static_cast<std::size_t>(i)]).up_mbit ==
            Approx(ranks * (16 + 64) * kMegabit + 3 * 64 / 1e6).epsilon(1e-12));
    }
  }
  // The next plan may give anybody the whole of what has changed, so that it all travels: here the
  // client "oct" has trained everything.
  CHECK(row("out", 2, "ct").down_mbit == Approx(9 * (16 + 64) * kMegabit).epsilon(1e-12));
  const auto json = nlohmann::json::parse(test::slurp(dir / "out" / "run.json"));
  CHECK(json["budget_of"] == "ranks");
  CHECK(json["budget"]["oct"] == 9);
}

TEST_CASE_METHOD(Fixture, "of a unit that nobody has in full the other rows and columns stay") {
  const Set two = {"run.rounds=1", "run.budget=2", "run.score.every=1"};
  run("start", {two[0], two[1], "run.local.learning_rate=0"});
  run("out", two);
  const Plan made = plan("out", 1);
  const auto before = test::tensors_of(state_file("start", 1));
  const auto after = test::tensors_of(state_file("out", 1));
  int compared = 0;
  for (std::size_t l = 0; l < made.units.size(); ++l) {
    const int most = made.assignment.col(static_cast<Eigen::Index>(l)).maxCoeff();
    const std::string block = "layer." + made.units[l].substr(made.units[l].rfind('.') + 1) + ".";
    for (const auto& [name, bytes] : after) {
      if (!name.ends_with("lora_A.weight") || name.find(block) == std::string::npos) continue;
      const std::size_t line = 16 * sizeof(float);
      for (std::size_t r = 0; r < 3; ++r) {
        INFO(name << " " << r);
        const bool same = bytes.substr(r * line, line) == before.at(name).substr(r * line, line);
        CHECK(same == (static_cast<int>(r) >= most));
        ++compared;
      }
    }
  }
  CHECK(compared == 9);
}

TEST_CASE_METHOD(Fixture, "runs with planned ranks resume to the byte, by messages, side by side") {
  struct Stop {};
  for (const std::string rule : {"factors", "product", "fedsa", "flora", "hetlora"}) {
    INFO(rule);
    const Set set = {"run.server.lora=" + rule, "run.plan.every=2", "run.rounds=3"};
    run(rule, set);
    RunOptions stopping, resuming;
    stopping.after_round = [](const fs::path&, int round) {
      if (round == 1) throw Stop();
    };
    CHECK_THROWS_AS(run(rule + "-stopped", set, stopping), Stop);
    resuming.resume = resuming.encode_messages = true;
    resuming.parallel = 2;
    run(rule + "-stopped", set, resuming);
    test::check_same(dir / rule, dir / (rule + "-stopped"));
    CHECK(plan(rule, 2).assignment == plan(rule, 1).assignment);
  }
}

TEST_CASE_METHOD(Fixture, "a budget of bytes gives clients the ranks that it pays for") {
  tools.names.plan_rank_costs = {"prices"};
  tools.names.algorithms.push_back("prices");
  // Three units whose pairs have 16 + 64 numbers of a rank: 320 bytes.
  tools.plan = [](const PlanningProblem& problem, const PlanOptions& options) {
    CHECK(problem.resource == "bytes");
    CHECK(problem.unit_costs == std::vector<std::int64_t>{320, 320, 320});
    CHECK(problem.rank_costs == problem.unit_costs);
    PlanningProblem ranks = problem;
    for (const std::int64_t capacity : problem.capacities)
      ranks.budgets.push_back(static_cast<int>(std::min<std::int64_t>(9, capacity / 320)));
    return best_ranks(ranks, options);
  };
  run("out", {"run.budget={ct: 400B, mri: 1300B, oct: 4kB}",
              "run.strategies=[{name: bytes, metric: lntk, algorithm: prices}]"});
  for (const int round : {1, 2}) {
    const Plan made = plan("out", round);
    CHECK(made.counted == "bytes");
    CHECK(made.used == std::vector<std::int64_t>{320, 1280, 2880});
    CHECK(made.budgets == std::vector<std::int64_t>{400, 1300, 4000});
    CHECK(row("out", round, "mri").up_mbit == Approx(4 * (16 + 64) * kMegabit + 3 * 64 / 1e6));
  }
  const auto json = nlohmann::json::parse(test::slurp(dir / "out" / "run.json"));
  CHECK(json["budget_of"] == "bytes");
  CHECK_THAT(refusal({"run.budget={of: bytes, each: 100B}",
                      "run.strategies=[{name: bytes, metric: lntk, algorithm: prices}]"}),
             Contains("run.budget: no client would train anything"));
}

TEST_CASE_METHOD(Fixture, "beside plans of ranks, full trains whole pairs") {
  run("out", {"run.strategies=[full]", "run.rounds=1"});
  CHECK_FALSE(plan("out", 1).has_ranks());
  for (const std::string client : {"ct", "mri", "oct"})
    CHECK(row("out", 1, client).up_mbit == Approx(9 * (16 + 64) * kMegabit).epsilon(1e-12));
}

TEST_CASE("a plan's ranks are those of units that a client has in part") {
  Plan plan;
  plan.clients = {"a", "b"};
  plan.units = {"x", "y", "z"};
  plan.ranks = 4;
  plan.assignment.resize(2, 3);
  plan.assignment << 4, 1, 0, 0, 0, 3;
  CHECK(planned_ranks(plan, 0) == UnitRanks{{"y", 1}});
  CHECK(planned_ranks(plan, 1) == UnitRanks{{"z", 3}});
}

TEST_CASE_METHOD(Fixture, "what plans cannot give ranks of is refused, nothing is written") {
  CHECK_THAT(refusal({"units={scheme: lora+layernorm, always: []}"}),
             Contains("run.ranks: plan: plans give ranks of units that hold LoRA pairs of one rank "
                      "alone, and \"lora+layernorm.0\" has ") &&
                 Contains("layernorm_before"));
  CHECK_THAT(refusal({"model.peft={lora: {rank: 3, targets: [query, value], rank_pattern: {value: "
                      "2}}}"}),
             Contains("the rank 2 beside others of 3"));
  CHECK_THAT(refusal({"run.budget=10"}), Contains("a budget of 10 ranks, but there are 9"));
  CHECK_THAT(refusal({"run.budget={of: bytes, each: 4kB}"}),
             Contains("run.ranks: the strategy topk plans with topk, which gives clients no ranks "
                      "in budgets of bytes"));
  CHECK_THAT(refusal({"run.plan.warm=true"}), Contains("run.plan.warm: "));
  CHECK_THAT(refusal({"run.strategies=[roundrobin]"}),
             Contains("run.ranks: the strategy roundrobin plans with rotate, which gives clients "
                      "units, not ranks of units"));
  CHECK_THAT(refusal({"run.server.lora=ffa"}), Contains("do not go with run.server.lora ffa"));
  CHECK_THAT(refusal({"model.peft={prompts: {length: 2}}", "units={scheme: prompt}"}),
             Contains("run.ranks: ranks are of LoRA pairs"));
}
