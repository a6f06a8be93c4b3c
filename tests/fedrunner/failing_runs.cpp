// Runs whose clients drop out, come late, send nonsense or are too few.

#include <algorithm>
#include <limits>
#include <set>

#include "catch.h"
#include "core/document.h"
#include "fedrunner/four_rounds.h"
#include "strata/core/error.h"
#include "strata/core/score_table.h"
#include "strata/fedrunner/metrics.h"

using namespace strata;
using namespace strata::data;
using namespace strata::fedrunner;
using namespace strata::models;
using Catch::Matchers::Contains;
using strata::test::row_of;
using strata::test::Stop;
namespace fs = std::filesystem;

namespace {

using Fixture = strata::test::FourRounds;

Json aggregation(const fs::path& run, int round) {
  return load_json(run / "rounds" / ("00" + std::to_string(round)) / "aggregation.json").root;
}

}  // namespace

TEST_CASE_METHOD(Fixture, "a client without budget neither trains nor sends weights") {
  run("out", {"run.budget={ct: 0, mri: 2, oct: 3}", "units.always=[]", "run.rounds=1"});
  const auto rows = read_metrics(dir / "out" / "metrics.csv").rows;
  const auto& ct = row_of(rows, 1, "ct");
  CHECK(std::isnan(ct.train_loss));
  CHECK(ct.up_mbit == Approx(64.0 * 3 / 1e6).epsilon(1e-12));
  CHECK_FALSE(std::isnan(ct.values[0]));
}

TEST_CASE_METHOD(Fixture, "clients that drop out, come late or send nonsense do no harm") {
  const std::vector<std::string> set = {
      "run.rounds=8", "run.failures={dropout: 0.3, stragglers: 0.4, corruption: 0.3}"};
  run("out", set);
  const auto rows = read_metrics(dir / "out" / "metrics.csv").rows;
  int dropped = 0, late = 0, refused = 0;
  for (int round = 1; round <= 8; ++round) {
    const auto log = aggregation(dir / "out", round);
    const auto plan =
        read_plan(dir / "out" / "rounds" / ("00" + std::to_string(round)) / "plan.json");
    std::set<std::string> gone, used;
    for (const auto& name : log["dropped"]) gone.insert(name.get<std::string>());
    dropped += static_cast<int>(gone.size());
    for (const auto& name : log["late"]) {
      CHECK(gone.insert(name.get<std::string>()).second);
      ++late;
    }
    for (const auto& name : log["clients"]) used.insert(name.get<std::string>());
    for (const auto& refusal : log["refused"]) {
      CHECK(used.count(refusal["client"].get<std::string>()) == 0);
      ++refused;
    }
    CHECK(gone.size() + used.size() + log["refused"].size() == 3);
    for (const auto& unit : log["units"]) {
      std::size_t trainers = 0;
      for (int client = 0; client < 3; ++client) {
        const auto units = plan.units_of(client);
        const bool trained =
            unit["unit"] == "head" || std::count(units.begin(), units.end(), unit["unit"]) > 0;
        trainers += trained && used.count(plan.clients[static_cast<std::size_t>(client)]);
      }
      CHECK(unit["clients"].size() == trainers);
      CHECK(unit["status"] == (trainers == 0             ? "untouched"
                               : trainers == used.size() ? "matched"
                                                         : "partial"));
    }
    for (const std::string client : {"ct", "mri", "oct"}) {
      const auto& row = row_of(rows, round, client);
      CHECK(std::isnan(row.train_loss) == (gone.count(client) > 0));
      const double scores = round % 2 ? 64.0 * 3 / 1e6 : 0;
      CHECK((row.up_mbit == Approx(scores)) == (gone.count(client) > 0));
    }
  }
  CHECK(dropped > 0);
  CHECK(late > 0);
  CHECK(refused > 0);
  CHECK_THAT(test::slurp(dir / "out" / "run.log"),
             Contains("the update of client ") && Contains(" is refused: the weight ") &&
                 Contains("; dropped out: ") && Contains("; late: "));
  const auto model = peft::load_model(dir / "out" / "model");
  for (const auto& [name, weight] : model.weights())
    CHECK(torch::isfinite(weight).all().item<bool>());

  // The same clients fail whatever the strategy, the probabilities of other failures, or a resume.
  auto others = set;
  others.push_back("run.strategies=[random]");
  others[1] = "run.failures={dropout: 0.3}";
  run("others", others);
  for (int round = 1; round <= 8; ++round)
    CHECK(aggregation(dir / "others", round)["dropped"] ==
          aggregation(dir / "out", round)["dropped"]);
  RunOptions stopping, resuming;
  stopping.after_round = [](const fs::path&, int round) {
    if (round == 5) throw Stop();
  };
  resuming.resume = true;
  CHECK_THROWS_AS(run("stopped", set, stopping), Stop);
  run("stopped", set, resuming);
  test::check_same(dir / "out", dir / "stopped");

  // With late: partial, stragglers' updates count, too.
  auto partial = set;
  partial[1] = "run.failures={dropout: 0.3, stragglers: 0.4, late: partial}";
  run("partial", partial);
  std::size_t used = 0;
  for (int round = 1; round <= 8; ++round)
    used += aggregation(dir / "partial", round)["clients"].size();
  CHECK(used == 24 - static_cast<std::size_t>(dropped));
}

