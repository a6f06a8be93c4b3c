// The planner as a process: no LibTorch, one score table in, one plan out.
#include <nlohmann/json.hpp>

#include <cmath>

#include "catch.h"
#include "command.h"
#include "core/csv.h"
#include "strata/core/plan.h"
#include "strata/core/plan_archive.h"
#include "strata/core/planning_problem.h"
#include "strata/core/problem_file.h"
#include "strata/core/random.h"
#include "tidy_csv.h"
#include "wrong_input.h"

using namespace strata;
using test::run_strata;

namespace {

std::string scores_csv(int clients, int units) {
  Random random(1);
  std::string text = "client";
  for (int l = 0; l < units; ++l) text += ",block." + std::to_string(l);
  for (int i = 0; i < clients; ++i) {
    text += "\nclient-" + std::to_string(i);
    for (int l = 0; l < units; ++l) text += "," + std::to_string(random.uniform());
  }
  return text + "\n";
}

}  // namespace

TEST_CASE("strata plan writes a feasible plan, its front, and a table") {
  const test::TempDir dir;
  dir.write("scores.csv", scores_csv(9, 24));
  for (const std::string algorithm :
       {"auto", "exact", "prices", "nsga2", "mopso", "aco", "abc", "annealing", "pagmo:nsga2",
        "greedy", "roundrobin", "topk", "random"}) {
    CAPTURE(algorithm);
    const auto outcome =
        run_strata({"plan", "--scores", "scores.csv", "--budget", "4", "--algorithm", algorithm,
                    "--evaluations", "2000", "--out", "plan.json", "--front", "front.csv"},
                   dir.path());
    CAPTURE(outcome.err);
    REQUIRE(outcome.code == 0);
    CHECK_THAT(outcome.out, Catch::Contains("client-8"));
    const Plan plan = read_plan(dir / "plan.json");
    CHECK(test::check_tidy(dir / "front.csv", {plan.clients.begin(), plan.clients.end()}) > 0);
    const ScoreTable scores = read_scores(dir / "scores.csv");
    const PlanningProblem problem = make_problem(scores, "4");
    CHECK(is_feasible(problem, plan.assignment));
    const Objectives objectives = evaluate(problem, plan.assignment);
    CHECK(objectives.importance == Approx(plan.objectives.importance));
    CHECK(objectives.usage_variance == Approx(plan.objectives.usage_variance));
    CHECK(plan.scores_digest == digest(scores));
    CHECK(plan.gap.known);
    CHECK(plan.gap.importance >= -1e-9);
    for (const auto& a : plan.front)
      for (const auto& b : plan.front) CHECK_FALSE(dominates(a, b));
  }
}

TEST_CASE("the same seed gives the same bytes, from any folder") {
  const test::TempDir first, second;
  for (const auto* dir : {&first, &second}) {
    dir->write("scores.csv", scores_csv(9, 24));
    const auto outcome =
        run_strata({"plan", "--scores", "scores.csv", "--budget", "4", "--algorithm", "nsga2",
                    "--evaluations", "4000", "--seed", "7", "--out", "plan.json"},
                   dir->path());
    REQUIRE(outcome.code == 0);
  }
  CHECK(test::slurp(first / "plan.json") == test::slurp(second / "plan.json"));
}

TEST_CASE("--json prints one object and --quiet nothing") {
  const test::TempDir dir;
  dir.write("scores.csv", scores_csv(3, 6));
  const auto json =
      run_strata({"plan", "--scores", "scores.csv", "--budget", "2", "--json"}, dir.path());
  REQUIRE(json.code == 0);
  CHECK(nlohmann::json::parse(json.out)["version"] == 2);
  const auto quiet =
      run_strata({"plan", "--scores", "scores.csv", "--budget", "2", "--quiet", "--out", "p.json"},
                 dir.path());
  REQUIRE(quiet.code == 0);
  CHECK(quiet.out.empty());
  CHECK(quiet.err.empty());
  CHECK(std::filesystem::exists(dir / "p.json"));
}

TEST_CASE("a problem file with budgets of bytes, rules and further objectives is planned") {
  const test::TempDir dir;
  dir.write("in/scores.csv", scores_csv(4, 6));
  std::string costs = "unit,bytes,flops\n";
  for (int l = 0; l < 6; ++l)
    costs += "block." + std::to_string(l) + "," + std::to_string(100 + 10 * l) + ",1000\n";
  dir.write("in/costs.csv", costs);
  dir.write("in/problem.yaml",
            "version: 1\nscores: scores.csv\ncosts: costs.csv\n"
            "budget: {of: bytes, each: 250, clients: {client-0: 110}}\n"
            "pinned: {client-1: [block.5]}\nforbidden: {\"*\": [block.0]}\n"
            "coverage: {block.4: 2}\nchoose: ideal\n"
            "objectives: [importance, usage_variance, uplink_bytes]\n");
  for (const std::string algorithm : {"auto", "annealing", "mopso"}) {
    CAPTURE(algorithm);
    const auto outcome = run_strata({"plan", "--problem", "in/problem.yaml", "--algorithm",
                                     algorithm, "--evaluations", "3000", "--out", "plan.json"},
                                    dir.path());
    CAPTURE(outcome.err);
    REQUIRE(outcome.code == 0);
    // The front of so small a problem is proved to be complete.
    CHECK_THAT(outcome.out, Catch::Contains("gap to the exact front"));
    const Plan plan = read_plan(dir / "plan.json");
    const PlanningProblem problem =
        load_problem({(dir / "in/problem.yaml").string(), "", "", {}}).problem;
    CHECK(is_feasible(problem, plan.assignment));
    CHECK(plan.choose == "ideal");
    CHECK(plan.gap.certificate == CertificateKind::kExact);
    CHECK(plan.assignment(1, 5) == 1);
    CHECK(plan.objectives.uplink_bytes > 0);
  }
  test::check_refused({"plan", "--problem", "in/problem.yaml", "--algorithm", "exact"}, dir.path(),
                      {"budgets", "bytes", "prices"});
  dir.write("in/none.yaml", "version: 1\nscores: scores.csv\nbudget: 1\ncoverage: 1\n");
  test::check_refused({"plan", "--problem", "in/none.yaml"}, dir.path(), {"coverage", "block"});
}

TEST_CASE("--json prints what --out writes") {
  const test::TempDir dir;
  dir.write("scores.csv", scores_csv(3, 6));
  const auto outcome = run_strata(
      {"plan", "--scores", "scores.csv", "--budget", "2", "--json", "--out", "plan.json"},
      dir.path());
  REQUIRE(outcome.code == 0);
  CHECK(outcome.out == test::slurp(dir / "plan.json"));
  const auto json = nlohmann::json::parse(outcome.out);
  CHECK(json["provenance"]["normalise"] == false);
  CHECK(json["front"].size() > 1);
  CHECK(json["budget"]["clients"]["client-0"]["used"] == 2);
}

