#include "strata/core/plan_archive.h"

#include "catch.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "temp_dir.h"

using namespace strata;
using Catch::Contains;

namespace {

std::vector<std::string> names(const std::string& stem, int count) {
  std::vector<std::string> names;
  for (int k = 0; k < count; ++k) names.push_back(stem + std::to_string(k));
  return names;
}

PlanArchive random_archive(int clients, int units, int count) {
  PlanArchive archive{names("client", clients), names("unit", units), {}};
  Random random(1);
  for (int k = 0; k < count; ++k) {
    Assignment assignment(clients, units);
    for (Eigen::Index e = 0; e < assignment.size(); ++e)
      assignment.data()[e] = static_cast<std::uint8_t>(random.below(2));
    archive.assignments.push_back(assignment);
  }
  return archive;
}

PlanningProblem problem_of(std::vector<std::string> clients, std::vector<std::string> units) {
  PlanningProblem problem;
  problem.clients = std::move(clients);
  problem.units = std::move(units);
  return problem;
}

}  // namespace

TEST_CASE("an archive file gives back the same assignments, for any number of units") {
  const test::TempDir dir;
  for (const int units : {1, 3, 4, 5, 64, 67}) {
    CAPTURE(units);
    const PlanArchive archive = random_archive(3, units, 5);
    write_archive(archive, dir / "archive.json");
    const PlanArchive back = read_archive(dir / "archive.json");
    CHECK(back.clients == archive.clients);
    CHECK(back.units == archive.units);
    CHECK(back.assignments == archive.assignments);
    CHECK(archive_json(back) == test::slurp(dir / "archive.json"));
  }
}

TEST_CASE("four units a digit, the first its highest bit") {
  PlanArchive archive{{"ct", "mri"}, names("unit", 6), {Assignment::Zero(2, 6)}};
  archive.assignments[0].row(0) << 1, 0, 1, 0, 0, 1;
  CHECK_THAT(archive_json(archive), Contains("\n  [\"a4\",\"00\"]\n"));
}

TEST_CASE("a plan's archive is thinned evenly to 1,000, and to 2^24 entries") {
  CHECK(evenly_spread(3, 10) == std::vector<std::size_t>{0, 1, 2});
  CHECK(evenly_spread(10, 4) == std::vector<std::size_t>{0, 3, 6, 9});
  CHECK(evenly_spread(10, 1) == std::vector<std::size_t>{0});
  CHECK(evenly_spread(0, 4).empty());

  Plan plan;
  plan.clients = names("client", 4);
  plan.units = names("unit", 3);
  plan.archive = random_archive(4, 3, 2501).assignments;
  plan.assignment = plan.archive[7];
  const PlanArchive archive = archive_of(plan);
  REQUIRE(archive.assignments.size() == 1000);
  CHECK(archive.clients == plan.clients);
  CHECK(archive.assignments.front() == plan.archive[0]);
  CHECK(archive.assignments.back() == plan.archive[2500]);

  plan.archive = {};
  CHECK(archive_of(plan).assignments == std::vector<Assignment>{plan.assignment});

  // 2^21 entries each, so that eight fit.
  plan.clients = names("client", 1 << 11);
  plan.units = names("unit", 1 << 10);
  for (int k = 0; k < 10; ++k)
    plan.archive.push_back(Assignment::Constant(1 << 11, 1 << 10, k % 2 == 0));
  CHECK(archive_of(plan).assignments.size() == 8);
}

TEST_CASE("plan.json is an archive of one assignment") {
  const test::TempDir dir;
  Plan plan;
  plan.algorithm = "topk";
  plan.clients = {"ct", "mri"};
  plan.units = {"a", "b", "c"};
  plan.assignment.resize(2, 3);
  plan.assignment << 1, 0, 1, 0, 1, 0;
  plan.archive = {plan.assignment};
  write_plan(plan, dir / "plan.json");
  CHECK(test::slurp(dir / "plan.json").find("archive") == std::string::npos);
  CHECK(read_plan(dir / "plan.json").archive.empty());
  const PlanArchive archive = read_archive(dir / "plan.json");
  CHECK(archive.clients == plan.clients);
  CHECK(archive.units == plan.units);
  CHECK(archive.assignments == std::vector<Assignment>{plan.assignment});
}

