#include "strata/optimizers/compare.h"

#include <cmath>

#include "catch.h"
#include "strata/core/error.h"
#include "strata/optimizers/exact_front.h"
#include "strata/optimizers/hypervolume.h"
#include "strata/optimizers/search.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::optimizers;
using test::TempDir;

namespace {

Comparison small() {
  ComparisonOptions options;
  options.algorithms = {"nsga2", "annealing", "pagmo:nsga2"};
  options.starts = {"random", "exact"};
  options.evaluations = {200, 1000};
  options.seeds = 2;
  options.population = 20;
  return compare(load_instances({"3x8", "4x12"}, 2, ""), options);
}

/// Everything but the seconds.
void check_same(const std::vector<ComparisonRun>& a, const std::vector<ComparisonRun>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i].instance == b[i].instance);
    CHECK(a[i].instance_seed == b[i].instance_seed);
    CHECK(a[i].algorithm == b[i].algorithm);
    CHECK(a[i].start == b[i].start);
    CHECK(a[i].evaluations == b[i].evaluations);
    CHECK(a[i].seed == b[i].seed);
    CHECK(a[i].hypervolume_ratio == b[i].hypervolume_ratio);
    CHECK(a[i].igd_plus == b[i].igd_plus);
    CHECK(a[i].spread == b[i].spread);
    CHECK(a[i].points == b[i].points);
    for (std::size_t t = 0; t < a[i].reached.size(); ++t)
      CHECK(a[i].reached[t].evaluations == b[i].reached[t].evaluations);
  }
}

ComparisonRun run_of(const std::string& algorithm, std::uint64_t seed, double ratio) {
  ComparisonRun run;
  run.instance = "made";
  run.algorithm = algorithm;
  run.start = "random";
  run.evaluations = 100;
  run.seed = seed;
  run.hypervolume_ratio = ratio;
  run.points = 1;
  return run;
}

}  // namespace

TEST_CASE("a comparison has every run once, and depends on nothing but its arguments") {
  const Comparison comparison = small();
  // Instances × algorithms × starts × budgets × seeds.
  CHECK(comparison.runs.size() == 4u * 3 * 2 * 2 * 2);
  CHECK(comparison.curves.size() == 2u * 3 * 2 * 2);
  check_same(comparison.runs, small().runs);

  for (const ComparisonRun& run : comparison.runs) {
    CAPTURE(run.instance, run.algorithm, run.start, run.evaluations, run.seed);
    CHECK(run.hypervolume_ratio >= 0);
    CHECK(run.points >= 1);
    for (const auto& reached : run.reached) {
      if (std::isfinite(reached.evaluations)) {
        CHECK(reached.evaluations >= 1);
        CHECK(reached.evaluations <= static_cast<double>(run.evaluations));
        CHECK(reached.seconds <= run.seconds);
      }
    }
    CHECK(std::isfinite(run.reached[0].evaluations) == (run.hypervolume_ratio >= 0.99));
    // Who starts with the exact front ends with it.
    if (run.start == "exact") {
      CHECK(run.hypervolume_ratio >= 1 - 1e-12);
      CHECK(run.igd_plus < 1e-9);
    }
  }
  for (const ComparisonCurve& curve : comparison.curves) {
    CHECK(curve.evaluations.back() == curve.group.evaluations);
    CHECK(curve.median.size() == curve.evaluations.size());
    for (std::size_t i = 0; i < curve.evaluations.size(); ++i) {
      CHECK(curve.lower[i] <= curve.median[i]);
      CHECK(curve.median[i] <= curve.upper[i]);
      if (i > 0) CHECK(curve.evaluations[i] > curve.evaluations[i - 1]);
      // An archive never loses hypervolume, but for rounding.
      if (i > 0) CHECK(curve.median[i] >= curve.median[i - 1] - 1e-9);
    }
  }
}