TEST_CASE("scores come as tables of many kinds, also on standard input") {
  const test::TempDir dir;
  dir.write("scores.csv", scores_csv(3, 6));
  const std::string text = test::slurp(dir / "scores.csv");
  std::string tabs = text, pandas = text.substr(6);
  std::replace(tabs.begin(), tabs.end(), ',', '\t');
  dir.write("scores.tsv", tabs);
  dir.write("pandas.csv", pandas);
  std::string rows = "metric,client,unit,value,residual,status\n";
  const ScoreTable table = read_scores(dir / "scores.csv");
  for (const std::string metric : {"lntk", "trace"})
    for (int i = 0; i < 3; ++i)
      for (int l = 0; l < 6; ++l)
        rows += metric + "," + table.clients[i] + "," + table.units[l] + "," +
                format_double(metric == "lntk" ? table.scores(i, l) : 1) + ",0,ok\n";
  dir.write("long.csv", rows);
  const auto shell = [&](const std::string& command) {
    return test::run_program(
        "/bin/bash", {"-c", "s=" + test::strata_program().string() + "; " + command}, dir.path());
  };
  const std::string options = " --budget 2 --json";
  const auto expected = shell("$s plan --scores scores.csv" + options);
  REQUIRE(expected.code == 0);
  for (const std::string command :
       {"$s plan --scores scores.tsv", "$s plan --scores pandas.csv",
        "$s plan --scores - < scores.csv", "cat scores.tsv | $s plan --scores /dev/stdin",
        "gzip -k scores.csv && $s plan --scores scores.csv.gz",
        "$s plan --scores <(cat scores.csv)", "$s plan --scores long.csv --metric lntk"}) {
    CAPTURE(command);
    const auto outcome = shell(command + options);
    CHECK(outcome.err.empty());
    CHECK(outcome.out == expected.out);
  }
  CHECK(shell("printf '\\n' | $s plan --scores scores.csv --budget - --quiet").code == 2);
  test::check_refused({"plan", "--scores", "-", "--budget", "-"}, dir.path(),
                      {"only one of them can be standard input"});
  test::check_refused({"plan", "--scores", "long.csv", "--budget", "2"}, dir.path(),
                      {"it holds 2 metrics", "choose one: --metric lntk"});
}

TEST_CASE("budgets of bytes are written as such, and what they leave is shown client by client") {
  const test::TempDir dir;
  dir.write("scores.csv", scores_csv(2, 3));
  dir.write("costs.csv", "unit,bytes\nblock.0,100kB\nblock.1,120kB\nblock.2,149500\n");
  dir.write("budgets.csv", "client,budget\nclient-0,270kB\nclient-1,0.11MB\n");
  const auto outcome =
      run_strata({"plan", "--scores", "scores.csv", "--costs", "costs.csv", "--budget",
                  "budgets.csv", "--choose", "importance:100", "--out", "plan.json"},
                 dir.path());
  CAPTURE(outcome.err, outcome.out);
  REQUIRE(outcome.code == 0);
  const Plan plan = read_plan(dir / "plan.json");
  CHECK(plan.counted == "bytes");
  CHECK(plan.budgets == std::vector<std::int64_t>{270000, 110000});
  for (int i = 0; i < 2; ++i) {
    std::int64_t sum = 0;
    const std::int64_t costs[] = {100000, 120000, 149500};
    for (int l = 0; l < 3; ++l) sum += plan.assignment(i, l) * costs[l];
    CHECK(plan.used[i] == sum);
  }
  CHECK_THAT(outcome.out, Catch::Contains("bytes used"));
  CHECK_THAT(outcome.out, Catch::Contains("100 kB  110 kB") && Catch::Contains("270 kB"));
  const auto each = run_strata(
      {"plan", "--scores", "scores.csv", "--costs", "costs.csv", "--budget", "400kB", "--json"},
      dir.path());
  CHECK(nlohmann::json::parse(each.out)["budget"]["clients"]["client-1"] ==
        nlohmann::json{{"used", 369500}, {"budget", 400000}});
  test::check_refused({"plan", "--scores", "scores.csv", "--budget", "400kB"}, dir.path(),
                      {"budgets of bytes need the units' costs: --costs FILE"});
  test::check_refused({"plan", "--scores", "scores.csv", "--budget", "4", "--of", "bites"},
                      dir.path(), {"\"bites\" is not one of", "did you mean \"bytes\"?"});
}

TEST_CASE("a model's scores are planned as strata run plans them; scales that differ are told") {
  const test::TempDir dir;
  dir.write("scores.json", R"({"version": 1, "metric": "lntk", "clients": ["ct", "mri"],
    "units": ["embeddings", "block.0", "block.1", "block.2", "head"],
    "roles": ["embeddings", "body", "body", "body", "head"],
    "scores": [[0.3, 0.03, 0.01, 0.002, 0.658], [0.2, 0.001, 0.003, 0.0001, 0.7959]]})");
  const auto plan = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"plan", "--scores", "scores.json", "--budget",
                                          "1",    "--out",    "plan.json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_strata(arguments, dir.path());
  };
  const auto outcome = plan({});
  REQUIRE(outcome.code == 0);
  CHECK(outcome.err.empty());
  CHECK_THAT(outcome.out, Catch::Contains("every client also trains") && Catch::Contains("head"));
  const Plan found = read_plan(dir / "plan.json");
  CHECK(found.units == std::vector<std::string>{"block.0", "block.1", "block.2"});
  CHECK(found.always == std::vector<std::string>{"head"});
  CHECK(found.provenance.back() == std::pair<std::string, Fact>{"normalise", true});
  const auto all = plan({"--unit", "*"});
  CHECK_THAT(all.err,
             Catch::Contains("warning: units of different kinds compete on different scales"));
  CHECK(read_plan(dir / "plan.json").always.empty());
  CHECK_THAT(plan({"--no-normalise"}).err,
             Catch::Contains("(\"mri\")") && Catch::Contains("--normalise"));
  CHECK(plan({"--unit", "block.[01]", "--unit", "head"}).code == 0);
  CHECK(read_plan(dir / "plan.json").units ==
        std::vector<std::string>{"block.0", "block.1", "head"});
  test::check_refused(
      {"plan", "--scores", "scores.json", "--budget", "1", "--unit", "blok.*"}, dir.path(),
      {"--unit: the score table has no unit \"blok.*\"", "did you mean \"block.0\"?"});
}

