// The comparison as a process: instances in, three files and a table out, and a page about them.
#include <nlohmann/json.hpp>

#include "catch.h"
#include "command.h"
#include "strata/optimizers/compare.h"
#include "wrong_input.h"

using namespace strata;
using test::run_strata;

namespace {

const std::vector<std::string> kSmall = {"compare",
                                         "--instances",
                                         "3x8",
                                         "--algorithms",
                                         "nsga2,annealing,pagmo:nsga2",
                                         "--starts",
                                         "random,exact",
                                         "--evaluations",
                                         "200,400",
                                         "--seeds",
                                         "2",
                                         "--instance-seeds",
                                         "2",
                                         "--population",
                                         "8"};

std::vector<std::string> with(std::vector<std::string> arguments,
                              const std::vector<std::string>& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

/// A CSV without the columns whose names begin with "seconds".
std::string without_seconds(const std::filesystem::path& file) {
  std::istringstream in(test::slurp(file));
  std::vector<bool> keep;
  std::string text;
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    std::size_t column = 0;
    for (std::string field; std::getline(fields, field, ','); ++column) {
      if (text.find('\n') == std::string::npos) keep.push_back(field.rfind("seconds", 0) != 0);
      if (keep[column]) text += field + ",";
    }
    text += "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("strata compare writes its three files and prints the summary") {
  const test::TempDir dir;
  const auto outcome = run_strata(with(kSmall, {"--out", "out"}), dir.path());
  CAPTURE(outcome.err);
  REQUIRE(outcome.code == 0);
  CHECK(outcome.err.empty());
  for (const char* part : {"3x8", "pagmo:nsga2", "exact", "hypervolume ratio", "best"})
    CHECK_THAT(outcome.out, Catch::Contains(part));
  const Comparison comparison = read_comparison(dir / "out");
  CHECK(comparison.runs.size() == 2u * 3 * 2 * 2 * 2);
  for (const auto& [key, value] : comparison.provenance) {
    if (key == "command") CHECK_THAT(value, Catch::StartsWith("strata compare --instances 3x8"));
  }
  CHECK(std::filesystem::exists(dir / "out" / "compare.csv"));
  CHECK(std::filesystem::exists(dir / "out" / "summary.csv"));

  // Its own folder may be written again; everything but the seconds comes out the same.
  const std::string first = without_seconds(dir / "out" / "compare.csv");
  const std::string summary = without_seconds(dir / "out" / "summary.csv");
  const auto again = run_strata(with(kSmall, {"--out", "out", "--quiet"}), dir.path());
  REQUIRE(again.code == 0);
  CHECK(again.out.empty());
  CHECK(without_seconds(dir / "out" / "compare.csv") == first);
  CHECK(without_seconds(dir / "out" / "summary.csv") == summary);
}

TEST_CASE("written instances give the runs that generated ones give") {
  const test::TempDir dir;
  REQUIRE(run_strata(with(kSmall, {"--write-instances", "instances"}), dir.path()).code == 0);
  CHECK_FALSE(std::filesystem::exists(dir / "out"));
  CHECK(std::filesystem::exists(dir / "instances" / "3x8-2.budgets.csv"));
  REQUIRE(run_strata(with(kSmall, {"--out", "generated"}), dir.path()).code == 0);
  auto from_files = kSmall;
  from_files[2] = "instances";
  REQUIRE(run_strata(with(from_files, {"--out", "read"}), dir.path()).code == 0);
  CHECK(without_seconds(dir / "read" / "compare.csv") ==
        without_seconds(dir / "generated" / "compare.csv"));
}

TEST_CASE("strata compare --json prints one object") {
  const test::TempDir dir;
  const auto outcome = run_strata(with(kSmall, {"--out", "out", "--json"}), dir.path());
  REQUIRE(outcome.code == 0);
  const auto json = nlohmann::json::parse(outcome.out);
  CHECK(json["version"] == 1);
  CHECK(json["runs"] == 48);
  CHECK(json["summary"].size() == 12);
  const auto report = run_strata({"report", "out", "--json"}, dir.path());
  CHECK(nlohmann::json::parse(report.out) ==
        nlohmann::json{{"version", 1}, {"report", "out/report.html"}});
  const auto written =
      run_strata(with(kSmall, {"--write-instances", "instances", "--json"}), dir.path());
  const auto instances = nlohmann::json::parse(written.out);
  CHECK(instances["version"] == 1);
  REQUIRE(instances["instances"].size() == 2);
  CHECK(instances["instances"][1] ==
        nlohmann::json{{"name", "3x8"}, {"seed", 2}, {"clients", 3}, {"units", 8}});
}

TEST_CASE("strata report makes a page about a comparison") {
  const test::TempDir dir;
  REQUIRE(run_strata(with(kSmall, {"--out", "out"}), dir.path()).code == 0);
  const auto outcome = run_strata({"report", "out"}, dir.path());
  CAPTURE(outcome.err);
  REQUIRE(outcome.code == 0);
  CHECK_THAT(outcome.out, Catch::Contains("out/report.html") && Catch::Contains("annealing"));
  const std::string page = test::slurp(dir / "out" / "report.html");
  for (const char* part :
       {"id=\"fig-convergence-random\"", "id=\"fig-convergence-exact\"", "id=\"table-summary\"",
        "id=\"table-targets\"", "id=\"table-provenance\"", "pagmo:nsga2", "stroke-dasharray"})
    CHECK_THAT(page, Catch::Contains(part));

  // Another program's runs of the same instances and seeds join the summary.
  std::string peers = test::slurp(dir / "out" / "compare.csv");
  for (auto at = peers.find(",annealing,"); at != std::string::npos; at = peers.find(",annealing,"))
    peers.replace(at, 11, ",pymoo:nsga2,");
  dir.write("out/peers.csv", peers.substr(0, peers.find('\n') + 1));
  std::istringstream lines(peers);
  for (std::string line; std::getline(lines, line);) {
    if (line.find("pymoo") != std::string::npos)
      std::ofstream(dir / "out" / "peers.csv", std::ios::app) << line << "\n";
  }
  const auto joined = run_strata({"report", "out"}, dir.path());
  REQUIRE(joined.code == 0);
  CHECK_THAT(joined.out, Catch::Contains("pymoo:nsga2"));
  CHECK_THAT(test::slurp(dir / "out" / "report.html"), Catch::Contains("pymoo:nsga2"));

  // A run that stands twice makes no pair.
  const std::string text = test::slurp(dir / "out" / "peers.csv");
  dir.write("out/peers.csv", text + text.substr(text.rfind('\n', text.size() - 2) + 1));
  test::check_refused({"report", "out"}, dir.path(), {"out/peers.csv: "});

  dir.write("broken/compare.json", R"({"version": 1, "runs": [)");
  test::check_refused({"report", "broken"}, dir.path(), {"compare.json"});
}

TEST_CASE("wrong arguments of strata compare are refused in one line") {
  const test::TempDir dir;
  dir.write("taken/notes.txt", "mine");
  dir.write("ward.csv", "client,a,b\nct,1,2\nmr,2,1\n");
  dir.write("empty/readme.txt", "no scores");
  const auto compare = [](const std::vector<std::string>& more) { return with({"compare"}, more); };
  const auto refused = [&](const std::vector<std::string>& more,
                           const std::vector<std::string>& parts) {
    test::check_refused(compare(more), dir.path(), parts);
  };
  refused({"--out", "out"}, {"--instances", "required"});
  refused({"--instances", "3x8"}, {"--out", "--write-instances"});
  refused({"--instances", "3by8", "--out", "out"}, {"\"3by8\"", "9x24"});
  refused({"--instances", "3x7", "--out", "out"}, {"3x7", "8 units"});
  refused({"--instances", "3x8,3x8", "--out", "out"}, {"3x8-1", "stands twice"});
  refused({"--instances", "1x8", "--out", "out"}, {"1x8", "no area"});
  refused({"--instances", "empty", "--out", "out"}, {"empty", "no scores"});
  refused({"--instances", "ward.csv", "--out", "out"}, {"ward.budgets.csv", "--budget"});
  refused({"--instances", "ward.csv", "--budget", "3", "--out", "out"}, {"ct", "0 to 2"});
  refused({"--instances", "absent.csv", "--budget", "3", "--out", "out"}, {"absent.csv"});
  refused({"--instances", "3x8", "--algorithms", "anealing", "--out", "out"},
          {"did you mean \"annealing\"?"});
  refused({"--instances", "3x8", "--algorithms", "nsga2,nsga2", "--out", "out"},
          {"\"nsga2\" stands twice"});
  refused({"--instances", "3x8", "--starts", "gredy", "--out", "out"}, {"\"greedy\""});
  refused({"--instances", "3x8", "--evaluations", "0", "--out", "out"}, {"--evaluations"});
  refused({"--instances", "3x8", "--evaluations", "many", "--out", "out"}, {"--evaluations"});
  refused({"--instances", "3x8", "--seeds", "0", "--out", "out"}, {"--seeds"});
  refused({"--instances", "3x8", "--population", "10", "--out", "out"}, {"population", "10"});
  refused({"--instances", "3x8", "--out", "taken"}, {"taken", "notes.txt"});
  refused({"--instances", "3x8", "--out", "ward.csv"}, {"ward.csv", "is a file"});
  refused({"--instances", "3x8", "--algorithm", "nsga2", "--out", "out"}, {"--algorithms"});
}
