#include "report/comparison.h"

#include "catch.h"
#include "core/console.h"
#include "pages.h"
#include "strata/optimizers/comparison_files.h"
#include "strata/optimizers/statistics.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::report;
using namespace strata::test;

TEST_CASE("a comparison is named by what was compared, on an axis on which 0.95 and 1.01 differ") {
  const TempDir folder;
  ComparisonOptions options;
  options.algorithms = {"annealing", "nsga2"};
  options.starts = {"greedy", "random"};
  options.evaluations = {2000};
  options.seeds = 2;
  const Comparison comparison = compare(load_instances({"9x24"}, 2, ""), options);
  write_comparison(comparison, folder / "my-folder");
  const std::string page = slurp(write_report(folder / "my-folder").page);
  CHECK(contains(page, "<h1>annealing and nsga2 on 9x24</h1>"));
  CHECK(contains(page, "<title>annealing and nsga2 on 9x24 – Strata comparison</title>"));
  CHECK(contains(page, "16 runs in the folder my-folder"));

  const std::string figure = figure_of(page, "fig-convergence-greedy");
  const std::string random = figure_of(page, "fig-convergence-random");
  const std::string panel = random.substr(0, random.find("</svg>", random.find("role=\"img\"")));
  const auto height_of = [&](const std::string& tic) {
    const std::regex text(
        "translate\\([0-9.]+,([0-9.]+)\\)\"[^>]*text-anchor=\"end\">\\s*<text> ?" + tic +
        "</text>");
    std::smatch found;
    REQUIRE(std::regex_search(panel, found, text));
    return std::stod(found[1]);
  };
  // Of 240 pixels; linear from 0 to 1.01 it would be 12.
  CHECK(height_of("0\\.95") - height_of("1") > 40);
  // Random starts have no area at first: nothing is drawn there.
  std::int64_t first = 2000;
  for (const ComparisonCurve& curve : comparison.curves) {
    for (std::size_t i = 0; i < curve.upper.size(); ++i) {
      if (curve.group.start == "random" && curve.upper[i] > 0)
        first = std::min(first, curve.evaluations[i]);
    }
  }
  REQUIRE(first > 10);
  CHECK_FALSE(contains(random, "<text> 10</text>"));
  CHECK(contains(figure, "<text> 10</text>"));
  // Every convergence panel has its box plots beside it.
  CHECK(count(random, "role=\"img\"") == 2);
}

TEST_CASE("a comparison ranks over instances, each counted once, with an effect size") {
  const TempDir folder;
  ComparisonOptions options;
  options.algorithms = {"annealing", "nsga2", "abc"};
  options.evaluations = {1000};
  options.seeds = 3;
  const Comparison comparison = compare(load_instances({"9x24"}, 4, ""), options);
  write_comparison(comparison, folder.path());
  const auto rows = table(slurp(write_report(folder.path()).page), "table-ranks");
  REQUIRE(rows.size() == 3);
  std::vector<std::vector<double>> medians;
  std::vector<std::vector<std::vector<double>>> ratios(4, std::vector<std::vector<double>>(3));
  for (const ComparisonRun& run : comparison.runs) {
    const auto a = std::find(options.algorithms.begin(), options.algorithms.end(), run.algorithm);
    ratios[run.instance_seed - 1][static_cast<std::size_t>(a - options.algorithms.begin())]
        .push_back(run.hypervolume_ratio);
  }
  for (const auto& instance : ratios) {
    medians.emplace_back();
    for (const auto& seeds : instance) medians.back().push_back(quartiles(seeds).median);
  }
  const FriedmanTest test = friedman(medians);
  std::size_t best = 0;
  for (std::size_t a = 0; a < 3; ++a) {
    CHECK(rows[a][2] == options.algorithms[a]);
    CHECK(rows[a][3] == fixed(test.mean_ranks[a], 2));
    CHECK(rows[a][6] == "4");
    CHECK(rows[a][7] == fixed(test.p, 4));
    if (rows[a][4] == "best") best = a;
  }
  const std::size_t other = best == 0 ? 1 : 0;
  double effect = 0;
  for (const auto& instance : ratios) effect += vargha_delaney(instance[best], instance[other]) / 4;
  CHECK(rows[other][5] == fixed(effect, 2));
}
