#include "report/run_folder.h"

#include "catch.h"
#include "core/document.h"
#include "pages.h"

using namespace strata;
using namespace strata::report;
using namespace strata::test;

TEST_CASE("which strategies plan is what their plans say, or in earlier ones whether they chose") {
  const TempDir folder;
  test::write_synthetic_experiment(folder.path(), 3, 1, small());
  SyntheticRun last = small();
  last.strategy = "zeta";  // which plans, so that it comes before the baselines all the same
  write_synthetic_run(last, folder / "zeta-seed1");
  const auto plans_of = [&](const std::string& strategy) {
    std::vector<std::filesystem::path> plans;
    for (const char* round : {"001", "002"})
      plans.push_back(folder.path() / (strategy + "-seed1") / "rounds" / round / "plan.json");
    return plans;
  };
  const auto strategies = [&] { return read_run_folders(folder.path()).strategies; };
  const std::vector<std::string> by_kind = {"f3ocus", "zeta", "random", "topk"};
  CHECK(strategies() == by_kind);
  // An algorithm of any name may plan.
  for (const auto& plan : plans_of("topk")) {
    replace_in(plan, "\"algorithm\": \"topk\"", "\"algorithm\": \"annealing\"");
    replace_in(plan, "\"baseline\"", "\"search\"");
  }
  CHECK(strategies() == std::vector<std::string>{"f3ocus", "topk", "zeta", "random"});
  CHECK(contains(slurp(write_report(folder.path()).page), "</svg>exact front</span>"));
  // Plans without a kind: f3ocus chose from a front, the others had one assignment.
  for (const auto& plan : plans_of("zeta")) replace_in(plan, " \"kind\": \"exact\",\n", "");
  for (const auto& plan : plans_of("f3ocus")) replace_in(plan, " \"kind\": \"exact\",\n", "");
  for (const auto& plan : plans_of("random")) replace_in(plan, " \"kind\": \"baseline\",\n", "");
  for (const auto& plan : plans_of("topk")) replace_in(plan, " \"kind\": \"search\",\n", "");
  CHECK(strategies() == by_kind);
  CHECK(contains(slurp(write_report(folder.path()).page), "</svg>front found by exact</span>"));
}

TEST_CASE("questions that are not those of metrics.csv are refused, or passed over mid-round") {
  const TempDir folder;
  test::write_synthetic_run(small(), folder / "run");
  const auto file = folder / "run" / "questions.csv";
  const std::string good = slurp(file);
  CHECK(read_run_folders(folder / "run").runs[0].questions.size() == 129);
  write_file(file, std::regex_replace(good, std::regex("2,south,0,[01]"), "2,suoth,0,1"));
  CHECK(contains(message_of(folder / "run"), "questions.csv: the client \"suoth\" is not among"));
  write_file(file, good.substr(0, good.rfind("2,west")));
  CHECK(contains(message_of(folder / "run"),
                 "of 45 questions of \"west\" are right, but metrics.csv has"));
  // Written before metrics.csv in a round that was interrupted.
  write_file(file, std::regex_replace(good, std::regex("\n2,"), "\n3,"));
  CHECK(read_run_folders(folder / "run").runs[0].questions.empty());
}

