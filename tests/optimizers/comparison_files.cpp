#include "strata/optimizers/comparison_files.h"

#include "catch.h"
#include "comparisons.h"
#include "strata/core/error.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::optimizers;
using test::check_same;
using test::small;
using test::TempDir;

TEST_CASE("a journal keeps every bit, drops half a line and refuses other settings") {
  const TempDir dir;
  ComparisonOptions options;
  options.algorithms = {"nsga2"};
  options.evaluations = {300};
  options.seeds = 3;
  options.population = 8;
  const auto instances = load_instances({"3x8"}, 1, "");
  const std::string settings = comparison_settings(instances, options);
  ComparisonJournal journal(dir.path(), settings);
  options.after_run = [&](const FinishedRun& run) { journal.add(run); };
  const Comparison whole = compare(instances, options);
  CHECK(holds_unfinished_comparison(dir.path()));
  const auto file = dir / "compare.partial.jsonl";
  const auto same = [](const FinishedRun& a, const FinishedRun& b) {
    CHECK(a.curve == b.curve);
    CHECK(a.run.seconds == b.run.seconds);
    check_same({a.run}, {b.run});
  };
  const ComparisonJournal again(dir.path(), settings);
  CHECK(again.provenance() == journal.provenance());
  REQUIRE(again.finished().size() == 3);
  for (std::size_t i = 0; i < 3; ++i) same(again.finished()[i], journal.finished()[i]);

  const std::string text = test::slurp(file);
  dir.write("compare.partial.jsonl", text.substr(0, text.size() - 20));
  CHECK(ComparisonJournal(dir.path(), settings).finished().size() == 2);
  const std::string kept = test::slurp(file);
  CHECK(kept.back() == '\n');
  CHECK(text.rfind(kept, 0) == 0);

  const auto refusal = [&](const std::vector<Instance>& others, ComparisonOptions changed) {
    try {
      ComparisonJournal(dir.path(), comparison_settings(others, changed));
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(refusal(instances, options).empty());
  ComparisonOptions more = options;
  more.seeds = 4;
  CHECK_THAT(refusal(instances, more), Catch::Contains("begun with other seeds; choose another"));
  more = options;
  more.population = 12;
  CHECK_THAT(refusal(instances, more), Catch::Contains("other population"));
  auto others = instances;
  others[0].problem.importance(0, 0) *= 1.0000001;
  CHECK_THAT(refusal(others, options), Catch::Contains("other instances"));
  dir.write("compare.partial.jsonl", kept + "{}\n");
  CHECK_THAT(refusal(instances, options), Catch::Contains("compare.partial.jsonl:4"));
  journal.remove();
  CHECK_FALSE(holds_unfinished_comparison(dir.path()));
}

TEST_CASE("a comparison is read back as it was written") {
  const TempDir dir;
  const Comparison comparison = small();
  write_comparison(comparison, dir / "out");
  const Comparison read = read_comparison(dir / "out");
  check_same(comparison.runs, read.runs);
  CHECK(read.provenance == comparison.provenance);
  CHECK(read.population == 20);
  REQUIRE(read.curves.size() == comparison.curves.size());
  for (std::size_t c = 0; c < read.curves.size(); ++c) {
    CHECK(read.curves[c].group == comparison.curves[c].group);
    CHECK(read.curves[c].evaluations == comparison.curves[c].evaluations);
    CHECK(read.curves[c].median.back() == Approx(comparison.curves[c].median.back()).margin(1e-6));
  }
  const std::string csv = test::slurp(dir / "out" / "compare.csv");
  CHECK(csv.rfind("instance,instance_seed,algorithm,start,evaluations,seed,hypervolume_ratio,"
                  "igd_plus,spread,points,seconds,evaluations_to_0.99,seconds_to_0.99,"
                  "evaluations_to_0.999,seconds_to_0.999\n3x8,1,nsga2,random,200,1,",
                  0) == 0);
  CHECK(static_cast<std::size_t>(std::count(csv.begin(), csv.end(), '\n')) ==
        comparison.runs.size() + 1);
  const std::string summary = test::slurp(dir / "out" / "summary.csv");
  CHECK(std::count(summary.begin(), summary.end(), '\n') == 2 * 3 * 2 * 2 + 1);
  check_same(read_runs_csv(dir / "out" / "compare.csv"), comparison.runs);
  // What the writer made may go on, anything else may not.
  check_comparison_folder(dir / "out", true);
  CHECK_THROWS_WITH(check_comparison_folder(dir / "out", false),
                    Catch::Contains("already holds a comparison"));
  check_comparison_folder(dir / "new", false);
  dir.write("mine/notes.txt", "mine");
  CHECK_THROWS_WITH(check_comparison_folder(dir / "mine", true), Catch::Contains("notes.txt"));
  CHECK_THROWS_WITH(check_comparison_folder(dir / "mine" / "notes.txt", true),
                    Catch::Contains("is a file"));
}

TEST_CASE("a damaged compare.json is refused with its key") {
  const TempDir dir;
  write_comparison(small(), dir.path());
  const std::string whole = test::slurp(dir / "compare.json");
  const auto broken = [&](const std::string& from, const std::string& to) {
    std::string text = whole;
    const auto at = text.find(from);
    REQUIRE(at != std::string::npos);
    dir.write("compare.json", text.replace(at, from.size(), to));
    try {
      read_comparison(dir.path());
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  CHECK_THAT(broken("\"version\": 1", "\"version\": 2"), Catch::Contains("version"));
  CHECK_THAT(broken("\"igd_plus\"", "\"igd\""), Catch::Contains("igd"));
  CHECK_THAT(broken("\"median\":[", "\"median\":[1,"), Catch::Contains("median"));
  CHECK_THAT(broken("\"seed\":1", "\"seed\":-1"), Catch::Contains("seed"));
  CHECK_THAT(broken("\"start\":\"random\"", "\"start\":3"), Catch::Contains("start"));
  dir.write("compare.json", whole.substr(0, whole.size() / 2));
  CHECK_THROWS_AS(read_comparison(dir.path()), InputError);
}

TEST_CASE("a damaged table of runs is refused with its line and column") {
  const TempDir dir;
  const std::string header =
      "instance,instance_seed,algorithm,start,evaluations,seed,hypervolume_ratio,igd_plus,spread,"
      "points,seconds,evaluations_to_0.99,seconds_to_0.99,evaluations_to_0.999,seconds_to_0.999\n";
  const auto refused = [&](const std::string& text, const std::string& part) {
    CHECK_THROWS_WITH(read_runs_csv(dir.write("peers.csv", text)), Catch::Contains(part));
  };
  dir.write("peers.csv", header + "9x24,1,pymoo:nsga2,random,100,2,0.5,0.1,0.7,3,0.25,,,,\n");
  const auto runs = read_runs_csv(dir / "peers.csv");
  REQUIRE(runs.size() == 1);
  CHECK(runs[0].algorithm == "pymoo:nsga2");
  CHECK(std::isinf(runs[0].reached[1].seconds));
  refused("instance,seed\n", "peers.csv:1: the header must be instance,instance_seed");
  refused(header + "9x24,1,a,random,0,2,0.5,0.1,0.7,3,0.25,,,,\n", "peers.csv:2: evaluations");
  refused(header + "9x24,1,a,random,9,2,nan,0.1,0.7,3,0.25,,,,\n", "hypervolume_ratio");
  refused(header + "9x24,1,a,random,9,2,0.5,0.1,0.7,3,0.25,soon,,,\n", "\"soon\"");
  refused(header + "9x24,1,a\n", "3 fields");
}
