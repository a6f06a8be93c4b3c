// Runs that were interrupted, or get more rounds, strategies or seeds.

#include "catch.h"
#include "core/document.h"
#include "fedrunner/four_rounds.h"
#include "models/thread_count.h"
#include "strata/core/safetensors.h"
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

}  // namespace

TEST_CASE_METHOD(Fixture, "a run whose state holds every weight, as of before, goes on the same") {
  run("whole");
  RunOptions stop;
  stop.after_round = [](const fs::path&, int round) {
    if (round == 2) throw Stop();
  };
  CHECK_THROWS_AS(run("before", {}, stop), Stop);
  const auto file = dir / "before" / "state" / "round-002.safetensors";
  const SafetensorsFile state(file);
  const SafetensorsFile foundation(dir / "foundation" / "model.safetensors");
  std::vector<TensorView> views;
  for (const auto& entry : state.tensors())
    views.push_back({entry.name, entry.dtype, entry.shape, state.bytes(entry)});
  for (const auto& entry : foundation.tensors()) {
    if (!state.find(entry.name))
      views.push_back({entry.name, entry.dtype, entry.shape, foundation.bytes(entry)});
  }
  REQUIRE(views.size() == foundation.tensors().size());
  write_safetensors(dir / "former", views);
  fs::rename(dir / "former", file);
  RunOptions resume;
  resume.resume = true;
  run("before", {}, resume);
  for (const char* part : {"model/model.safetensors", "state/round-004.safetensors"})
    CHECK(test::slurp(dir / "before" / part) == test::slurp(dir / "whole" / part));
}

TEST_CASE_METHOD(Fixture, "a resumed run ends like an uninterrupted one, byte for byte") {
  run("whole");
  RunOptions stopping;
  stopping.after_round = [](const fs::path&, int round) {
    if (round == 2) throw Stop();
  };
  CHECK_THROWS_AS(run("stopped", {}, stopping), Stop);
  CHECK_THAT(test::slurp(dir / "stopped" / "run.json"),
             Contains("\"status\": \"running\"") && Contains("\"rounds_done\": 2"));
  RunOptions resuming;
  resuming.resume = true;
  run("stopped", {}, resuming);
  test::check_same(dir / "whole", dir / "stopped");

  // Killed inside round 3, with its scores already written.
  int plans = 0;
  auto planner = tools.plan;
  tools.plan = [&](const PlanningProblem& problem, const PlanOptions& request) {
    if (++plans == 3) throw Stop();
    return planner(problem, request);
  };
  CHECK_THROWS_AS(run("killed"), Stop);
  CHECK(fs::exists(dir / "killed" / "rounds" / "003" / "scores.json"));
  tools.plan = planner;
  run("killed", {}, resuming);
  test::check_same(dir / "whole", dir / "killed");

  // A finished run is left as it is, and says what made it; only what a kill left is removed.
  dir.write("killed/state/round-003.safetensors", "the round before");
  std::string made = test::slurp(dir / "killed" / "run.json");
  const auto at = made.find("\"machine\": \"") + 12;
  made.insert(at, "another ");
  dir.write("killed/run.json", made);
  run("killed", {}, resuming);
  test::check_same(dir / "whole", dir / "killed");
  CHECK(test::slurp(dir / "killed" / "run.json") == made);
  CHECK_THAT(test::slurp(dir / "killed" / "run.log"),
             Contains("the run began with another machine (another "));
  // --resume on an empty folder starts.
  run("fresh", {}, resuming);
  test::check_same(dir / "whole", dir / "fresh");
}

