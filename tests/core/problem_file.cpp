#include "strata/core/problem_file.h"

#include "catch.h"
#include "strata/core/error.h"
#include "temp_dir.h"

using namespace strata;
using Catch::Contains;

namespace {

const std::string kScores = "client,a,b,c\nct,1,2,3\nmri,3,2,1\n";
const std::string kCosts = "unit,bytes,flops,memory\na,10,100,7\nb,20,200,8\nc,30,300,9\n";

struct Fixture {
  test::TempDir dir;

  Fixture() {
    dir.write("scores.csv", kScores);
    dir.write("costs.csv", kCosts);
  }

  LoadedProblem load(const std::string& text, ProblemOptions options = {}) const {
    options.file = dir.write("problem.yaml", "version: 1\n" + text).string();
    return load_problem(options);
  }
  std::string error(const std::string& text) const {
    try {
      load(text);
    } catch (const InputError& e) {
      return e.what();
    }
    return "";
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a target usage is a number for each unit, by name or in their order") {
  const std::string good = "scores: scores.csv\nbudget: 2\n";
  CHECK(load(good).target_usage.empty());
  CHECK(load(good + "target_usage: [0, 2, 1]\n").target_usage == std::vector<int>{0, 2, 1});
  CHECK(load(good + "target_usage: {\"[ac]\": 2}\n").target_usage == std::vector<int>{2, 0, 2});
  // Ranks of all clients add up.
  CHECK(load(good + "ranks: 3\ntarget_usage: {b: 6}\n").target_usage == std::vector<int>{0, 6, 0});
}

TEST_CASE_METHOD(Fixture, "a problem file says all there is to plan") {
  const auto loaded = load(R"(scores: scores.csv
normalise: true
client_weights: {mri: 2}
budget: {of: bytes, each: 4e1, clients: {ct: 50}}
costs: costs.csv
pinned: {ct: [c]}
forbidden: {"*": [b]}
coverage: {a: 1}
least_cohort: 2
objectives: [importance, usage_variance, uplink_bytes, slowest_client]
clients:
  ct: {samples: 10, flops_per_second: 100, uplink_bytes_per_second: 5}
  mri: {samples: 1, flops_per_second: 1000, uplink_bytes_per_second: 10}
choose: ideal
)");
  const auto& problem = loaded.problem;
  CHECK(loaded.choose == "ideal");
  CHECK(loaded.normalised);
  CHECK(loaded.scores.scores(0, 2) == 3);
  CHECK(problem.importance(0, 2) == Approx(0.5));
  CHECK(problem.importance(1, 0) == Approx(1.0));
  CHECK(problem.resource == "bytes");
  CHECK(problem.capacities == std::vector<std::int64_t>{50, 40});
  CHECK(problem.unit_costs == std::vector<std::int64_t>{10, 20, 30});
  CHECK(problem.budgets.empty());
  CHECK(problem.rule(0, 2) == Rule::kPinned);
  CHECK(problem.rule(1, 2) == Rule::kFree);
  CHECK(problem.rule(0, 1) == Rule::kForbidden);
  CHECK(problem.rule(1, 1) == Rule::kForbidden);
  CHECK(problem.coverage == std::vector<int>{1, 0, 0});
  CHECK(problem.least_cohort == 2);
  CHECK(problem.uplink_bytes == std::vector<std::int64_t>{10, 20, 30});
  CHECK(problem.seconds(0, 0) == Approx(10 * 100 / 100.0 + 10 / 5.0));
  CHECK(problem.seconds(1, 2) == Approx(300 / 1000.0 + 30 / 10.0));
}

TEST_CASE_METHOD(Fixture, "budgets: a number, a CSV file, per client; options win over the file") {
  CHECK(load("scores: scores.csv\nbudget: 2\n").problem.budgets == std::vector<int>{2, 2});
  dir.write("budgets.csv", "client,budget\nmri,1\nct,3\n");
  CHECK(load("scores: scores.csv\nbudget: budgets.csv\n").problem.budgets ==
        std::vector<int>{3, 1});
  CHECK(load("scores: scores.csv\nbudget: {each: 1, clients: {mri: 0}}\n").problem.budgets ==
        std::vector<int>{1, 0});
  ProblemOptions options;
  options.budget = "3";
  options.units = {"c", "a", "b"};
  const auto loaded = load("scores: scores.csv\nbudget: 2\nunits: [a]\n", options);
  CHECK(loaded.problem.budgets == std::vector<int>{3, 3});
  CHECK(loaded.problem.units.size() == 3);
  CHECK(load("scores: scores.csv\nbudget: 1\nunits: [c, a]\n").problem.units ==
        std::vector<std::string>{"a", "c"});
}

TEST_CASE_METHOD(Fixture, "costs come from a mapping or from what strata inspect prints, too") {
  dir.write("units.json", R"({"version": 1, "text_tokens": 4, "labels": 2, "units": [
    {"name": "a", "parameters": 5, "bytes": 20, "forward_flops": 7, "activation_bytes": 11},
    {"name": "b", "parameters": 6, "bytes": 30, "forward_flops": 8, "activation_bytes": 12},
    {"name": "c", "parameters": 7, "bytes": 40, "forward_flops": 9, "activation_bytes": 13}],
    "total": {}})");
  const std::string text = "scores: scores.csv\ncosts: units.json\nbudget: {each: 99, of: ";
  CHECK(load(text + "bytes}\n").problem.unit_costs == std::vector<std::int64_t>{20, 30, 40});
  CHECK(load(text + "flops}\n").problem.unit_costs == std::vector<std::int64_t>{21, 24, 27});
  CHECK(load(text + "memory}\n").problem.unit_costs == std::vector<std::int64_t>{71, 84, 97});
  CHECK(load("scores: scores.csv\ncosts: {a: {memory: 1}, b: {memory: 2}, c: {memory: 3}}\n"
             "budget: {of: memory, each: 4}\n")
            .problem.unit_costs == std::vector<std::int64_t>{1, 2, 3});
}