TEST_CASE("wrong archives are named by file and key in one line") {
  const test::TempDir dir;
  const auto error = [&](const std::string& text) {
    try {
      read_archive(dir.write("a.json", text));
    } catch (const InputError& e) {
      const std::string what = e.what();
      CHECK(what.find('\n') == std::string::npos);
      return what.substr(what.find("a.json"));
    }
    return std::string("accepted");
  };
  const auto with = [&](const std::string& assignments) {
    return error(R"({"version":1,"clients":["ct","mri"],"units":["a","b","c","d","e"],)"
                 R"("assignments":)" +
                 assignments + "}");
  };
  CHECK(with(R"([["88","00"]])") == "accepted");
  CHECK(with("[]") == "accepted");
  CHECK(with(R"("88")") == "a.json: assignments: a list of assignments was expected");
  CHECK(with(R"([["88","00"],["88"]])") ==
        "a.json: assignments[1]: a list of 2 texts was expected, one a client, found 1");
  CHECK(with(R"([{}])") == "a.json: assignments[0]: a list of 2 texts was expected, one a client");
  CHECK(with(R"([["88",1]])") ==
        "a.json: assignments[0]: client \"mri\": a text of hexadecimal digits was expected, found "
        "number");
  CHECK(with(R"([["888","00"]])") ==
        "a.json: assignments[0]: client \"ct\": 2 hexadecimal digits were expected for 5 units, "
        "found 3");
  CHECK(with(R"([["8g","00"]])") ==
        "a.json: assignments[0]: client \"ct\": hexadecimal digits 0-9 and a-f were expected, "
        "found \"8g\"");
  CHECK(with(R"([["84","00"]])") ==
        "a.json: assignments[0]: client \"ct\": \"84\" sets a unit beyond the last of 5");
  CHECK_THAT(error(R"({"version":2,"clients":[],"units":[],"assignments":[]})"),
             Contains("version") && Contains("found 2"));
  CHECK_THAT(error(R"({"version":1,"clients":["a","a"],"units":[],"assignments":[]})"),
             Contains("clients: \"a\" stands twice"));
  CHECK_THAT(error(R"({"version":1,"clients":["a"],"unit":[],"assignments":[]})"),
             Contains("units: the key is missing"));
  CHECK_THAT(error(R"({"version":1,"clients":["a"],"units":[],"assignments":[],"x":1})"),
             Contains("x: unknown key"));
  CHECK_THAT(error(R"({"version":1,"clients":["a"],)"), Contains("not valid JSON"));
  CHECK_THROWS_WITH(read_archive(dir / "absent.json"), Contains("cannot be read"));
}

TEST_CASE("clients and units are matched by name, whatever their order") {
  PlanArchive archive{{"ct", "mri", "us"}, {"a", "b", "c"}, {Assignment::Zero(3, 3)}};
  archive.assignments[0] << 1, 0, 1, 0, 1, 0, 1, 1, 0;
  const MatchedArchive same =
      match_archive(archive, problem_of({"ct", "mri", "us"}, {"a", "b", "c"}), "a.json");
  CHECK(same.assignments == archive.assignments);
  CHECK(same.dropped_clients.empty());
  CHECK(same.new_units.empty());

  const MatchedArchive other =
      match_archive(archive, problem_of({"us", "x-ray", "ct"}, {"c", "d", "a"}), "a.json");
  REQUIRE(other.assignments.size() == 1);
  Assignment expected(3, 3);
  expected << 0, 0, 1, 0, 0, 0, 1, 0, 1;
  CHECK(other.assignments[0] == expected);
  CHECK(other.dropped_clients == std::vector<std::string>{"mri"});
  CHECK(other.dropped_units == std::vector<std::string>{"b"});
  CHECK(other.new_clients == std::vector<std::string>{"x-ray"});
  CHECK(other.new_units == std::vector<std::string>{"d"});

  CHECK_THROWS_WITH(match_archive(archive, problem_of({"cp"}, {"a"}), "a.json"),
                    "a.json: clients: none is of the problem: found \"ct\", \"mri\", \"us\" (did "
                    "you mean \"cp\"?), the problem has \"cp\"");
  CHECK_THROWS_WITH(match_archive(archive, problem_of({"ct"}, {"block.0"}), "a.json"),
                    Contains("a.json: units: none is of the problem"));
}
