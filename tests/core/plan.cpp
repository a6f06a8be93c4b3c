#include "strata/core/plan.h"

#include <nlohmann/json.hpp>

#include "catch.h"
#include "linear_time.h"
#include "strata/core/error.h"
#include "temp_dir.h"

using namespace strata;
using Json = nlohmann::json;
using Catch::Contains;

namespace {

Plan small_plan() {
  Plan plan;
  plan.algorithm = "nsga2";
  plan.choose = "knee";
  plan.seed = 18446744073709551615ull;
  plan.evaluations = 200;
  plan.clients = {"ct", "mri", "none"};
  plan.units = {"block.0", "block.1", "head"};
  plan.assignment.resize(3, 3);
  plan.assignment << 1, 0, 1, 0, 1, 0, 0, 0, 0;
  plan.objectives = {1.25, 2.0 / 9};
  plan.front = {{1.25, 2.0 / 9}, {1.5, 0.3}};
  plan.gap = {true, 0.125, 0.1, 0.99};
  plan.scores_digest = "abc";
  plan.provenance = {{"strata", "0.1.0"},
                     {"population", std::int64_t{100}},
                     {"normalise", true},
                     {"seconds", 0.5}};
  plan.row = 1;
  plan.always = {"pooler"};
  plan.counted = "bytes";
  plan.used = {269000, 100, 0};
  plan.budgets = {400000, 100, 7};
  return plan;
}

}  // namespace

TEST_CASE("plan.json gives back the same plan") {
  const test::TempDir dir;
  const Plan plan = small_plan();
  write_plan(plan, dir / "plan.json");
  const Plan back = read_plan(dir / "plan.json");
  CHECK(back.assignment == plan.assignment);
  CHECK(back.clients == plan.clients);
  CHECK(back.units_of(0) == std::vector<std::string>{"block.0", "head"});
  CHECK(back.seed == plan.seed);
  CHECK(back.objectives.usage_variance == Approx(plan.objectives.usage_variance).epsilon(1e-14));
  CHECK(back.front.size() == 2);
  CHECK(back.gap.known);
  CHECK(back.gap.importance == 0.125);
  CHECK(back.provenance == plan.provenance);
  CHECK(back.row == 1);
  CHECK(back.always == plan.always);
  CHECK(back.counted == "bytes");
  CHECK(back.used == plan.used);
  CHECK(back.budgets == plan.budgets);
  write_plan(back, dir / "again.json");
  CHECK(test::slurp(dir / "again.json") == test::slurp(dir / "plan.json"));
}

TEST_CASE("a plan of ranks says them by unit") {
  const test::TempDir dir;
  Plan plan = small_plan();
  plan.ranks = 8;
  plan.assignment << 8, 0, 1, 0, 3, 0, 0, 0, 0;
  plan.counted = "ranks";
  plan.used = plan.budgets = {9, 3, 0};
  write_plan(plan, dir / "plan.json");
  const Json written = Json::parse(test::slurp(dir / "plan.json"));
  CHECK(written["ranks"] == 8);
  CHECK(written["clients"] == Json{{"ct", {{"block.0", 8}, {"head", 1}}},
                                   {"mri", {{"block.1", 3}}},
                                   {"none", Json::object()}});
  const Plan back = read_plan(dir / "plan.json");
  CHECK(back.ranks == 8);
  CHECK(back.assignment == plan.assignment);
  CHECK(back.counted == "ranks");
  CHECK(back.units_of(0) == std::vector<std::string>{"block.0", "head"});
  const auto refused = [&](const std::string& pointer, const Json& value, const std::string& says) {
    Json wrong = written;
    wrong[Json::json_pointer(pointer)] = value;
    dir.write("wrong.json", wrong.dump());
    CHECK_THROWS_WITH(read_plan(dir / "wrong.json"), Catch::Contains(says));
  };
  refused("/clients/ct/head", 9, "clients.ct.head");
  refused("/clients/ct/head", 0, "clients.ct.head");
  refused("/clients/ct/hed", 1, "the plan has no unit \"hed\"");
  refused("/ranks", 256, "ranks");
  refused("/budget/of", "units", "budget.of");
}

TEST_CASE("wrong plans are named by key") {
  const test::TempDir dir;
  const Plan plan = small_plan();
  write_plan(plan, dir / "plan.json");
  const std::string text = test::slurp(dir / "plan.json");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    return read_plan(dir.write("p.json", changed));
  };
  CHECK_THROWS_WITH(with("\"version\": 2", "\"version\": 9"),
                    Contains("version") && Contains("found 9"));
  CHECK_THROWS_WITH(with("\"scores_digest\"", "\"scores_digets\""),
                    Contains("unknown key (did you mean \"scores_digest\"?)"));
  CHECK_THROWS_WITH(with("\"seed\": 18446744073709551615", "\"seed\": -1"), Contains("seed"));
  CHECK_THROWS_AS(read_plan(dir.write("half.json", text.substr(0, text.size() / 2))), InputError);
  Plan other = plan;
  other.units[0] = "blok.0";
  write_plan(other, dir / "other.json");
  std::string mismatched = test::slurp(dir / "other.json");
  mismatched.replace(mismatched.rfind("\"blok.0\""), 8, "\"block.0\"");
  CHECK_THROWS_WITH(read_plan(dir.write("m.json", mismatched)),
                    Contains("no unit \"block.0\" (did you mean \"blok.0\"?)"));
}