TEST_CASE_METHOD(Fixture, "units are named by patterns wherever they are named") {
  const std::string start = "scores: scores.csv\nbudget: 1\n";
  const auto problem =
      load(start +
           "units: [\"[ac]\"]\npinned: {ct: [\"a*\"]}\nforbidden: {mri: [\"[!a]\"]}\n"
           "coverage: {\"?\": 0, a: 2}\n")
          .problem;
  CHECK(problem.units == std::vector<std::string>{"a", "c"});
  CHECK(problem.rule(0, 0) == Rule::kPinned);
  CHECK(problem.rule(0, 1) == Rule::kFree);
  CHECK(problem.rule(1, 1) == Rule::kForbidden);
  CHECK(problem.coverage == std::vector<int>{2, 0});
  ProblemOptions options;
  options.units = {"[bc]"};
  CHECK(load(start, options).problem.units == std::vector<std::string>{"b", "c"});
  CHECK_THAT(error(start + "units: [\"d*\"]\n"),
             Contains("problem.yaml:4: units: the score table has no unit \"d*\""));
  CHECK_THAT(error(start + "pinned: {\"*\": [\"d*\"]}\n"),
             Contains("pinned.*: the score table has no"));
}

TEST_CASE_METHOD(Fixture, "amounts have units wherever they are written") {
  dir.write("costs.csv", "unit;bytes\na;10kB\nb;20kB\nc;0.03MB\n");
  const auto of = [&](const std::string& text) {
    return load("scores: scores.csv\n" + text).problem;
  };
  using Values = std::vector<std::int64_t>;
  const auto text = of("costs: costs.csv\nbudget: 40kB\n");
  CHECK(text.resource == "bytes");
  CHECK(text.capacities == Values{40000, 40000});
  CHECK(text.unit_costs == Values{10000, 20000, 30000});
  const auto mapping = of("costs: costs.csv\nbudget: {each: 40kB, clients: {ct: 1MiB}}\n");
  CHECK(mapping.resource == "bytes");
  CHECK(mapping.capacities == Values{1048576, 40000});
  CHECK(of("costs: {a: {memory: 1KiB}, b: {memory: 2}, c: {memory: 3}}\n"
           "budget: {of: memory, each: 4KiB}\n")
            .unit_costs == Values{1024, 2, 3});
  dir.write("budgets.csv", "client,bytes\nmri,15kB\nct,40000\n");
  CHECK(of("costs: costs.csv\nbudget: budgets.csv\n").capacities == Values{40000, 15000});
  ProblemOptions options;
  options.scores = (dir / "scores.csv").string();
  options.budget = "40kB";
  CHECK_THROWS_WITH(load_problem(options),
                    "--budget: budgets of bytes need the units' costs: --costs FILE");
  options.costs = (dir / "costs.csv").string();
  CHECK(load_problem(options).problem.capacities == Values{40000, 40000});
  options.budget = "40000";
  options.of = "bytes";
  CHECK(load_problem(options).problem.resource == "bytes");
  CHECK_THAT(
      error("scores: scores.csv\ncosts: costs.csv\nbudget: {of: bytes, each: 4kX}\n"),
      Contains("budget.each: a whole number of bytes, such as 400kB") && Contains("\"4kX\""));
  CHECK_THAT(error("scores: scores.csv\ncosts: {a: {bytes: 1.5B}}\nbudget: 1\n"),
             Contains("costs.a.bytes: a whole number of bytes"));
}