TEST_CASE("further objectives are searched, chosen by and written with who trains what") {
  const test::TempDir dir;
  dir.write("scores.csv", scores_csv(6, 13));
  std::string costs = "unit,bytes,flops\n", clients;
  for (int l = 0; l < 13; ++l)
    costs +=
        "block." + std::to_string(l) + "," + std::to_string(1000 * (20 + 13 * l % 60)) + ",1e6\n";
  for (int i = 0; i < 6; ++i)
    clients += "  client-" + std::to_string(i) +
               ": {samples: 100, flops_per_second: " + std::to_string(i + 1) +
               "e9, uplink_bytes_per_second: 1e6}\n";
  dir.write("costs.csv", costs);
  dir.write("problem.yaml",
            "version: 1\nscores: scores.csv\ncosts: costs.csv\nbudget: {of: bytes, each: 200000}\n"
            "objectives: [importance, usage_variance, uplink_bytes, slowest_client]\nclients:\n" +
                clients);
  const auto plan = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"plan", "--problem", "problem.yaml", "--out",
                                          "plan.json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    auto outcome = run_strata(arguments, dir.path());
    CAPTURE(outcome.err);
    REQUIRE(outcome.code == 0);
    return outcome;
  };
  const auto prices = plan({"--algorithm", "prices"});
  CHECK_THAT(prices.err, Catch::Contains("prices does not optimise \"uplink_bytes\", "
                                         "\"slowest_client\"; auto and the metaheuristics do"));
  const Plan two = read_plan(dir / "plan.json");

  const auto searched = plan({"--front", "front.csv"});
  CHECK_THAT(searched.err,
             Catch::Contains("algorithm nsga2, as exact and prices would not optimise "
                             "uplink_bytes and slowest_client"));
  const Plan four = read_plan(dir / "plan.json");
  CHECK(four.algorithm == "nsga2");
  CHECK(four.front.size() > 10 * two.front.size());
  CHECK(std::count_if(four.provenance.begin(), four.provenance.end(),
                      [](const auto& entry) { return entry.first == "auto"; }) == 1);
  const auto least = [](const Plan& found, double Objectives::*value) {
    double least = 1e300;
    for (const auto& point : found.front) least = std::min(least, point.*value);
    return least;
  };
  CHECK(least(four, &Objectives::slowest_seconds) < least(two, &Objectives::slowest_seconds));

  const double bytes = (least(four, &Objectives::uplink_bytes) + two.objectives.uplink_bytes) / 2;
  const double seconds = 0.15;
  plan({"--choose", "uplink_bytes:" + std::to_string(bytes) + ",slowest_client:0.15", "--front",
        "front.csv", "--quiet"});
  const Plan limited = read_plan(dir / "plan.json");
  CHECK(limited.objectives.uplink_bytes <= bytes);
  CHECK(limited.objectives.slowest_seconds <= seconds);
  for (const auto& point : limited.front)
    if (point.uplink_bytes <= bytes && point.slowest_seconds <= seconds)
      CHECK(point.importance <= limited.objectives.importance);

  // The chosen row of the front's file is the plan, and any row can be taken.
  const auto rows = read_csv(dir / "front.csv");
  REQUIRE(rows.size() == limited.front.size() + 1);
  const auto units_in = [](const Plan& found, int client) {
    std::string names;
    for (const auto& unit : found.units_of(client)) names += (names.empty() ? "" : " ") + unit;
    return names;
  };
  REQUIRE(rows[0].fields.size() == 6 + 6);
  CHECK(rows[0].fields[11] == "client-5");
  const auto chosen = std::find_if(rows.begin() + 1, rows.end(),
                                   [](const CsvRow& row) { return row.fields[1] == "1"; });
  REQUIRE(chosen != rows.end());
  for (int i = 0; i < 6; ++i) CHECK(chosen->fields[6 + i] == units_in(limited, i));
  plan({"--choose", "row:2", "--quiet"});
  const Plan second = read_plan(dir / "plan.json");
  for (int i = 0; i < 6; ++i) CHECK(rows[2].fields[6 + i] == units_in(second, i));

  test::check_refused(
      {"plan", "--problem", "problem.yaml", "--choose", "uplink_bytes:1"}, dir.path(),
      {"no plan that was found has an uplink in bytes of at most 1; the least found is"});
  test::check_refused(
      {"plan", "--scores", "scores.csv", "--budget", "2", "--choose", "slowest_client:1"},
      dir.path(), {"slowest_client is not among the problem's objectives"});
}

TEST_CASE("the documentation's problem.yaml can be planned as it stands") {
  const test::TempDir dir;
  const std::string page =
      test::slurp(std::filesystem::path(STRATA_SOURCE_DIR) / "docs/planner.md");
  const auto begin = page.find("```yaml\n") + 8;
  dir.write("problem.yaml", page.substr(begin, page.find("```", begin) - begin));
  dir.write("scores.csv",
            "client,embeddings,block.0,block.1,head\nhospital-a,1,5,2,2\nhospital-b,2,3,3,2\n");
  dir.write("costs.csv", "unit,bytes,flops\nblock.0,2e6,1e6\nblock.1,2e6,1e6\nhead,1e6,1e6\n");
  const auto outcome =
      run_strata({"plan", "--problem", "problem.yaml", "--out", "plan.json"}, dir.path());
  CAPTURE(outcome.err);
  REQUIRE(outcome.code == 0);
  const Plan plan = read_plan(dir / "plan.json");
  CHECK(plan.units == std::vector<std::string>{"block.0", "block.1", "head"});
  CHECK(plan.units_of(0).back() == "head");
  CHECK(plan.objectives.slowest_seconds > 0);
}