TEST_CASE_METHOD(Fixture, "units of too small cohorts stay as they are, in whatever plan") {
  // These tests' planner does not look at cohorts.
  run("out", {"run.plan.least_cohort=3", "run.failures={dropout: 0.3}", "run.rounds=6"});
  int small = 0, whole = 0;
  for (int round = 1; round <= 6; ++round) {
    const auto log = aggregation(dir / "out", round);
    CAPTURE(log.dump());
    for (const auto& unit : log["units"]) {
      CHECK((unit["clients"].empty() || unit["clients"].size() == 3));
      whole += unit["clients"].size() == 3;
    }
    const bool all = log["clients"].size() == 3, some = !log["clients"].empty();
    const auto units = log.value("small_cohorts", Json::array());
    const bool head = std::find(units.begin(), units.end(), "head") != units.end();
    CHECK(head == (some && !all));
    small += head;
  }
  CHECK(small > 0);
  CHECK(whole > 0);
  CHECK_THAT(test::slurp(dir / "out" / "run.log"),
             Contains("clients that it needs (run.plan.least_cohort); it stays as it is"));
  CHECK_THROWS_WITH(run("x", {"run.plan.least_cohort=4"}),
                    Contains("run.plan.least_cohort: found 4, allowed is 1 to 3, the clients"));
  CHECK_THROWS_WITH(run("x", {"run.plan.least_cohort=2", "run.strategies=[dropout]"}),
                    Contains("the strategy dropout deals units out"));
  CHECK_THROWS_WITH(run("x", {"run.plan.least_cohort=2", "run.server.algorithm=ditto"}),
                    Contains("fedavg alone"));
  CHECK_FALSE(fs::exists(dir / "x"));
}

TEST_CASE_METHOD(Fixture, "with too few updates the global model stays as it is") {
  run("out", {"run.failures={dropout: 1}", "run.rounds=2"});
  CHECK(peft::load_model(dir / "out" / "model").fingerprint() ==
        peft::load_model(dir / "foundation").fingerprint());
  CHECK_THAT(test::slurp(dir / "out" / "run.log"),
             Contains("round 2: 0 usable updates where 1 are needed (server.min_clients); the "
                      "global model stays as it is"));
  // Round 2 had nothing to download.
  CHECK(row_of(read_metrics(dir / "out" / "metrics.csv").rows, 2, "all").down_mbit == 0);
  run("two", {"run.server={min_clients: 3}", "run.failures={dropout: 0.3}", "run.rounds=6"});
  for (int round = 1; round <= 6; ++round) {
    const auto log = aggregation(dir / "two", round);
    CHECK(log["clients"].size() == (log["dropped"].empty() ? 3u : 0u));
    CHECK(log["clients"].size() + log["dropped"].size() + log["too_few"].size() == 3);
  }
  // Where no training stays finite, further rounds would not help.
  auto model = peft::load_model(dir / "foundation");
  model.weight("classifier.3.bias").fill_(std::numeric_limits<float>::quiet_NaN());
  peft::save_model(model, dir / "foundation");
  CHECK_THROWS_WITH(run("broken", {"run.strategies=[full]"}),
                    Contains("round 1: no client's training stayed finite; client ct: the training "
                             "loss is not finite"));
  // Clients that dropped out may fare better in another round.
  int ended = 0, refused = 0;
  for (int seed = 1; seed <= 16; ++seed) {
    const std::string out = "seed" + std::to_string(seed);
    try {
      run(out, {"run.strategies=[full]", "run.failures={dropout: 0.3}", "run.rounds=1",
                "run.seeds=[" + std::to_string(seed) + "]"});
    } catch (const WorkError&) {
      ++ended;
      continue;
    }
    const auto log = aggregation(dir / out, 1);
    CHECK(log["dropped"].size() > 0);
    CHECK(log["dropped"].size() + log["refused"].size() == 3);
    refused += log["refused"].size() > 0;
  }
  CHECK(ended > 0);
  CHECK(refused > 0);
}