TEST_CASE_METHOD(
    Fixture, "of a model's scores the blocks compete, comparably, and the head is always trained") {
  dir.write("scores.json", R"({"version": 1, "clients": ["ct", "mri"],
    "units": ["embeddings", "block.0", "block.1", "head"],
    "roles": ["embeddings", "body", "body", "head"],
    "scores": [[0.3, 0.03, 0.01, 0.66], [0.2, 0.001, 0.003, 0.796]]})");
  ProblemOptions options;
  options.scores = (dir / "scores.json").string();
  options.budget = "1";
  auto loaded = load_problem(options);
  CHECK(loaded.problem.units == std::vector<std::string>{"block.0", "block.1"});
  CHECK(loaded.always == std::vector<std::string>{"head"});
  CHECK(loaded.normalised);
  CHECK(loaded.problem.importance(0, 0) == Approx(0.75));
  CHECK(loaded.problem.importance(1, 1) == Approx(0.75));
  CHECK(loaded.warnings.empty());
  options.normalise = false;
  loaded = load_problem(options);
  CHECK(loaded.problem.importance(0, 0) == 0.03);
  REQUIRE(loaded.warnings.size() == 1);
  CHECK_THAT(loaded.warnings[0],
             Contains("from 0.004 (\"mri\") to 0.04 (\"ct\")") && Contains("--normalise"));
  options.normalise = {};
  options.units = {"*"};
  loaded = load_problem(options);
  CHECK(loaded.problem.units.size() == 4);
  CHECK(loaded.always.empty());
  REQUIRE(loaded.warnings.size() == 1);
  CHECK_THAT(loaded.warnings[0],
             Contains("the mean score is 0.728 of the role head and 0.011 of body"));
  const auto file = load(
      "scores: scores.json\nbudget: 1\nalways: [head, embeddings]\n"
      "normalise: false\n");
  CHECK(file.always == std::vector<std::string>{"embeddings", "head"});
  CHECK_FALSE(file.normalised);
  CHECK_THAT(
      error("scores: scores.json\nbudget: 1\nalways: [haed]\n"),
      Contains(
          "problem.yaml:4: always: the score table has no unit \"haed\" (did you mean \"head\"?)"));
}

TEST_CASE_METHOD(Fixture,
                 "a table of one's own is planned as it stands, with a word about its scales") {
  ProblemOptions options;
  options.budget = "1";
  options.scores = dir.write("own.csv", "client,x,head\na,1,2\nb,3,4\nc,0,0\n").string();
  auto loaded = load_problem(options);
  CHECK(loaded.problem.units.size() == 2);
  CHECK(loaded.always.empty());
  CHECK_FALSE(loaded.normalised);
  CHECK(loaded.warnings.empty());
  options.scores = dir.write("own.csv", "client,x,head\na,1,2\nb,13,17\n").string();
  loaded = load_problem(options);
  REQUIRE(loaded.warnings.size() == 1);
  CHECK_THAT(loaded.warnings[0], Contains("from 3 (\"a\") to 30 (\"b\")"));
  options.normalise = true;
  CHECK(load_problem(options).warnings.empty());
}