TEST_CASE("runs of an interrupted comparison are taken as they are and not made again") {
  ComparisonOptions options;
  options.algorithms = {"nsga2", "annealing"};
  options.evaluations = {200};
  options.seeds = 2;
  options.population = 8;
  const auto instances = load_instances({"3x8"}, 2, "");
  std::vector<FinishedRun> made;
  options.after_run = [&](const FinishedRun& run) { made.push_back(run); };
  const Comparison whole = compare(instances, options);
  REQUIRE(made.size() == 8);
  for (std::size_t i = 0; i < made.size(); ++i) {
    CHECK(made[i].run.hypervolume_ratio == whole.runs[i].hypervolume_ratio);
    CHECK(made[i].curve.size() == whole.curves.front().evaluations.size());
  }

  // Any of them, in any order, and two that the comparison does not have.
  std::vector<FinishedRun> earlier = {made[6], made[1], made[3], made[0], made[2]};
  earlier[4].run.seed = 3;
  earlier.push_back(made[4]);
  earlier[5].run.instance_seed = 7;
  // Recognised by what no search would find.
  for (FinishedRun& run : earlier) run.run.igd_plus = 5;
  made.clear();
  options.begin = [&] { return earlier; };
  const Comparison resumed = compare(instances, options);
  CHECK(made.size() == 4);
  REQUIRE(resumed.runs.size() == 8);
  for (std::size_t i = 0; i < 8; ++i) {
    const bool was_there = i == 6 || i == 1 || i == 3 || i == 0;
    CHECK((resumed.runs[i].igd_plus == 5) == was_there);
    CHECK(resumed.runs[i].seed == whole.runs[i].seed);
    CHECK(resumed.runs[i].instance_seed == whole.runs[i].instance_seed);
    CHECK(resumed.runs[i].algorithm == whole.runs[i].algorithm);
  }
  REQUIRE(resumed.curves.size() == whole.curves.size());
  for (std::size_t i = 0; i < whole.curves.size(); ++i)
    CHECK(resumed.curves[i].median == whole.curves[i].median);
}

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

TEST_CASE("a run is the search itself, measured against the exact front") {
  const auto instances = load_instances({"4x12"}, 1, "");
  ComparisonOptions options;
  options.algorithms = {"annealing"};
  options.starts = {"greedy"};
  options.evaluations = {500};
  options.seeds = 1;
  const Comparison comparison = compare(instances, options);
  REQUIRE(comparison.runs.size() == 1);

  const SearchResult result = search(instances[0].problem, "annealing", {.evaluations = 500});
  std::vector<Objectives> front, exact;
  for (const auto& point : result.front) front.push_back(point.objectives);
  for (const auto& point : exact_front(instances[0].problem).points)
    exact.push_back(point.objectives);
  CHECK(comparison.runs[0].points == static_cast<std::int64_t>(front.size()));
  CHECK(comparison.runs[0].hypervolume_ratio == hypervolume_ratio(front, exact));
  CHECK(comparison.curves[0].median.back() ==
        Approx(comparison.runs[0].hypervolume_ratio).epsilon(1e-9));
}