TEST_CASE("--archive and --warm: a plan begins with the front of an earlier one") {
  const test::TempDir dir;
  dir.write("scores.csv", scores_csv(9, 24));
  dir.write("fewer.csv", scores_csv(8, 23));
  const auto plan = [&](const std::string& scores, std::vector<std::string> more) {
    std::vector<std::string> arguments = {
        "plan",          "--scores", scores,         "--budget", "4",       "--algorithm", "nsga2",
        "--evaluations", "600",      "--population", "20",       "--start", "random"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto outcome = run_strata(arguments, dir.path());
    CAPTURE(outcome.err);
    REQUIRE(outcome.code == 0);
    return outcome;
  };
  plan("scores.csv", {"--out", "cold.json", "--archive", "archive.json"});
  const Plan cold = read_plan(dir / "cold.json");
  const PlanArchive archive = read_archive(dir / "archive.json");
  CHECK(archive.clients == cold.clients);
  CHECK(archive.units == cold.units);
  REQUIRE(archive.assignments.size() == cold.front.size());
  const PlanningProblem problem = make_problem(read_scores(dir / "scores.csv"), "4");
  CHECK(evaluate(problem, archive.assignments[0]).importance ==
        Approx(cold.front[0].importance).epsilon(1e-14));  // plan.json has 15 digits

  CHECK(plan("scores.csv", {"--out", "warm.json", "--warm", "archive.json"}).err.empty());
  const Plan warm = read_plan(dir / "warm.json");
  CHECK(warm.gap.hypervolume_ratio > cold.gap.hypervolume_ratio);
  CHECK(warm.provenance[6] ==
        std::pair<std::string, Fact>{"warm_start",
                                     static_cast<std::int64_t>(archive.assignments.size())});
  plan("scores.csv", {"--out", "one.json", "--warm", "cold.json"});
  CHECK(read_plan(dir / "one.json").provenance[6].second == Fact(std::int64_t{1}));

  // Who left is dropped with a word, who joined needs none.
  const auto left = plan("fewer.csv", {"--out", "fewer.json", "--warm", "archive.json"});
  CHECK(left.err ==
        "strata: warning: archive.json: left out 1 client (\"client-8\" (did you mean "
        "\"client-0\"?)) and 1 unit (\"block.23\" (did you mean \"block.2\"?)), which the problem "
        "does not have\n");
  CHECK(plan("scores.csv", {"--out", "joined.json", "--warm", "fewer.json"}).err.empty());
  const auto exact = run_strata(
      {"plan", "--scores", "scores.csv", "--budget", "4", "--warm", "archive.json"}, dir.path());
  CHECK(exact.code == 0);
  CHECK_THAT(exact.err, Catch::Contains("--warm is for metaheuristics"));

  dir.write("other.json", R"({"version":1,"clients":["ct"],"units":["a"],"assignments":[["8"]]})");
  dir.write("broken.json", R"({"version":1,"clients":["ct"],"units":["a"],"assignments":[["4"]]})");
  const auto refused = [&](const std::string& file, const std::vector<std::string>& parts) {
    test::check_refused(
        {"plan", "--scores", "scores.csv", "--budget", "4", "--warm", file, "--out", "p.json"},
        dir.path(), parts);
  };
  refused("other.json", {"other.json", "clients", "\"ct\"", "client-0"});
  refused("broken.json", {"broken.json", "assignments[0]", "\"ct\"", "beyond the last of 1"});
  refused("absent.json", {"absent.json", "cannot be read"});
  test::check_refused(
      {"plan", "--scores", "scores.csv", "--budget", "4", "--out", "p.json", "--archive", "p.json"},
      dir.path(), {"--out", "--archive", "same file"});
}

namespace {

/// DIR/FOLDER/CLIENT/adapter_config.json.
nlohmann::json adapter_of(const test::TempDir& dir, const std::string& client,
                          const std::string& folder = "peft") {
  return nlohmann::json::parse(test::slurp(dir / (folder + "/" + client + "/adapter_config.json")));
}

/// A plan that gives each client its best units, and its adapter_config.json to `folder`.
test::Outcome plan_adapters(const test::TempDir& dir, std::vector<std::string> further,
                            const std::string& folder = "peft", const std::string& budget = "1") {
  std::vector<std::string> arguments = {"plan",        "--scores", "scores.csv", "--budget", budget,
                                        "--algorithm", "topk",     "--adapters", folder};
  arguments.insert(arguments.end(), further.begin(), further.end());
  return run_strata(arguments, dir.path());
}

}  // namespace

TEST_CASE("adapters: a LoRA configuration a client for Hugging Face PEFT, ready to train") {
  const test::TempDir dir;
  dir.write("scores.csv", "client,block.0,block.11,embeddings\nct,0,5,1\nmri,0,0,9\n");
  // As PEFT saved it after training: the plan's is to be trained again.
  dir.write("lora.json", R"({"peft_type": "LORA", "r": 4, "target_modules": ["query"],
                             "inference_mode": true, "task_type": "SEQ_CLS"})");
  const auto outcome = plan_adapters(dir, {"--adapter-template", "lora.json"});
  REQUIRE(outcome.code == 0);
  const auto config = adapter_of(dir, "ct");
  CHECK(config["inference_mode"] == false);
  CHECK(config["layers_to_transform"] == nlohmann::json{11});
  CHECK(config["r"] == 4);
  CHECK(config["target_modules"] == nlohmann::json{"query"});
  CHECK(config["task_type"] == "SEQ_CLS");
  // An empty list would mean all layers to PEFT.
  CHECK_FALSE(std::filesystem::exists(dir / "peft/mri"));
  CHECK_THAT(outcome.err, Catch::Contains("\"mri\"") && Catch::Contains("\"embeddings\"") &&
                              Catch::Contains("gets no file"));
  test::check_refused(
      {"plan", "--scores", "scores.csv", "--budget", "1", "--adapter-template", "lora.json"},
      dir.path(), {"--export-template is for --export"});
  test::check_refused({"plan", "--scores", "scores.csv", "--budget", "1", "--adapter-model", "vit"},
                      dir.path(), {"--export-model is for --export"});
}

TEST_CASE("adapters: of a plan of ranks, one rank a layer, with the same weight of a pair") {
  const test::TempDir dir;
  dir.write("scores.csv", "client,block.0,block.3,head\nct,6,3,0\nmri,0,9,0\n");
  const auto outcome = plan_adapters(dir, {"--ranks", "4", "--adapter-model", "vit"}, "peft", "4");
  CAPTURE(outcome.err);
  REQUIRE(outcome.code == 0);
  CHECK_THAT(outcome.out, Catch::Contains("block.0:3 block.3:1") && Catch::Contains("block.3:4") &&
                              Catch::Contains("ranks used"));
  const auto ct = adapter_of(dir, "ct"), mri = adapter_of(dir, "mri");
  CHECK(ct["layers_to_transform"] == nlohmann::json{0, 3});
  CHECK(ct["r"] == 4);
  CHECK(ct["lora_alpha"] == 4);  // the preset's 8 / 8
  const std::string stack = "(layer|layers)\\.";
  CHECK(ct["rank_pattern"] == nlohmann::json{{stack + "0\\..*", 3}, {stack + "3\\..*", 1}});
  CHECK(ct["alpha_pattern"] == ct["rank_pattern"]);
  CHECK(mri["layers_to_transform"] == nlohmann::json{3});
  CHECK_FALSE(mri.contains("rank_pattern"));

  dir.write("lora.json", R"({"r": 16, "lora_alpha": 32, "use_rslora": true})");
  REQUIRE(
      plan_adapters(dir, {"--ranks", "4", "--adapter-template", "lora.json"}, "root", "4").code ==
      0);
  const auto root = adapter_of(dir, "ct", "root");
  CHECK(root["r"] == 4);
  CHECK(root["lora_alpha"] == 16);  // 32 / √16 = 16 / √4
  CHECK(root["alpha_pattern"].begin().value().get<double>() == Approx(8 * std::sqrt(3)));

  dir.write("scores.csv", "client,layer.0.q,layer.0.v\nct,6,1\n");
  test::check_refused({"plan", "--scores", "scores.csv", "--budget", "5", "--ranks", "4",
                       "--algorithm", "topk", "--adapters", "two"},
                      dir.path(), {"--export peft", "\"ct\"", "two units of layer 0", "4 and 1"});
  dir.write("lora.json", R"({"r": 0, "lora_alpha": 32})");
  test::check_refused({"plan", "--scores", "scores.csv", "--budget", "2", "--ranks", "2",
                       "--adapters", "two", "--adapter-template", "lora.json"},
                      dir.path(), {"--export-template: r: 0 is no number above 0"});
}