TEST_CASE_METHOD(Fixture, "a wrong problem file is named with line and key") {
  const std::string good = "scores: scores.csv\nbudget: 2\n";
  CHECK_THAT(error("budget: 2\n"), Contains("scores") && Contains("--scores"));
  CHECK_THAT(error("scores: scores.csv\n"), Contains("budget") && Contains("--budget"));
  CHECK_THAT(error(good + "coverag: 1\n"),
             Contains("problem.yaml:4: coverag: unknown key (did you mean \"coverage\"?)"));
  CHECK_THAT(error("scores: scores.csv\nbudget: 4\n"), Contains("budget") && Contains("0 to 3"));
  CHECK_THAT(error("scores: scores.csv\nbudget: {each: 4}\n"),
             Contains("\"ct\": a budget of 4 units, but there are 3"));
  CHECK_THAT(error("scores: scores.csv\nbudget: {clients: {ct: 1}}\n"), Contains("\"mri\""));
  CHECK_THAT(error("scores: scores.csv\nbudget: many\n"),
             Contains("problem.yaml:3: budget: ") && Contains("CSV file") && Contains("\"many\""));
  CHECK_THAT(error(good + "units: []\n"), Contains("problem.yaml:4: units: the list is empty"));
  CHECK_THAT(error("scores: scores.csv\nbudget: {clients: {tc: 1}}\n"),
             Contains("budget.clients.tc") && Contains("did you mean \"ct\"?"));
  CHECK_THAT(error("scores: scores.csv\nbudget: {of: bytes, each: 4}\n"),
             Contains("needs the bytes of every unit") && Contains("\"a\""));
  CHECK_THAT(error("scores: scores.csv\nbudget: {of: bites, each: 4}\n"),
             Contains("did you mean \"bytes\"?"));
  CHECK_THAT(error(good + "pinned: {ct: [d]}\n"), Contains("pinned.ct") && Contains("\"d\""));
  CHECK_THAT(error(good + "units: [a, b]\npinned: {ct: [c]}\n"),
             Contains("problem.yaml:5: pinned.ct: the unit \"c\" is not among those planned over: "
                      "\"a\", \"b\""));
  CHECK_THAT(error(good + "pinned: {ct: [a]}\nforbidden: {\"*\": [a]}\n"),
             Contains("both pinned and forbidden"));
  CHECK_THAT(error(good + "pinned: {ct: [a, b, c]}\n"),
             Contains("client \"ct\": a budget of 2 units, but 3 are pinned"));
  CHECK_THAT(error(good + "forbidden: {mri: [a, b]}\n"),
             Contains("client \"mri\": a budget of 2 units, but only 1 are not forbidden"));
  CHECK_THAT(error(good + "coverage: 3\n"), Contains("coverage") && Contains("0 to 2"));
  CHECK_THAT(error(good + "coverage: {b: 2}\nforbidden: {ct: [b]}\n"),
             Contains("unit \"b\": a coverage of 2 clients, but only 1"));
  CHECK_THAT(error(good + "target_usage: [1, 0]\n"),
             Contains("problem.yaml: target usage: found 2 numbers, and there are 3 units"));
  CHECK_THAT(error(good + "target_usage: [1, 0, 3]\n"),
             Contains("unit \"c\": found 3, allowed is 0 to 2"));
  CHECK_THAT(error(good + "target_usage: [1, 0, 0.5]\n"),
             Contains("target_usage: whole numbers were expected, found 0.5"));
  CHECK_THAT(error(good + "target_usage: late\n"),
             Contains("a number for each unit was expected, in a list or a mapping"));
  CHECK_THAT(error(good + "target_usage: {d: 1}\n"), Contains("target_usage.d"));
  CHECK_THAT(error(good + "target_usage: {\"*\": 1}\nleast_cohort: 2\n"),
             Contains("problem.yaml: target usage: the clients that it adds are no cohort"));
  CHECK_THAT(error(good + "least_cohort: 3\n"), Contains("least_cohort") && Contains("1 to 2"));
  CHECK_THAT(error(good + "least_cohort: 2\nranks: 2\n"), Contains("plans of ranks do not keep"));
  CHECK_THAT(error(good + "least_cohort: 2\npinned: {ct: [b]}\nforbidden: {mri: [b]}\n"),
             Contains("unit \"b\": it is pinned or covered"));
  CHECK_THAT(error(good + "objectives: [importance]\n"), Contains("usage_variance"));
  CHECK_THAT(error(good + "objectives: [importance, usage_variance, uplink]\n"),
             Contains("\"uplink\" is not one of"));
  CHECK_THAT(error(good + "costs: costs.csv\nobjectives: [importance, usage_variance, "
                          "slowest_client]\n"),
             Contains("speeds of every client") && Contains("\"ct\""));
  CHECK_THAT(error(good + "clients: {ct: {samples: 1, flops_per_second: 0, "
                          "uplink_bytes_per_second: 1}}\n"),
             Contains("clients.ct.flops_per_second"));
  dir.write("costs.csv", "unit,bytes\na,1\na,2\n");
  CHECK_THAT(error(good + "costs: costs.csv\n"), Contains("costs.csv:3") && Contains("twice"));
  dir.write("costs.csv", "unit,byte\na,1\n");
  CHECK_THAT(error(good + "costs: costs.csv\n"), Contains("did you mean \"bytes\"?"));
  dir.write("costs.csv", "unit,bytes\na,-1\n");
  CHECK_THAT(error(good + "costs: costs.csv\n"), Contains("costs.csv:2") && Contains("\"-1\""));
  CHECK_THAT(error(good + "client_weights: {ct: -1}\n"), Contains("client_weights.ct"));
}