TEST_CASE("plan.json says what clients spend, with numbers and booleans as such") {
  Plan plan = small_plan();
  plan.objectives.importance = 1.1 + 2.2;  // 3.3000000000000003
  plan.front[0].importance = plan.objectives.importance;
  const auto json = nlohmann::json::parse(plan_json(plan));
  CHECK(json["version"] == 2);
  CHECK(json["budget"]["of"] == "bytes");
  CHECK(json["budget"]["clients"]["ct"]["used"] == 269000);
  CHECK(json["budget"]["clients"]["ct"]["budget"] == 400000);
  CHECK(json["row"] == 1);
  CHECK(json["always"] == std::vector<std::string>{"pooler"});
  CHECK(json["provenance"]["population"] == 100);
  CHECK(json["provenance"]["normalise"] == true);
  CHECK(plan.objectives.importance != 3.3);
  CHECK(json["objectives"]["importance"] == 3.3);
  CHECK_THAT(plan_json(plan), Contains("\"importance\": 3.3,"));
  CHECK_THAT(front_csv(plan.front), Contains("\n3.3,"));
}

TEST_CASE("a plan.json of version 1 is read") {
  const test::TempDir dir;
  const Plan plan = read_plan(dir.write("old.json", R"({"version": 1, "algorithm": "exact",
    "choose": "knee", "seed": 1, "evaluations": 0, "units": ["block.0", "block.1"],
    "clients": {"ct": ["block.1"]}, "objectives": {"importance": 2.3000000000000003,
    "usage_variance": 0.25}, "front": [{"importance": 2.3000000000000003, "usage_variance": 0.25}],
    "gap": {"certificate": "exact", "importance": 0, "relative": 0, "hypervolume_ratio": 1},
    "scores_digest": "abc", "provenance": {"strata": "0.1.0", "normalise": "false"}})"));
  CHECK(plan.units_of(0) == std::vector<std::string>{"block.1"});
  CHECK(plan.counted.empty());
  CHECK(plan.used.empty());
  CHECK(plan.row == 0);
  CHECK(plan.always.empty());
  CHECK(plan.provenance[1] == std::pair<std::string, Fact>{"normalise", std::string("false")});
  CHECK(plan.kind == AlgorithmKind::kUnknown);
  CHECK_THAT(plan_json(plan), !Contains("\"kind\""));
}

TEST_CASE("the kinds of algorithms and certificates are written and read by their names") {
  const test::TempDir dir;
  for (const auto& [kind, name] : {std::pair{AlgorithmKind::kExact, "exact"},
                                   {AlgorithmKind::kPrice, "price"},
                                   {AlgorithmKind::kSearch, "search"},
                                   {AlgorithmKind::kBaseline, "baseline"}}) {
    for (const auto& [certificate, bound] :
         {std::pair{CertificateKind::kExact, "exact"}, {CertificateKind::kPrices, "prices"}}) {
      CAPTURE(name, bound);
      Plan plan = small_plan();
      plan.kind = kind;
      plan.gap.certificate = certificate;
      const auto json = nlohmann::json::parse(plan_json(plan));
      CHECK(json["kind"] == name);
      CHECK(json["gap"]["certificate"] == bound);
      write_plan(plan, dir / "plan.json");
      CHECK(read_plan(dir / "plan.json").kind == kind);
      CHECK(read_plan(dir / "plan.json").gap.certificate == certificate);
    }
  }
  Plan plan = small_plan();
  plan.kind = AlgorithmKind::kSearch;
  std::string text = plan_json(plan);
  text.replace(text.find("\"search\""), 8, "\"serach\"");
  CHECK_THROWS_WITH(read_plan(dir.write("plan.json", text)),
                    Contains("kind") && Contains("did you mean \"search\"?"));
}

TEST_CASE("a plan counts what its clients spend") {
  PlanningProblem problem{{"ct", "mri"}, {"a", "b"}, Eigen::MatrixXd::Ones(2, 2), {2, 1}};
  Plan plan;
  plan.assignment.resize(2, 2);
  plan.assignment << 1, 1, 0, 1;
  plan.count_budgets(problem);
  CHECK(plan.counted == "units");
  CHECK(plan.used == std::vector<std::int64_t>{2, 1});
  CHECK(plan.budgets == std::vector<std::int64_t>{2, 1});
  problem.budgets.clear();
  problem.resource = "flops";
  problem.unit_costs = {30, 40};
  problem.capacities = {100, 50};
  plan.count_budgets(problem);
  CHECK(plan.counted == "flops");
  CHECK(plan.used == std::vector<std::int64_t>{70, 40});
  CHECK(plan.budgets == std::vector<std::int64_t>{100, 50});
}

TEST_CASE("plan.json is written in time linear in the clients") {
  const auto plan_of = [](int clients) {
    Plan plan = small_plan();
    plan.clients.clear();
    for (int i = 0; i < clients; ++i) plan.clients.push_back("client-" + std::to_string(i));
    plan.assignment = Assignment::Zero(clients, 3);
    plan.assignment.col(1).setOnes();
    plan.used.assign(static_cast<std::size_t>(clients), 1);
    plan.budgets = plan.used;
    return plan;
  };
  const Plan small = plan_of(2500), large = plan_of(16 * 2500);
  CHECK(test::growth(2500, [&](int n) { plan_json(n > 2500 ? large : small); }) < test::kLinear);
}

TEST_CASE("the front as CSV") {
  const test::TempDir dir;
  write_front_csv({{1.5, 0.25}, {2, 0.5}}, dir / "front.csv");
  CHECK(test::slurp(dir / "front.csv") == "importance,usage_variance\n1.5,0.25\n2,0.5\n");
}
