// The comparison as a process: instances in, three files and a table out, and a page about them.
#include <signal.h>

#include <nlohmann/json.hpp>

#include "catch.h"
#include "command.h"
#include "strata/optimizers/comparison_files.h"
#include "tidy_csv.h"
#include "wrong_input.h"

using namespace strata;
using namespace strata::optimizers;
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
  test::check_all_tidy(dir / "out", 2);

  // Everything but the seconds comes out the same again.
  const auto again = run_strata(with(kSmall, {"--out", "again", "--quiet"}), dir.path());
  REQUIRE(again.code == 0);
  CHECK(again.out.empty());
  for (const char* file : {"compare.csv", "summary.csv"})
    CHECK(without_seconds(dir / "out" / file) == without_seconds(dir / "again" / file));
}

TEST_CASE("an earlier comparison is never overwritten") {
  const test::TempDir dir;
  REQUIRE(run_strata(with(kSmall, {"--out", "out"}), dir.path()).code == 0);
  const std::string before = test::snapshot(dir.path());
  test::check_refused(with(kSmall, {"--out", "out"}), dir.path(),
                      {"out: the folder already holds a comparison; choose another --out"});
  // To resume what is over changes nothing and prints it.
  const auto resumed = run_strata(with(kSmall, {"--out", "out", "--resume"}), dir.path());
  CHECK(resumed.code == 0);
  CHECK_THAT(resumed.out, Catch::Contains("hypervolume ratio"));
  CHECK(test::snapshot(dir.path()) == before);
  auto others = kSmall;
  others[8] = "200";
  test::check_refused(with(others, {"--out", "out", "--resume"}), dir.path(),
                      {"out/compare.json: the folder holds another comparison, which is over"});
  test::check_refused(with(kSmall, {"--write-instances", "x", "--resume"}), dir.path(),
                      {"--resume is for --out"});
}

TEST_CASE("an interrupted comparison keeps its runs and goes on to the same bytes") {
  const test::TempDir dir;
  auto arguments = kSmall;
  arguments[8] = "2000,4000";
  REQUIRE(run_strata(with(arguments, {"--out", "whole"}), dir.path()).code == 0);
  const std::filesystem::path journal = dir / "out/compare.partial.jsonl";
  const auto lines = [&] {
    const std::string text = test::slurp(journal);
    return std::count(text.begin(), text.end(), '\n');
  };
  // Interrupted three times, once by a kill that cuts its last line off.
  long before = 0;
  for (const int signal : {SIGINT, SIGTERM, SIGKILL}) {
    const pid_t child = ::fork();
    if (child == 0) {
      if (::chdir(dir.path().c_str()) != 0) ::_exit(125);
      ::dup2(::open("err", O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
      ::dup2(::open("/dev/null", O_WRONLY), 1);
      const auto all = with(arguments, {"--out", "out", "--resume"});
      const std::string program = test::strata_program().string();
      std::vector<char*> argv{const_cast<char*>(program.c_str())};
      for (const auto& argument : all) argv.push_back(const_cast<char*>(argument.c_str()));
      argv.push_back(nullptr);
      ::execv(program.c_str(), argv.data());
      ::_exit(126);
    }
    int status = 0;
    bool ended = false;
    while (!ended && lines() < before + 4) {
      ended = ::waitpid(child, &status, WNOHANG) != 0;
      ::usleep(200);
    }
    REQUIRE_FALSE(ended);
    ::kill(child, signal);
    ::waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == signal);
    CHECK(lines() >= before + 4);
    before = lines();
    if (signal == SIGKILL) {
      std::ofstream(journal, std::ios::app) << "{\"run\": {\"instance\": \"3x";
    } else {
      CHECK_THAT(test::slurp(dir / "err"), Catch::Contains("strata: interrupted by SIG") &&
                                               Catch::Contains("; go on with: ") &&
                                               Catch::Contains(" --out out --resume\n"));
    }
    CHECK_FALSE(std::filesystem::exists(dir / "out/compare.json"));
  }
  CHECK(before < 48);
  // A refusal may remove what is left of the killed one's lock.
  std::filesystem::remove(dir / "out/.strata-lock");
  test::check_refused(with(arguments, {"--out", "out"}), dir.path(),
                      {"out: the folder holds a comparison that is not over; --resume goes on"});
  auto others = arguments;
  others[10] = "3";
  test::check_refused(with(others, {"--out", "out", "--resume"}), dir.path(),
                      {"compare.partial.jsonl: the comparison was begun with other seeds; choose"});
  // Seconds that no run takes show that those of the journal are not made again.
  std::string kept = test::slurp(journal);
  const std::string seconds = "\"seconds\":";
  std::size_t value = kept.find(seconds) + seconds.size();
  kept.replace(value, kept.find_first_of(",}", value) - value, "12345.5");
  std::ofstream(journal) << kept;
  const auto finished = run_strata(with(arguments, {"--out", "out", "--resume"}), dir.path());
  CHECK(finished.code == 0);
  CHECK_THAT(test::slurp(dir / "out/compare.csv"), Catch::Contains("12345.5"));
  CHECK_THAT(finished.err,
             Catch::Contains("resuming after " + std::to_string(before - 1) + " runs"));
  CHECK_FALSE(std::filesystem::exists(journal));
  for (const char* file : {"compare.csv", "summary.csv"})
    CHECK(without_seconds(dir / "out" / file) == without_seconds(dir / "whole" / file));
  // The curves, too.
  auto a = nlohmann::json::parse(test::slurp(dir / "whole/compare.json"));
  auto b = nlohmann::json::parse(test::slurp(dir / "out/compare.json"));
  CHECK(a["curves"] == b["curves"]);
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