TEST_CASE_METHOD(Fixture, "scores in memory and keys as JSON are the same problem as their files") {
  const auto from_file = load(
      "scores: scores.csv\ncosts: {a: {bytes: 10}, b: {bytes: 20}, c: {bytes: 30}}\n"
      "budget: {of: bytes, each: 40}\npinned: {ct: [a]}\ncoverage: 1\nnormalise: true\n");
  const ScoreTable scores = read_scores(dir / "scores.csv");
  const auto in_memory = load_problem(
      scores,
      R"({"version": 1, "costs": {"a": {"bytes": 10}, "b": {"bytes": 20}, "c": {"bytes": 30}},
          "budget": {"of": "bytes", "each": 40}, "pinned": {"ct": ["a"]}, "coverage": 1,
          "normalise": true})",
      "problem");
  CHECK(digest(in_memory.scores) == digest(from_file.scores));
  CHECK(in_memory.problem.importance == from_file.problem.importance);
  CHECK(in_memory.problem.capacities == from_file.problem.capacities);
  CHECK(in_memory.problem.unit_costs == from_file.problem.unit_costs);
  CHECK(in_memory.problem.rules == from_file.problem.rules);
  CHECK(in_memory.problem.coverage == from_file.problem.coverage);
  CHECK(in_memory.normalised);

  const auto error_of = [&](ScoreTable table, const std::string& json) -> std::string {
    try {
      load_problem(table, json, "problem");
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  CHECK(error_of(scores, R"({"version": 1, "budget": 4})") ==
        "problem: budget: client \"ct\": a budget of 4 units, but there are 3; allowed is 0 to 3");
  CHECK(error_of(scores, R"({"version": 1, "budget": 1, "pined": {}})") ==
        "problem: pined: unknown key (did you mean \"pinned\"?); known are \"version\", "
        "\"units\", \"always\", \"normalise\", \"costs\", \"budget\", \"ranks\", "
        "\"client_weights\", \"pinned\", \"forbidden\", \"coverage\", \"least_cohort\", "
        "\"objectives\", "
        "\"clients\", \"target_usage\", \"choose\"");
  // What a whole problem does not allow.
  CHECK(error_of(scores, R"({"version": 1, "budget": 1, "coverage": 2})") == "");
  CHECK(error_of(scores, R"({"version": 1, "budget": 1, "pinned": {"ct": ["a", "b"]}})") ==
        "problem: client \"ct\": a budget of 1 units, but 2 are pinned");
  ScoreTable negative = scores;
  negative.scores(1, 2) = -1;
  CHECK(error_of(negative, R"({"version": 1, "budget": 1})") ==
        "problem: client \"mri\", unit \"c\": a score is -1; scores must be finite and at least 0");
}