TEST_CASE("damaged folders are refused in one line that says what is wrong where") {
  const TempDir folder;
  CHECK(message_of(folder / "absent") ==
        (folder / "absent").string() +
            ": no such folder; the folder of a run or of an experiment is needed");
  CHECK(message_of(folder.path()) ==
        folder.path().string() + ": no run here: neither run.json nor a sub-folder that holds one");

  const auto fresh = [&] {
    std::filesystem::remove_all(folder / "run");
  test::write_synthetic_run(small(), folder / "a");
  SyntheticRun other = small();
  other.seed = 2;
  test::write_synthetic_run(other, folder / "b");
  replace_in(folder / "b/metrics.csv", "open_accuracy", "macro_f1");
  CHECK(contains(message_of(folder.path()),
                 "b/metrics.csv:1: the metrics are \"accuracy\", \"macro_f1\", "
                 "\"closed_accuracy\", but those of " + (folder / "a").string()));
  std::filesystem::remove_all(folder / "b");
    test::write_synthetic_run(small(), folder / "run");
    return folder / "run";
  };
  auto run = fresh();
  std::filesystem::remove(run / "metrics.csv");
  CHECK(contains(message_of(run), "metrics.csv: missing"));
  for (const std::string name :
       {"rounds/002/plan.json", "rounds/001/scores.json", "rounds/002/scores.json", "run.json"}) {
    run = fresh();
    std::filesystem::remove(run / name);
    CHECK(contains(message_of(run), name + ": missing"));
  }
  std::filesystem::create_directories(folder / "beside");
  CHECK(contains(message_of(folder.path()), "run.json: missing"));

  run = fresh();
  replace_in(run / "metrics.csv", "1,south,", "1,suoth,");
  CHECK(contains(message_of(run),
                 "metrics.csv: round 1 has the client \"suoth\", which run.json does "
                 "not name (did you mean \"south\"?)"));
  run = fresh();
  replace_in(run / "metrics.csv", "1,south,", "1,north,");
  CHECK(contains(message_of(run), "two rows for round 1 and client \"north\""));
  run = fresh();
  replace_in(run / "metrics.csv", "2,all,", "1,west,");
  CHECK(message_of(run) != "no InputError");
  run = fresh();
  replace_in(run / "metrics.csv", "1,south,110", "1,south,many");
  CHECK(contains(message_of(run), "metrics.csv:"));
  CHECK(contains(message_of(run), "\"many\""));

  run = fresh();
  replace_in(run / "rounds/001/plan.json", "\"version\": 2", "\"version\": 7");
  CHECK(contains(message_of(run), "plan.json"));
  run = fresh();
  write_file(run / "rounds/002/plan.json", "{\"version\": 1,");
  CHECK(contains(message_of(run), "002/plan.json"));
  run = fresh();
  write_file(run / "rounds/002/scores.json", slurp(run / "rounds/002/scores.json").substr(0, 100));
  CHECK(contains(message_of(run), "002/scores.json"));
  run = fresh();
  ScoreTable strange = test::synthetic_scores(small(), 2);
  strange.units[1] = "blok.1";
  write_scores(strange, run / "rounds/002/scores.json");
  CHECK(contains(message_of(run),
                 "the unit \"blok.1\" is not among the selectable units of run.json "
                 "(did you mean \"block.1\"?)"));

  run = fresh();
  replace_in(run / "run.json", "\"strategy\"", "\"stratgy\"");
  CHECK(contains(message_of(run), "run.json: strategy"));
  run = fresh();
  replace_in(run / "run.json", "\"budget\": 2", "\"budget\": 5");
  CHECK(contains(message_of(run), "run.json: budget"));

  std::filesystem::remove_all(folder / "run");
  test::write_synthetic_run(small(), folder / "a");
  test::write_synthetic_run(small(), folder / "b");
  CHECK(contains(message_of(folder.path()),
                 "the strategy \"f3ocus\" with seed 1 is already in " + (folder / "a").string()));
}

TEST_CASE("updates that were not used are named, and count as no training") {
  const TempDir folder;
  test::write_synthetic_run(small(), folder / "run");
  CHECK_FALSE(contains(slurp(write_report(folder / "run").page), "table-missing-updates"));
  const auto run = read_run_folders(folder / "run").runs.front();
  REQUIRE(run.clients.size() > 2);
  const auto file = folder / "run" / "rounds" / "001" / "aggregation.json";
  Json json{{"version", 1},
            {"round", 1},
            {"clients", {run.clients[0]}},
            {"units", Json::array()},
            {"dropped", {run.clients[1]}},
            {"late", {run.clients[0]}},
            {"refused", {{{"client", run.clients[2]}, {"reason", "the weight <w> is not finite"}}}},
            {"too_few", Json::array()},
            {"lora", {{"rule", "factors"}, {"measure", "drift"}, {"mean", 0.1}}},
            {"ranks", {{run.clients[0], 2}}},
            {"small_cohorts", {"head"}}};
  write_file(file, json.dump());
  const auto again = read_run_folders(folder / "run").runs.front();
  REQUIRE(again.missing.size() == 2);
  CHECK(again.used(1, run.clients[0]));
  CHECK_FALSE(again.used(1, run.clients[1]));
  CHECK(again.used(2, run.clients[1]));
  const std::string page = slurp(write_report(folder / "run").page);
  CHECK(contains(page, "table-missing-updates"));
  CHECK(contains(page, "refused: the weight &lt;w&gt; is not finite"));
  std::filesystem::remove(folder / "run" / "report.html");
  json["dropped"] = {"nobody"};
  write_file(file, json.dump());
  CHECK(contains(message_of(folder / "run"), "the client \"nobody\" is not among the clients"));
}