TEST_CASE("a curve has at every place what the search had after so many evaluations") {
  ComparisonOptions options;
  options.algorithms = {"nsga2"};
  options.evaluations = {400};
  options.seeds = 1;
  options.population = 20;
  int at_its_place = 0;
  for (const Instance& instance : load_instances({"4x12"}, 5, "")) {
    const ComparisonCurve curve = compare({instance}, options).curves.at(0);
    std::vector<Objectives> exact;
    for (const FrontPoint& point : exact_front(instance.problem).points)
      exact.push_back(point.objectives);
    const Objectives reference{exact.front().importance, exact.back().usage_variance};
    const double area = hypervolume(exact, reference);
    const SearchOptions from_random{.start = "random", .evaluations = 400, .population = 20};
    const std::vector<SearchLogLine> log =
        search(instance.problem, "nsga2", from_random, reference).log;
    REQUIRE(curve.evaluations.size() > 10);
    for (std::size_t i = 0; i < curve.evaluations.size(); ++i) {
      CAPTURE(instance.seed, curve.evaluations[i]);
      double ratio = 0;
      for (const SearchLogLine& line : log) {
        if (line.evaluations > curve.evaluations[i]) break;
        at_its_place += line.evaluations == curve.evaluations[i] && line.hypervolume / area > ratio;
        ratio = line.hypervolume / area;
      }
      CHECK(curve.median[i] == ratio);
    }
  }
  CHECK(at_its_place > 0);  // a line at its place that says more than the one before
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

TEST_CASE("the summary names the best and tests the others against it") {
  std::vector<ComparisonRun> runs;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    const double noise = 0.001 * static_cast<double>(seed);
    runs.push_back(run_of("worse", seed, 0.5 + noise));
    runs.push_back(run_of("best", seed, 0.9 - noise));
    runs.push_back(run_of("same", seed, 0.9 - noise));
  }
  const auto summaries = summarise(runs);
  REQUIRE(summaries.size() == 3);
  CHECK(summaries[0].group.algorithm == "worse");
  CHECK_FALSE(summaries[0].best);
  CHECK(summaries[1].best);
  CHECK(std::isnan(summaries[1].p));
  // Eight differences of one sign: p = 2 / 2⁸, times 2 by Holm.
  CHECK(summaries[0].p == Approx(4.0 / 256));
  CHECK(summaries[2].p == 1);
  CHECK(summaries[0].runs == 8);
  CHECK(summaries[0].hypervolume_ratio.median == Approx(0.5045));
  CHECK(summaries[0].reached[0].runs == 0);
  CHECK(std::isinf(summaries[0].reached[0].evaluations.median));

  // Rivals stand side by side, also where their runs do not.
  runs.push_back(run_of("worse", 1, 0.1));
  runs.back().evaluations = 200;
  runs.push_back(run_of("late", 1, 0.2));
  for (std::uint64_t seed = 2; seed <= 8; ++seed) runs.push_back(run_of("late", seed, 0.2));
  const auto more = summarise(runs);
  REQUIRE(more.size() == 5);
  CHECK(more[3].group.algorithm == "late");
  CHECK(more[4].group.evaluations == 200);
  CHECK(more[4].best);

  runs.pop_back();
  CHECK_THROWS_WITH(summarise(runs), Catch::Contains("seed 8"));
}

TEST_CASE("the best is who has the greatest median, whatever the mean") {
  std::vector<ComparisonRun> runs;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    runs.push_back(run_of("steady", seed, 0.8));
    runs.push_back(run_of("mostly better", seed, seed <= 3 ? 0.9 : 0.1));
  }
  const auto summaries = summarise(runs);
  REQUIRE(summaries.size() == 2);
  CHECK_FALSE(summaries[0].best);
  CHECK(summaries[1].best);
  CHECK(std::isnan(summaries[1].p));
  CHECK_FALSE(std::isnan(summaries[0].p));
}

TEST_CASE("bad comparisons are refused before the first run") {
  const auto instances = load_instances({"3x8"}, 1, "");
  const auto refused = [&](auto change) {
    ComparisonOptions options;
    options.algorithms = {"nsga2"};
    options.progress = [](std::int64_t, std::int64_t, const std::string&) {
      FAIL("a run was begun");
    };
    change(options);
    try {
      compare(instances, options);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  using Options = ComparisonOptions;
  CHECK_THAT(refused([](Options& o) { o.algorithms = {"nsga3"}; }),
             Catch::Contains("did you mean \"nsga2\"?"));
  CHECK_THAT(refused([](Options& o) { o.algorithms = {}; }), Catch::Contains("algorithms"));
  CHECK_THAT(refused([](Options& o) {
               o.algorithms = {"aco", "aco"};
             }),
             Catch::Contains("\"aco\" stands twice"));
  CHECK_THAT(refused([](Options& o) { o.starts = {"gredy"}; }), Catch::Contains("\"greedy\""));
  CHECK_THAT(refused([](Options& o) { o.evaluations = {0}; }), Catch::Contains("found 0"));
  CHECK_THAT(refused([](Options& o) {
               o.evaluations = {9, 9};
             }),
             Catch::Contains("9 stands twice"));
  CHECK_THAT(refused([](Options& o) { o.seeds = 0; }), Catch::Contains("seeds"));
  // One client has one assignment of each importance: no front to compare on.
  ComparisonOptions options;
  options.algorithms = {"nsga2"};
  CHECK_THROWS_WITH(compare(load_instances({"1x8"}, 1, ""), options),
                    Catch::Contains("1x8") && Catch::Contains("no area"));
  CHECK_THROWS_AS(compare({}, options), InputError);
}
