#include "report/figures.h"

#include "catch.h"
#include "pages.h"
#include "report/gnuplot.h"

using namespace strata;
using namespace strata::report;
using namespace strata::test;

TEST_CASE("tics are round numbers") {
  CHECK(round_up(0.342168) == Approx(0.5));
  CHECK(round_up(0.2) == Approx(0.2));
  CHECK(round_up(0.21) == Approx(0.25));
  CHECK(round_up(9) == Approx(10));
  const TempDir folder;
  test::write_synthetic_run(small(), folder.path());
  const std::string page = slurp(write_report(folder.path()).page);
  const std::string scores = figure_of(page, "fig-scores");
  // Of the colour bar: numbers that are no cell's, which have two decimals.
  const std::regex number("<text> ?([0-9.]+)</text>");
  std::size_t tics = 0;
  for (std::sregex_iterator n(scores.begin(), scores.end(), number), end; n != end; ++n) {
    ++tics;
    CHECK((*n)[1].length() <= 4);
  }
  CHECK(tics > 0);
}

TEST_CASE("figures take their greys from the page, which has a light and a dark set of them") {
  const TempDir folder;
  test::write_synthetic_experiment(folder.path(), 2, 1, small());
  const std::string page = slurp(write_report(folder.path()).page);
  CHECK_FALSE(contains(page, "rgb("));
  const std::size_t style = page.find("</style>");
  for (const std::string colour :
       {"#1f2328", "#57606a", "#8c959f", "#e4e8ec", "#ffffff", "#e9ecef"}) {
    INFO(colour);
    CHECK_FALSE(contains(page.substr(style), colour));
  }
  const std::string dark = "@media screen and (prefers-color-scheme: dark) { :root { ";
  REQUIRE(contains(page, dark));
  const std::string set = page.substr(page.find(dark), 400);
  const std::regex variable("var\\((--[a-z]+)\\)");
  std::size_t used = 0;
  for (std::sregex_iterator v(page.begin(), page.end(), variable), end; v != end; ++v, ++used)
    REQUIRE(contains(set, (*v)[1].str() + ":#"));
  CHECK(used > 100);
}

TEST_CASE("figures keep to their palettes and skip what is not a number") {
  CHECK(viridis(0) == "#440154");
  CHECK(viridis(1) == "#fde725");
  CHECK(viridis(-3) == viridis(0));
  CHECK(series_colour(7) == series_colour(0));
  CHECK(shortened("Größe", 5) == "Größe");
  CHECK(shortened("Größen", 5) == "Größ…");

  Heatmap map;
  map.rows = {"r0", "r1"};
  map.columns = {"c0", "c1"};
  map.values.resize(2, 2);
  map.values << 0, 1, std::nan(""), 0.5;
  map.colour_bar = false;
  map.zero_colour = "#010203";
  const std::string svg = draw(map);
  CHECK(contains(svg, "rgb(  1,   2,   3)"));
  CHECK(contains(svg, "rgb(253, 231,  37)"));
  const std::regex cell("<polygon");
  CHECK(std::distance(std::sregex_iterator(svg.begin(), svg.end(), cell), std::sregex_iterator()) ==
        3);
  CHECK(contains(svg, "width=\"" + std::to_string(2 * 30 + heatmap_margins(map)) + "\""));
}
TEST_CASE("equal lines show by their dashes, and by marks at different points") {
  LineChart chart;
  for (std::size_t i = 0; i < 3; ++i) {
    LineSeries series;
    series.colour = series_colour(i);
    series.dashes = series_dashes(i);
    series.mark = series_mark(i);
    series.x = {0, 1, 2, 3, 4, 5};
    series.y = {1, 3, 2, 5, 4, 6};
    chart.series.push_back(series);
  }
  const std::string svg = inline_svg(draw(chart), "x-", "three equal lines");
  std::set<std::string> places, dashes;
  for (std::size_t i = 0; i < 3; ++i) {
    const std::regex mark(
        "<use href='#x-gpPt[0-9]+' transform='translate\\(([0-9.]+),[^']*' color='" +
        series_colour(i) + "'");
    std::size_t marks = 0;
    for (std::sregex_iterator m(svg.begin(), svg.end(), mark), end; m != end; ++m, ++marks)
      CHECK(places.insert((*m)[1]).second);
    CHECK(marks == 2);
    const std::regex line("<path stroke='" + series_colour(i) + "'( stroke-dasharray='[^']*')?");
    std::smatch found;
    REQUIRE(std::regex_search(svg, found, line));
    CHECK(dashes.insert(found[1]).second);
  }
  std::set<Mark> shapes;
  for (std::size_t i = 0; i < 7; ++i) {
    shapes.insert(series_mark(i));
    dashes.insert(series_dashes(i));
  }
  CHECK(shapes.size() == 7);
}