TEST_CASE_METHOD(Fixture,
                 "rounds can be added, and the run ends as if it had had them from the start") {
  RunOptions resuming;
  resuming.resume = true;
  // The last of 3 rounds is evaluated, which a run of 7 with this interval does not do.
  const std::vector<std::string> every = {"run.evaluate_every=2", "run.plan.warm=true",
                                          "run.server.optimizer=momentum"};
  const auto rounds = [&](int count) {
    auto set = every;
    set.push_back("run.rounds=" + std::to_string(count));
    return set;
  };
  run("whole", rounds(7));
  run("grown", rounds(3));
  CHECK_FALSE(
      std::isnan(row_of(read_metrics(dir / "grown" / "metrics.csv").rows, 3, "all").values[0]));
  run("grown", rounds(5), resuming);
  run("grown", rounds(7), resuming);
  test::check_same(dir / "whole", dir / "grown");
  CHECK_THAT(test::slurp(dir / "grown" / "run.json"),
             Contains("\"status\": \"done\"") && Contains("\"rounds_done\": 7"));

  // Grown while it was not done, and killed once more before the first new round.
  RunOptions stopping = resuming;
  stopping.after_round = [](const fs::path&, int round) {
    if (round == 2) throw Stop();
  };
  CHECK_THROWS_AS(run("stopped", rounds(3), stopping), Stop);
  auto planner = tools.plan;
  tools.plan = [](const PlanningProblem&, const PlanOptions&) -> Plan { throw Stop(); };
  CHECK_THROWS_AS(run("stopped", rounds(7), resuming), Stop);
  tools.plan = planner;
  run("stopped", rounds(7), resuming);
  test::check_same(dir / "whole", dir / "stopped");

  // What would be another run is refused, with the reason.
  const auto refusal = [&](const std::string& out, std::vector<std::string> set) {
    const auto before = test::contents(dir / out);
    const std::string error = test::error_of([&] { run(out, set, resuming); });
    CHECK((test::contents(dir / out) == before));
    return error;
  };
  CHECK_THAT(
      refusal("grown", rounds(6)),
      Contains("config.yaml: run.rounds was 7 and is now 6: rounds can be added, not taken"));
  auto other = rounds(9);
  other.push_back("run.local.learning_rate=0.02");
  CHECK_THAT(refusal("grown", other), Contains("differs in run.local.learning_rate"));
  auto events = rounds(9);
  events.push_back("run.tensorboard=true");
  CHECK_THAT(refusal("grown", events), Contains("differs in run.tensorboard"));
  run("cosine", {"run.local.schedule=cosine"});
  CHECK_THAT(refusal("cosine", {"run.local.schedule=cosine", "run.rounds=5"}),
             Contains("run.rounds was 4 and is now 5: with run.local.schedule cosine every round's "
                      "learning rate depends on their number"));
  // Without --resume the folder is as much another's as before.
  CHECK_THAT(test::error_of([&] { run("grown", rounds(9)); }), Contains("differs in run.rounds"));
}

TEST_CASE_METHOD(
    Fixture, "strategies and seeds can be added, and the folder is as if they had always been") {
  RunOptions resuming;
  resuming.resume = true;
  const std::vector<std::string> many = {"run.strategies=[random, f3ocus]", "run.seeds=[2, 1]",
                                         "run.rounds=3"};
  run("whole", many);

  // From a single run, whose files move, over two seeds, to more strategies and rounds.
  run("grown", {"run.rounds=2"});
  REQUIRE(fs::exists(dir / "grown" / "config.yaml"));
  run("grown", {"run.seeds=[1, 2]", "run.rounds=2"}, resuming);
  CHECK_FALSE(fs::exists(dir / "grown" / "config.yaml"));
  run("grown", many, resuming);
  test::check_same(dir / "whole", dir / "grown");
  for (const char* name : {"random-seed1", "f3ocus-seed1"})
    CHECK(fs::exists(dir / "whole" / name / "run.json"));
  CHECK_THAT(test::slurp(dir / "grown" / "f3ocus-seed1" / "run.log"), Contains("round 2"));

  // Killed anywhere in the move: the same command goes on, the single run's own does not.
  for (const char* moved : {"", "rounds", "metrics.csv", "model", "state", "run.json"}) {
    INFO("moved up to " << moved);
    const std::string out = std::string("killed-") + moved;
    run(out, {"run.rounds=2"});
    dir.write(out + "/experiment.yaml", test::slurp(dir / "grown" / "experiment.yaml"));
    const fs::path to = dir / out / "f3ocus-seed1";
    fs::create_directories(to);
    for (const std::string name : {"rounds", "metrics.csv", "model", "state", "run.json"}) {
      if (std::string(moved).empty()) break;
      fs::rename(dir / out / name, to / name);
      if (name == moved) break;
    }
    CHECK_THAT(test::error_of([&] { run(out, {"run.rounds=2"}, resuming); }),
               Contains("the folder holds an experiment of several runs"));
    run(out, many, resuming);
    test::check_same(dir / "whole", dir / out);
  }

  const auto refusal = [&](std::vector<std::string> set) {
    const auto before = test::contents(dir / "grown");
    const std::string error = test::error_of([&] { run("grown", set, resuming); });
    CHECK((test::contents(dir / "grown") == before));
    return error;
  };
  CHECK_THAT(refusal({"run.strategies=[random, f3ocus]", "run.seeds=[1, 3]", "run.rounds=3"}),
             Contains("experiment.yaml: run.seeds: the folder has 2, which is changed or no longer "
                      "there"));
  CHECK_THAT(refusal({"run.strategies=[random, topk]", "run.seeds=[1, 2]", "run.rounds=3"}),
             Contains("run.strategies: the folder has f3ocus"));
  CHECK_THAT(refusal({"run.rounds=3"}), Contains("an experiment of several runs"));
  run("single", {});
  CHECK_THAT(test::error_of([&] { run("single", many, resuming); }),
             Contains("run.rounds was 4 and is now 3"));
  CHECK_THAT(test::error_of([&] { run("single", {"run.strategies=[random, head]"}, resuming); }),
             Contains("holds a single run that is not one of the experiment's"));
}

