#include "report/benchmark_page.h"

#include "report/pages.h"

using namespace strata;
using namespace strata::fedrunner;
using namespace strata::report;
using namespace strata::test;

namespace {

BenchmarkResults eight_methods() {
  BenchmarkResults results{"Eight <methods>", "macro_f1", true,
                           {"vit", "resnet"}, {},         {1, 0.1, 0.01}};
  for (int m = 0; m < 8; ++m) results.methods.push_back("method-" + std::to_string(m));
  for (const std::string& backbone : results.backbones)
    for (int m = 0; m < 8; ++m)
      for (const double fraction : results.fractions) {
        if (backbone == "resnet" && m > 4) continue;
        BenchmarkCell cell{backbone, results.methods[m], fraction, "cells", "f", 10 << m, 0.5};
        for (std::uint64_t seed = 1; seed < 3; ++seed) {
          BenchmarkRun run;
          run.seed = seed;
          run.score = 0.5 + 0.03 * m + 0.02 * static_cast<double>(seed);
          cell.runs.push_back(run);
        }
        results.cells.push_back(cell);
      }
  return results;
}

/// Where the marks of a figure's first panel stand, from left to right, in pixels.
std::vector<double> columns_of_marks(const std::string& page, const std::string& id) {
  const std::string figure = figure_of(page, id);
  const std::regex mark("#" + id + "-1-gpPt[0-9]+' transform='translate\\(([0-9.]+),");
  std::set<double> found;
  for (std::sregex_iterator m(figure.begin(), figure.end(), mark), end; m != end; ++m)
    found.insert(std::stod((*m)[1]));
  return {found.begin(), found.end()};
}

}  // namespace

TEST_CASE("a benchmark's page has a row for every method, and a panel for every backbone") {
  auto results = eight_methods();
  results.cells.back().runs.clear();
  results.cells.back().failure = "the loss <left> every bound";
  const std::string page = benchmark_page(results);
  const auto rows = table(page, "table-benchmark");
  REQUIRE(rows.size() == 13);
  CHECK(rows[0] == std::vector<std::string>{"vit", "method-0", "53.0 ± 1.4", "53.0 ± 1.4",
                                            "53.0 ± 1.4", "53.0", "8.0", "10", "0.00"});
  CHECK(rows[7][6] == "1.0");
  CHECK(rows[12][4] == "–");
  CHECK(table(page, "table-rates")[0][2] == "0.5");
  CHECK(contains(page, "method-4 of resnet with 1 % has no result: the loss &lt;left&gt; every"));
  CHECK(contains(page, "Eight &lt;methods&gt;"));
  CHECK(contains(page, "The data is synthetic."));
  for (const std::string& id : {std::string("fig-fractions"), std::string("fig-parameters")}) {
    const std::string figure = figure_of(page, id);
    CHECK(count(figure, "<svg ") >= 2);
    CHECK(contains(figure, "method-7"));
  }
  for (const auto& id : ids(page)) CHECK(ids(page).count(id) == 1);
}

TEST_CASE("shares of the data and numbers of parameters stand on logarithmic axes") {
  const std::string page = benchmark_page(eight_methods());
  // 1, 10 and 100 %; parameters that double from method to method.
  for (const auto& [id, places] :
       {std::pair("fig-fractions", 3u), std::pair("fig-parameters", 8u)}) {
    CAPTURE(id);
    const std::vector<double> x = columns_of_marks(page, id);
    REQUIRE(x.size() == places);
    const double step = (x.back() - x.front()) / static_cast<double>(places - 1);
    CHECK(step > 30);
    for (std::size_t i = 1; i < x.size(); ++i) CHECK(x[i] - x[i - 1] == Approx(step).margin(0.1));
  }
}

TEST_CASE("methods that share a colour have marks of their own, and one fraction has no curve") {
  auto results = eight_methods();
  const std::string all = figure_of(benchmark_page(results), "fig-fractions");
  results.fractions = {1};
  const std::string page = benchmark_page(results);
  CHECK(count(page, "id=\"fig-fractions\"") == 0);
  CHECK(count(page, "id=\"fig-parameters\"") == 1);
  // The legend's entries, each with its mark.
  std::set<std::string> entries;
  const std::string legend = figure_of(page, "fig-parameters");
  const std::regex mark("<svg width=\"28\".*?</svg>");
  for (std::sregex_iterator m(legend.begin(), legend.end(), mark), end; m != end; ++m)
    entries.insert(m->str());
  CHECK(entries.size() == 8);
}

TEST_CASE("a folder with a benchmark gets its page") {
  const TempDir dir;
  write_benchmark(eight_methods(), dir / ".");
  const auto written = write_report(dir / ".");
  CHECK(written.page.filename() == "report.html");
  CHECK(contains(slurp(written.page), "table-benchmark"));
  CHECK(contains(written.summary, "method-3"));
}