TEST_CASE("--ranks plans ranks, from a problem file, too; what has none is refused") {
  const test::TempDir dir;
  dir.write("scores.csv", scores_csv(4, 6));
  dir.write("problem.yaml",
            "version: 1\nscores: scores.csv\nranks: 4\nbudget: {each: 9, clients: {client-0: 3}}\n"
            "coverage: 5\npinned: {client-0: [block.5]}\n");
  REQUIRE(run_strata({"plan", "--problem", "problem.yaml", "--out", "plan.json", "--front",
                      "front.csv", "--sweep"},
                     dir.path())
              .code == 0);
  const Plan plan = read_plan(dir / "plan.json");
  PlanningProblem problem = load_problem({.file = (dir / "problem.yaml").string()}).problem;
  CHECK(problem.ranks == 4);
  CHECK(is_feasible(problem, plan.assignment));
  CHECK(plan.used == std::vector<std::int64_t>{3, 9, 9, 9});
  CHECK(plan.assignment(0, 5) >= 1);
  CHECK_THAT(test::slurp(dir / "front.csv"), Catch::Contains("block.5:"));
  // The option wins.
  REQUIRE(run_strata({"plan", "--problem", "problem.yaml", "--ranks", "9", "--out", "nine.json"},
                     dir.path())
              .code == 0);
  CHECK(read_plan(dir / "nine.json").ranks == 9);

  const auto refused = [&](std::vector<std::string> more, const std::vector<std::string>& says) {
    std::vector<std::string> arguments = {"plan", "--problem", "problem.yaml", "--out", "no.json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    test::check_refused(arguments, dir.path(), says);
  };
  refused({"--algorithm", "nsga2"}, {"nsga2 plans units, not ranks", "\"exact\""});
  refused({"--full-front", "1"}, {"full front plans units, not ranks"});
  refused({"--archive", "archive.json"}, {"--archive", "not ranks"});
  refused({"--ranks", "0"}, {"--ranks", "1 to 255"});
  refused({"--ranks", "1"}, {"client-1", "a budget of 9 units, but there are 6"});
  refused({"--budget", "25"}, {"a budget of 25 ranks, but there are 24"});
  test::check_refused({"plan", "--scores", "scores.csv", "--budget", "2", "--warm", "plan.json"},
                      dir.path(), {"a plan of ranks is no archive"});
  test::check_refused(
      {"plan", "--scores", "scores.csv", "--budget", "4kB", "--ranks", "2", "--costs", "costs.csv"},
      dir.path(), {"costs.csv"});
}

TEST_CASE("--least-cohort: a unit is trained by nobody or by as many, from a problem file, too") {
  const test::TempDir dir;
  dir.write("scores.csv",
            "client,block.0,block.1,block.2,block.3\nct,6,3,1,2\nmri,5,4,1,2\n"
            "xray,1,2,7,3\npet,2,1,1,5\n");
  dir.write("problem.yaml", "version: 1\nscores: scores.csv\nbudget: 1\nleast_cohort: 2\n");
  const auto planned = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(),
                     {"--choose", "importance:100", "--out", "plan.json", "--quiet"});
    REQUIRE(run_strata(arguments, dir.path()).code == 0);
    return read_plan(dir / "plan.json");
  };
  const Plan alone = planned({"plan", "--scores", "scores.csv", "--budget", "1"});
  CHECK(alone.units_of(2) == std::vector<std::string>{"block.2"});
  for (const Plan& plan :
       {planned({"plan", "--scores", "scores.csv", "--budget", "1", "--least-cohort", "2"}),
        planned({"plan", "--problem", "problem.yaml"})}) {
    CHECK(plan.units_of(2) == std::vector<std::string>{"block.3"});
    CHECK(plan.objectives.importance == 19);
    CHECK(plan.gap.known);
    CHECK(plan.gap.relative == 0);
    CHECK(plan.gap.certificate == CertificateKind::kExact);
  }
  // The option wins over the file.
  CHECK(
      planned({"plan", "--problem", "problem.yaml", "--least-cohort", "1"}).objectives.importance ==
      23);
  test::check_refused({"plan", "--scores", "scores.csv", "--budget", "1", "--least-cohort", "5"},
                      dir.path(), {"least_cohort: found 5, allowed is 1 to 4, the clients"});
  test::check_refused({"plan", "--scores", "scores.csv", "--budget", "1", "--least-cohort", "0"},
                      dir.path(), {"--least-cohort"});
}

TEST_CASE("target_usage: plans are near a shape, and the clients that it adds are nowhere") {
  const test::TempDir dir;
  dir.write("scores.csv", "client,a,b,c\nct,6,3,1\nmri,5,4,1\nxray,7,2,1\n");
  dir.write("problem.yaml",
            "version: 1\nscores: scores.csv\nbudget: 1\ntarget_usage: {c: 2, b: 1}\n");
  const auto planned = [&](std::vector<std::string> further) {
    std::vector<std::string> arguments = {"plan", "--problem", "problem.yaml", "--out",
                                          "plan.json"};
    arguments.insert(arguments.end(), further.begin(), further.end());
    const auto outcome = run_strata(arguments, dir.path());
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    CHECK(outcome.out.find("target usage") == std::string::npos);
    return read_plan(dir / "plan.json");
  };
  const Plan nearest =
      planned({"--choose", "row:1", "--front", "front.csv", "--archive", "all.json"});
  CHECK(nearest.clients == std::vector<std::string>{"ct", "mri", "xray"});
  CHECK(nearest.objectives.usage_variance == 0);
  CHECK(nearest.objectives.importance == 6);  // 1 + 4 + 1
  CHECK(nearest.gap.relative == 0);
  CHECK_THAT(test::slurp(dir / "plan.json"), Catch::Contains("\"target_usage\": \"0 1 2\""));
  CHECK_THAT(test::slurp(dir / "front.csv"),
             Catch::StartsWith("row,chosen,importance,usage_variance,ct,mri,xray\n"));
  // A search begins with the earlier front, which has no such clients.
  const Plan warm = planned({"--algorithm", "nsga2", "--warm", "all.json", "--evaluations", "200",
                             "--choose", "row:1", "--quiet"});
  CHECK(warm.objectives.importance == 6);
  CHECK(warm.objectives.usage_variance == 0);
}

TEST_CASE("ranks are planned in budgets of bytes and memory, of which each rank costs its share") {
  const test::TempDir dir;
  dir.write("scores.csv", scores_csv(3, 4));
  std::string costs = "unit,bytes,memory\n", bytes = "unit,memory\n";
  for (int l = 0; l < 4; ++l) {
    costs += "block." + std::to_string(l) + ",4000,20000\n";
    bytes += "block." + std::to_string(l) + ",20000\n";
  }
  dir.write("costs.csv", costs);
  dir.write("memory.csv", bytes);
  const auto plan = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"plan", "--scores", "scores.csv", "--ranks",
                                          "4",    "--out",    "plan.json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    REQUIRE(run_strata(arguments, dir.path()).code == 0);
    return read_plan(dir / "plan.json");
  };
  const Plan of_bytes = plan({"--costs", "costs.csv", "--budget", "7500B"});
  CHECK(of_bytes.counted == "bytes");
  CHECK(of_bytes.ranks == 4);
  CHECK(of_bytes.algorithm == "prices");
  // Seven ranks of 1,000 bytes at most.
  for (int i = 0; i < 3; ++i) {
    CHECK(of_bytes.assignment.row(i).cast<int>().sum() * 1000 ==
          of_bytes.used[static_cast<std::size_t>(i)]);
    CHECK(of_bytes.used[static_cast<std::size_t>(i)] <= 7500);
  }
  // 8,000 of activations whatever the rank, 3,000 for each of them.
  const Plan of_memory = plan(
      {"--costs", "costs.csv", "--of", "memory", "--budget", "14kB", "--choose", "importance:100"});
  for (int i = 0; i < 3; ++i) {
    CHECK(of_memory.used[static_cast<std::size_t>(i)] == 14000);  // two ranks of one unit
    CHECK(of_memory.assignment.row(i).maxCoeff() == 2);
  }
  test::check_refused({"plan", "--scores", "scores.csv", "--ranks", "4", "--costs", "memory.csv",
                       "--of", "memory", "--budget", "14kB"},
                      dir.path(), {"the bytes of every unit"});
  test::check_refused({"plan", "--scores", "scores.csv", "--ranks", "4", "--costs", "costs.csv",
                       "--budget", "7500B", "--algorithm", "topk"},
                      dir.path(), {"topk plans no ranks in budgets of bytes", "\"prices\""});
}