TEST_CASE_METHOD(Fixture, "a run keeps the number of threads that it began with") {
  RunOptions options;
  options.threads = 2;
  options.after_round = [](const fs::path&, int round) {
    if (round == 2) throw Stop();
  };
  const auto recorded = [&] {
    return load_json(dir / "run" / "run.json").root["provenance"]["threads"].get<int>();
  };
  CHECK_THROWS_AS(run("run", {}, options), Stop);
  CHECK(recorded() == 2);
  // The tiny model feeds one thread; the run goes on with two.
  RunOptions resuming;
  resuming.resume = true;
  at::set_num_threads(1);
  run("run", {}, resuming);
  CHECK(at::get_num_threads() == 2);
  CHECK(recorded() == 2);
  run("other", {});
  CHECK(at::get_num_threads() == 1);
  // Runs that are added take the same.
  run("run", {"run.seeds=[1, 2]"}, resuming);
  CHECK(at::get_num_threads() == 2);
  CHECK(load_json(dir / "run/f3ocus-seed2/run.json").root["provenance"]["threads"] == 2);
  // A number that was asked for is obeyed, and the log says that it is another.
  options.after_round = nullptr;
  options.threads = 1;
  options.resume = true;
  run("run", {"run.seeds=[1, 2]"}, options);
  CHECK(at::get_num_threads() == 1);
  CHECK_THAT(test::slurp(dir / "run/f3ocus-seed2/run.log"),
             Contains("the run began with another number of threads (2; now 1)"));
}

TEST_CASE_METHOD(Fixture, "metrics.csv of a round that was not completed is measured again") {
  run("whole");
  RunOptions stopping;
  stopping.after_round = [](const fs::path&, int round) {
    if (round == 3) throw Stop();
  };
  CHECK_THROWS_AS(run("killed", {}, stopping), Stop);
  // As if the machine had gone down between metrics.csv and the state of round 3.
  const auto metrics = test::slurp(dir / "killed" / "metrics.csv");
  stopping.after_round = [](const fs::path&, int round) {
    if (round == 2) throw Stop();
  };
  CHECK_THROWS_AS(run("two", {}, stopping), Stop);
  dir.write("two/metrics.csv", metrics);
  RunOptions resuming;
  resuming.resume = true;
  run("two", {}, resuming);
  test::check_same(dir / "whole", dir / "two");
}

TEST_CASE_METHOD(Fixture, "with plan.every the last plan stays in force, also after a resume") {
  const std::vector<std::string> set = {"run.plan={every: 2}", "run.score={samples: 4}"};
  run("whole", set);
  const auto plan = [&](int round) {
    return test::slurp(dir / "whole" / "rounds" / ("00" + std::to_string(round)) / "plan.json");
  };
  CHECK((plan(1) == plan(2)));
  CHECK((plan(3) == plan(4)));
  CHECK((plan(1) != plan(3)));
  const auto rows = read_metrics(dir / "whole" / "metrics.csv").rows;
  // A plan that stays in force is read from plan.json, which has 15 digits.
  CHECK(row_of(rows, 1, "all").importance ==
        Approx(row_of(rows, 2, "all").importance).epsilon(1e-14));
  RunOptions stopping, resuming;
  stopping.after_round = [](const fs::path&, int round) {
    if (round == 3) throw Stop();
  };
  resuming.resume = true;
  CHECK_THROWS_AS(run("stopped", set, stopping), Stop);
  run("stopped", set, resuming);
  test::check_same(dir / "whole", dir / "stopped");
}

TEST_CASE_METHOD(Fixture,
                 "a run of an earlier Strata, which named its foundation otherwise, goes on") {
  run("out", {"run.rounds=1"});
  const Model foundation = peft::load_model(dir / "foundation");
  REQUIRE(foundation.fingerprint() != foundation.earlier_fingerprint());
  std::string text = test::slurp(dir / "out" / "run.json");
  const auto at = text.find(foundation.fingerprint());
  REQUIRE(at != std::string::npos);
  dir.write("out/run.json", text.replace(at, 64, foundation.earlier_fingerprint()));
  RunOptions resuming;
  resuming.resume = true;
  run("out", {"run.rounds=2"}, resuming);
  run("whole", {"run.rounds=2"});
  CHECK(test::slurp(dir / "out" / "model" / "model.safetensors") ==
        test::slurp(dir / "whole" / "model" / "model.safetensors"));
}
