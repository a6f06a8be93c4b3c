#include "strata/optimizers/compare.h"

#include <cmath>

#include "catch.h"
#include "comparisons.h"
#include "strata/core/error.h"
#include "strata/optimizers/exact_front.h"
#include "strata/optimizers/hypervolume.h"
#include "strata/optimizers/search.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::optimizers;
using test::check_same;
using test::small;
using test::TempDir;

namespace {

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