TEST_CASE("adapters: without a preset, names that fit ViLT, ViT, BERT and LLaMA") {
  const test::TempDir dir;
  dir.write("scores.csv", "client,block.0,block.11,head\nct,0,5,9\nmri,7,6,0\n");
  const auto outcome = plan_adapters(dir, {}, "peft", "2");
  REQUIRE(outcome.code == 0);
  CHECK(outcome.err.find("warning") == std::string::npos);
  const auto mri = adapter_of(dir, "mri"), ct = adapter_of(dir, "ct");
  CHECK(mri["peft_type"] == "LORA");
  CHECK(mri["inference_mode"] == false);
  CHECK(mri["target_modules"] == nlohmann::json{"query", "value", "q_proj", "v_proj"});
  CHECK(mri["layers_pattern"] == nlohmann::json{"layer", "layers"});
  CHECK(mri["layers_to_transform"] == nlohmann::json{0, 11});
  CHECK(mri["modules_to_save"].is_null());
  CHECK(ct["layers_to_transform"] == nlohmann::json{11});
  CHECK(ct["modules_to_save"] == nlohmann::json{"classifier", "lm_head", "score"});
}

TEST_CASE("adapters: a preset for a family of models, by name or by a model's folder") {
  const test::TempDir dir;
  dir.write("scores.csv", "client,layer0,layer_11,head\nct,0,5,9\nmri,7,6,0\n");
  const auto preset = [&](const std::string& model) {
    const std::string folder = "peft-" + std::filesystem::path(model).filename().string();
    const auto outcome = plan_adapters(dir, {"--adapter-model", model}, folder, "2");
    INFO(outcome.err);
    CHECK(outcome.code == 0);
    CHECK(outcome.err.find("warning") == std::string::npos);
    CHECK(adapter_of(dir, "mri", folder)["layers_to_transform"] == nlohmann::json{0, 11});
    CHECK(adapter_of(dir, "mri", folder)["modules_to_save"].is_null());
    return std::pair{adapter_of(dir, "ct", folder), adapter_of(dir, "mri", folder)};
  };
  const auto [vit, no_head] = preset("vit");
  CHECK(vit["target_modules"] == nlohmann::json{"query", "value", "q_proj", "v_proj"});
  CHECK(vit["layers_pattern"] == nlohmann::json{"layer", "layers"});
  CHECK(vit["task_type"].is_null());
  CHECK(vit["modules_to_save"] == nlohmann::json{"vit.layernorm", "classifier"});
  const auto [vilt, no_vilt_head] = preset("vilt");
  CHECK(vilt["target_modules"] == nlohmann::json{"query", "value"});
  CHECK(vilt["layers_pattern"] == nlohmann::json{"layer"});
  CHECK(vilt["modules_to_save"] == nlohmann::json{"vilt.layernorm", "vilt.pooler", "classifier"});
  const auto [llama, headless] = preset("llama");
  CHECK(llama["target_modules"] == nlohmann::json{"q_proj", "v_proj"});
  CHECK(llama["layers_pattern"] == nlohmann::json{"layers"});
  CHECK(llama["modules_to_save"] == nlohmann::json{"model.norm", "lm_head"});
  CHECK(llama["task_type"] == "CAUSAL_LM");
  CHECK(headless["task_type"] == "CAUSAL_LM");
  // PEFT trains the head of a model for classification whatever modules_to_save says.
  const auto [bert, frozen] = preset("bert");
  CHECK(bert["task_type"] == "SEQ_CLS");
  CHECK(bert["modules_to_save"] == nlohmann::json{"bert.pooler", "classifier"});
  CHECK(frozen["task_type"].is_null());
  const auto [gpt2, headless_gpt2] = preset("gpt2");
  CHECK(gpt2["fan_in_fan_out"] == true);
  CHECK(gpt2["layers_pattern"] == nlohmann::json{"h"});
  CHECK(gpt2["modules_to_save"] == nlohmann::json{"transformer.ln_f", "lm_head"});

  dir.write("mine/config.json", R"({"model_type": "llama", "num_hidden_layers": 12,
                                    "architectures": ["LlamaForSequenceClassification"]})");
  const auto [mine, no_score] = preset("mine");
  CHECK(mine["target_modules"] == nlohmann::json{"q_proj", "v_proj"});
  CHECK(mine["task_type"] == "SEQ_CLS");
  CHECK(mine["modules_to_save"] == nlohmann::json{"model.norm", "score"});
  CHECK(no_score["task_type"].is_null());
  dir.write("tokens/config.json", R"({"model_type": "deberta-v2", "num_hidden_layers": 12,
                                      "architectures": ["DebertaV2ForTokenClassification"]})");
  const auto [tokens, no_tokens] = preset("tokens");  // has no pooler
  CHECK(tokens["modules_to_save"] == nlohmann::json{"classifier"});

  // A template's fields win, the preset fills what it leaves open.
  dir.write("lora.json", R"({"r": 3, "target_modules": ["o_proj"], "modules_to_save": ["norm"]})");
  REQUIRE(plan_adapters(dir, {"--adapter-model", "mine", "--adapter-template", "lora.json"}, "both",
                        "2")
              .code == 0);
  const auto both = adapter_of(dir, "ct", "both");
  CHECK(both["r"] == 3);
  CHECK(both["target_modules"] == nlohmann::json{"o_proj"});
  CHECK(both["layers_pattern"] == nlohmann::json{"layers"});
  CHECK(both["modules_to_save"] == nlohmann::json{"norm"});
}

TEST_CASE("adapters: models without a preset and layers that a model does not have are refused") {
  const test::TempDir dir;
  dir.write("scores.csv", "client,layer.0,layer.11,head\nct,0,5,9\nmri,7,6,0\n");
  const auto refused = [&](const std::string& model, const std::vector<std::string>& parts) {
    test::check_refused({"plan", "--scores", "scores.csv", "--budget", "2", "--algorithm", "topk",
                         "--adapters", "peft", "--adapter-model", model, "--out", "plan.json"},
                        dir.path(), parts);
    CHECK_FALSE(std::filesystem::exists(dir / "plan.json"));
    CHECK_FALSE(std::filesystem::exists(dir / "peft"));
  };
  refused("lama", {"--export-model", "\"lama\"", "did you mean \"llama\"?", "--export-template"});
  refused("absent/model", {"absent/model", "cannot be read"});
  dir.write("t5/config.json", R"({"model_type": "t5"})");
  refused("t5", {"t5/config.json", "model_type", "\"t5\" has no preset"});
  dir.write("small/config.json", R"({"model_type": "bert", "num_hidden_layers": 11})");
  refused("small", {"\"layer.11\" is layer 11", "small has the layers 0 to 10"});
}

TEST_CASE("adapters: a unit's layer is understood however it is written") {
  const test::TempDir dir;
  for (const auto& [unit, layer] :
       std::vector<std::pair<std::string, int>>{{"layer7", 7},
                                                {"layer_7", 7},
                                                {"Block-7", 7},
                                                {"h7", 7},
                                                {"l7", 7},
                                                {"blocks7.attn", 7},
                                                {"adapter+layernorm.7", 7},
                                                {"model.layers.7.fc1", 7},
                                                {"layer2.7", 7},
                                                {"7", 7}}) {
    INFO(unit);
    dir.write("scores.csv", "client," + unit + ",other\nct,5,1\n");
    REQUIRE(plan_adapters(dir, {}).code == 0);
    CHECK(adapter_of(dir, "ct")["layers_to_transform"] == nlohmann::json{layer});
  }
  for (const std::string unit : {"fc1", "conv2", "layer", "player7", "layer1234567"}) {
    INFO(unit);
    dir.write("scores.csv", "client," + unit + ",layer.3\nct,5,4\n");
    const auto outcome = plan_adapters(dir, {}, "peft", "2");
    REQUIRE(outcome.code == 0);
    CHECK(adapter_of(dir, "ct")["layers_to_transform"] == nlohmann::json{3});
    CHECK_THAT(outcome.err, Catch::Contains("\"" + unit + "\" has no layer number"));
  }
  for (const std::string unit : {"head", "classifier", "score", "lm_head", "model.lm_head"}) {
    INFO(unit);
    dir.write("scores.csv", "client," + unit + ",layer.3\nct,5,4\n");
    const auto outcome = plan_adapters(dir, {}, "peft", "2");
    CHECK(outcome.err.find("warning") == std::string::npos);
    CHECK(adapter_of(dir, "ct")["modules_to_save"].size() == 3);
  }
}

TEST_CASE(
    "adapters: a folder with the files of clients that the plan does not give any is refused") {
  const test::TempDir dir;
  dir.write("scores.csv", "client,block.0,block.1\nct,0,5\nmri,1,0\n");
  REQUIRE(plan_adapters(dir, {"--out", "plan.json"}).code == 0);
  const auto before = test::slurp(dir / "plan.json");
  // The same clients again: their files are replaced.
  REQUIRE(plan_adapters(dir, {}).code == 0);
  dir.write("scores.csv", "client,block.0,block.1\nct,5,0\n");
  const auto ct = test::slurp(dir / "peft/ct/adapter_config.json");
  test::check_refused({"plan", "--scores", "scores.csv", "--budget", "1", "--algorithm", "topk",
                       "--adapters", "peft", "--out", "plan.json"},
                      dir.path(), {"--export: peft", "\"mri\"", "empty folder"});
  // A client of the plan that gets no file is as good as gone.
  dir.write("scores.csv", "client,block.0,embeddings\nct,5,0\nmri,0,9\n");
  const auto outcome = plan_adapters(dir, {"--out", "plan.json"});
  CHECK(outcome.code == 2);
  CHECK(outcome.out.empty());
  CHECK_THAT(outcome.err, Catch::Contains("--export: peft") && Catch::Contains("of \"mri\""));
  CHECK(test::slurp(dir / "plan.json") == before);
  CHECK(test::slurp(dir / "peft/ct/adapter_config.json") == ct);
  std::filesystem::remove_all(dir / "peft/mri");
  REQUIRE(plan_adapters(dir, {}).code == 0);
  CHECK(adapter_of(dir, "ct")["layers_to_transform"] == nlohmann::json{0});
}

TEST_CASE("either all files of a plan appear or none") {
  const test::TempDir dir;
  dir.write("scores.csv", scores_csv(3, 6));
  dir.write("file", "in the way");
  const auto outcome = run_strata({"plan", "--scores", "scores.csv", "--budget", "2", "--front",
                                   "front.csv", "--out", "file/plan.json"},
                                  dir.path());
  CHECK(outcome.code == 1);
  CHECK_FALSE(std::filesystem::exists(dir / "front.csv"));
  std::filesystem::create_directory(dir / "taken");
  test::check_refused(
      {"plan", "--scores", "scores.csv", "--budget", "2", "--front", "front.csv", "--out", "taken"},
      dir.path(), {"taken: cannot be written: is a folder"}, 1);
  // The disk is full when the second, larger file is written: no file may exceed two blocks.
  dir.write("many.csv", scores_csv(40, 6));
  const auto full = test::run_program(
      "/bin/bash",
      {"-c",
       "trap '' XFSZ; ulimit -f 2; " + test::strata_program().string() +
           " plan --scores many.csv --budget 3 --algorithm topk --front front.csv --out plan.json"},
      dir.path());
  CHECK(full.code == 1);
  CHECK(full.err == "strata: error: plan.json: cannot be written: File too large\n");
  CHECK_FALSE(std::filesystem::exists(dir / "front.csv"));
  CHECK_FALSE(std::filesystem::exists(dir / "plan.json"));
}

TEST_CASE("a plan never takes the place of what it is made of") {
  const test::TempDir dir;
  dir.write("scores.csv", scores_csv(3, 6));
  dir.write("budgets.csv", "client,budget\nclient-0,1\nclient-1,1\nclient-2,1\n");
  test::check_refused({"plan", "--scores", "scores.csv", "--budget", "2", "--out", "./scores.csv"},
                      dir.path(), {"--scores", "--out", "same file"});
  test::check_refused({"plan", "--scores", "scores.csv", "--budget", "budgets.csv", "--front",
                       (dir / "budgets.csv").string()},
                      dir.path(), {"--budget", "--front", "same file"});
  test::check_refused({"plan", "--scores", "scores.csv", "--budget", "2", "--out", "new.json",
                       "--archive", "./new.json"},
                      dir.path(), {"--out", "--archive", "same file"});
  // Nor of what its problem file names.
  dir.write("p.yaml", "version: 1\nscores: scores.csv\nbudget: budgets.csv\n");
  for (const std::string file : {"scores.csv", "budgets.csv"}) {
    test::check_refused({"plan", "--problem", "p.yaml", "--front", file}, dir.path(),
                        {" of p.yaml and --front name the same file: " + file});
  }
  // A rename would make a plain file of a device.
  std::filesystem::create_symlink("/dev/null", dir / "device");
  test::check_refused({"plan", "--scores", "scores.csv", "--budget", "2", "--out", "device"},
                      dir.path(), {"device: cannot be written: is no regular file"}, 1);
}

TEST_CASE("a table that cannot be printed whole is a failure") {
  if (!std::filesystem::exists("/dev/full")) return;
  const test::TempDir dir;
  dir.write("scores.csv", scores_csv(3, 6));
  const auto outcome = test::run_program(
      "/bin/sh",
      {"-c", test::strata_program().string() + " plan --scores scores.csv --budget 2 > /dev/full"},
      dir.path());
  CHECK(outcome.code == 1);
  CHECK(outcome.err ==
        "strata: error: standard output: cannot be written: No space left on device\n");
}

TEST_CASE("options of the exact front that another algorithm passes over are told so") {
  const test::TempDir dir;
  dir.write("scores.csv", scores_csv(3, 6));
  const auto plan = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"plan", "--scores", "scores.csv", "--budget", "2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto outcome = run_strata(arguments, dir.path());
    CHECK(outcome.code == 0);
    return outcome.err;
  };
  CHECK(plan({"--sweep", "--full-front", "1"}).empty());
  CHECK(plan({"--sweep", "--algorithm", "topk"}) ==
        "strata: warning: --sweep is for the algorithm exact; this plan is by topk\n");
  CHECK_THAT(plan({"--full-front", "1", "--algorithm", "prices"}),
             Catch::Contains("--full-front is for the algorithm exact"));
}

TEST_CASE("help is complete and comes from the table that parses") {
  const test::TempDir dir;
  const auto top = run_strata({"--help"}, dir.path());
  CHECK(top.code == 0);
  for (const std::string name : {"score", "plan", "run", "report", "inspect", "data", "pretrain"}) {
    CHECK_THAT(top.out, Catch::Contains("  " + name + " "));
    CHECK(run_strata({name, "--help"}, dir.path()).code == 0);
  }
  const auto plan = run_strata({"plan", "--help"}, dir.path());
  for (const std::string option :
       {"--scores", "--budget", "--algorithm", "--choose", "--evaluations", "--population",
        "--seed", "--normalise", "--no-gap", "--out", "--front", "--archive", "--warm", "--quiet",
        "--json", "--unit"})
    CHECK_THAT(plan.out, Catch::Contains(option));
}

TEST_CASE("wrong scores, budgets and options are refused in one line") {
  const test::TempDir dir;
  dir.write("good.csv", scores_csv(2, 4));
  dir.write("nan.csv", "client,a,b\nct,1,nan\n");
  dir.write("negative.csv", "client,a,b\nct,1,-2\n");
  dir.write("twice.csv", "client,a,b\nct,1,2\nct,1,2\n");
  dir.write("truncated.json", R"({"version":1,"clients":["ct")");
  const auto plan = [](const std::string& scores, const std::string& budget) {
    return std::vector<std::string>{"plan",  "--scores",  scores,    "--budget", budget,
                                    "--out", "plan.json", "--front", "front.csv"};
  };
  test::check_refused(plan("nan.csv", "1"), dir.path(), {"nan.csv:2", "ct", "\"b\"", "nan"});
  test::check_refused(plan("negative.csv", "1"), dir.path(),
                      {"negative.csv:2", "-2", "at least 0"});
  test::check_refused(plan("twice.csv", "1"), dir.path(), {"twice.csv:3", "\"ct\" stands twice"});
  test::check_refused(plan("truncated.json", "1"), dir.path(),
                      {"truncated.json:1", "not valid JSON"});
  test::check_refused(plan("absent.csv", "1"), dir.path(), {"absent.csv", "cannot be read"});
  test::check_refused(plan("latin-\xe9.csv", "1"), dir.path(),
                      {"strata plan: the argument after \"--scores\" is not valid UTF-8"});
  test::check_refused(plan("good.csv", "5"), dir.path(), {"client-0", "5", "0 to 4"});
  test::check_refused(plan("good.csv", "four"), dir.path(),
                      {"--budget four", "whole number", "CSV file"});
  test::check_refused(plan("good.csv", "1.5"), dir.path(), {"--budget 1.5", "whole number"});
  test::check_refused({"plan", "--scores", "good.csv", "--budget", "1", "--algorithm", "nsga3"},
                      dir.path(), {"did you mean \"nsga2\"?"});
  test::check_refused({"plan", "--scores", "good.csv", "--budget", "1", "--choose", "knie"},
                      dir.path(), {"knee"});
  test::check_refused({"plan", "--scores", "good.csv", "--budget", "1", "--population", "10"},
                      dir.path(), {"population", "10", "multiple of 4"});
  test::check_refused({"plan", "--scores", "good.csv", "--budget", "1", "--evaluations", "0"},
                      dir.path(), {"--evaluations"});
  test::check_refused({"plan", "--scores", "good.csv", "--budget", "1", "--unit", "blok.1"},
                      dir.path(), {"blok.1", "block.1"});
  test::check_refused({"plan", "--scores", "good.csv", "--budgett", "1"}, dir.path(), {"budget"});
  test::check_refused({"plan", "--scores", "good.csv"}, dir.path(), {"--budget", "required"});
  test::check_refused({"plam"}, dir.path(),
                      {"unknown subcommand \"plam\" (did you mean \"plan\"?)"});
  test::check_refused({"--verson"}, dir.path(),
                      {"unexpected \"--verson\" (did you mean \"--version\"?)"});
  test::check_refused({"data", "--halp"}, dir.path(),
                      {"strata data: unexpected \"--halp\" (did you mean \"--help\"?)"});
  test::check_refused({"plan", "--scores", "good.csv", "--budget", "1", "--out", ""}, dir.path(),
                      {"--out", "is empty"});
  for (const std::string seed : {"-1", "18446744073709551616", "1.5", "one"}) {
    test::check_refused({"plan", "--scores", "good.csv", "--budget", "1", "--seed", seed},
                        dir.path(),
                        {"--seed", "0 to 18446744073709551615", "found \"" + seed + "\""});
  }
  for (const std::string seconds : {"nan", "inf", "-1", "1,5"}) {
    test::check_refused({"plan", "--scores", "good.csv", "--budget", "1", "--seconds", seconds},
                        dir.path(), {"--seconds", "from 0 to 1e+06", "found \"" + seconds + "\""});
  }
  test::check_refused({"plan", "--scores", "good.csv", "--budget", "1", "--islands", "2.5"},
                      dir.path(), {"--islands", "whole number from 1 to 1024", "found \"2.5\""});
  dir.write("huge.csv", "client,a,b\nct,1e308,0\nmri,1e308,0\n");
  test::check_refused(plan("huge.csv", "1"), dir.path(), {"the sum of all scores", "1.8e308"});
  dir.write("problem.yaml", "version: 1\nscores: good.csv\nbudget: 1\nchoose: knie\n");
  test::check_refused({"plan", "--problem", "problem.yaml"}, dir.path(),
                      {"problem.yaml: choose", "did you mean \"knee\"?"});
}
