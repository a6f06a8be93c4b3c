#include "report/comparison.h"

#include <algorithm>
#include <cmath>

#include "core/console.h"
#include "report/figures.h"
#include "report/gnuplot.h"
#include "report/html.h"
#include "strata/core/error.h"

namespace strata {
namespace {

constexpr const char* kStock = "pagmo:";
constexpr const char* kNever = "–";

/// Ratios near 1 differ in the last places only.
std::string ratio(double value) {
  return fixed(value, 4);
}

std::string ratio_with_quartiles(const Quartiles& q) {
  return ratio(q.median) + " (" + ratio(q.lower) + "–" + ratio(q.upper) + ")";
}

std::string significant(double value) {
  if (!std::isfinite(value)) return kNever;
  const int magnitude = value > 0 ? static_cast<int>(std::floor(std::log10(value))) : 0;
  return fixed(value, std::clamp(2 - magnitude, 0, 6));
}

std::string count(double value) {
  return std::isfinite(value) ? fixed(value, 0) : kNever;
}

std::string p_value(const ComparisonSummary& summary) {
  if (summary.best) return "best";
  return summary.p < 1e-4 ? "< 0.0001" : fixed(summary.p, 4);
}

std::vector<std::string> summary_header() {
  return {"instance", "start",  "evaluations", "algorithm", "hypervolume ratio (quartiles)",
          "IGD⁺",     "spread", "ms",          "p (Holm)"};
}

std::vector<std::string> summary_cells(const ComparisonSummary& summary) {
  const ComparisonGroup& group = summary.group;
  return {group.instance,
          group.start,
          std::to_string(group.evaluations),
          group.algorithm,
          ratio_with_quartiles(summary.hypervolume_ratio),
          significant(summary.igd_plus.median),
          fixed(summary.spread.median, 2),
          significant(1000 * summary.seconds.median),
          p_value(summary)};
}

HtmlTable summary_table(const std::vector<ComparisonSummary>& summaries) {
  HtmlTable table;
  table.id = "table-summary";
  table.header = summary_header();
  table.left_columns = 4;
  for (const ComparisonSummary& summary : summaries) table.rows.push_back(summary_cells(summary));
  return table;
}

HtmlTable target_table(const std::vector<ComparisonSummary>& summaries) {
  HtmlTable table;
  table.id = "table-targets";
  table.header = {"instance", "start", "evaluations", "algorithm"};
  table.left_columns = 4;
  for (const double target : kComparisonTargets) {
    const std::string share = fixed(target, target == 0.99 ? 2 : 3);
    table.header.push_back("reach " + share);
    table.header.push_back("evaluations to " + share);
    table.header.push_back("ms to " + share);
  }
  for (const ComparisonSummary& summary : summaries) {
    const ComparisonGroup& group = summary.group;
    std::vector<std::string> row = {group.instance, group.start, std::to_string(group.evaluations),
                                    group.algorithm};
    for (const auto& reached : summary.reached) {
      row.push_back(std::to_string(reached.runs) + " of " + std::to_string(summary.runs));
      row.push_back(count(reached.evaluations.median));
      row.push_back(significant(1000 * reached.seconds.median));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

template <typename Value>
auto distinct(const std::vector<ComparisonCurve>& curves, Value value) {
  std::vector<std::decay_t<decltype(value(curves.front()))>> values;
  for (const ComparisonCurve& curve : curves) {
    if (std::find(values.begin(), values.end(), value(curve)) == values.end())
      values.push_back(value(curve));
  }
  return values;
}

bool is_stock(const std::string& algorithm) {
  return algorithm.rfind(kStock, 0) == 0;
}

/// Strata's algorithms and pagmo's each go through the colours; pagmo's are dashed.
std::string colour_of(const std::string& algorithm, const std::vector<std::string>& algorithms) {
  std::size_t place = 0;
  for (const std::string& name : algorithms) {
    if (name == algorithm) break;
    place += is_stock(name) == is_stock(algorithm);
  }
  return series_colour(place);
}

std::string convergence_figure(const Comparison& comparison, const std::string& start) {
  const auto& curves = comparison.curves;
  const auto algorithms =
      distinct(curves, [](const ComparisonCurve& curve) { return curve.group.algorithm; });
  const auto instances =
      distinct(curves, [](const ComparisonCurve& curve) { return curve.group.instance; });
  const auto budgets =
      distinct(curves, [](const ComparisonCurve& curve) { return curve.group.evaluations; });
  const std::int64_t budget = *std::max_element(budgets.begin(), budgets.end());

  const std::string id = "fig-convergence-" + start;
  std::vector<std::string> panels;
  for (const std::string& instance : instances) {
    LineChart chart;
    chart.title = instance;
    chart.x_label = "evaluations";
    chart.y_label = "hypervolume ratio";
    chart.log_x = true;
    for (const ComparisonCurve& curve : curves) {
      const ComparisonGroup& group = curve.group;
      if (group.instance != instance || group.start != start || group.evaluations != budget)
        continue;
      LineSeries series;
      series.colour = colour_of(group.algorithm, algorithms);
      series.dashed = is_stock(group.algorithm);
      series.x.assign(curve.evaluations.begin(), curve.evaluations.end());
      series.y = curve.median;
      series.low = curve.lower;
      series.high = curve.upper;
      chart.series.push_back(std::move(series));
    }
    if (chart.series.empty()) continue;
    panels.push_back(
        inline_svg(draw(chart), id + "-" + std::to_string(panels.size() + 1) + "-",
                   "Hypervolume ratio over evaluations on " + instance + ", start " + start));
  }
  std::vector<LegendEntry> legend;
  for (const std::string& name : algorithms)
    legend.push_back(
        {name, colour_of(name, algorithms), is_stock(name) ? Mark::kDash : Mark::kLine});
  return html_figure(id, html_legend(legend), {panels},
                     "Start " + start + ", runs of " + std::to_string(budget) +
                         " evaluations: median and quartiles, over instances and seeds, of the "
                         "front's hypervolume as a share of the exact supported front's.");
}

std::string paragraph(const std::string& text, const char* kind = "") {
  return std::string("<p") + (*kind ? std::string(" class=\"") + kind + "\"" : "") + ">" +
         escape_html(text) + "</p>\n";
}

}  // namespace

bool holds_comparison(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / "compare.json");
}

Comparison read_comparison_with_peers(const std::filesystem::path& folder) {
  Comparison comparison = read_comparison(folder);
  const auto file = folder / "peers.csv";
  if (!std::filesystem::exists(file)) return comparison;
  for (ComparisonRun& run : read_runs_csv(file)) comparison.runs.push_back(std::move(run));
  try {
    summarise(comparison.runs);
  } catch (const InputError& error) {
    throw InputError(file.string() + ": " + error.what());
  }
  return comparison;
}

std::string comparison_text(const Comparison& comparison) {
  TextTable table(summary_header());
  for (const ComparisonSummary& summary : summarise(comparison.runs))
    table.row(summary_cells(summary));
  return table.str();
}

std::string comparison_page(const Comparison& comparison, const std::string& title) {
  const auto summaries = summarise(comparison.runs);
  std::string body = "<h1>" + escape_html(title) + "</h1>\n";
  body += paragraph(
      "Optimizers of layer assignments beside each other and beside the exact supported front.",
      "lead");
  body += "<h2>Convergence</h2>\n";
  for (const std::string& start :
       distinct(comparison.curves, [](const ComparisonCurve& curve) { return curve.group.start; }))
    body += convergence_figure(comparison, start);
  body += "<h2>Quality</h2>\n" + html(summary_table(summaries));
  body += paragraph(
      "Medians over instances and seeds. The hypervolume ratio is measured from the exact front's "
      "nadir; unsupported points can take it above 1. IGD⁺ is the mean distance by which the front "
      "misses the exact one, spread is Deb's Δ; both have objectives scaled to [0, 1]. p is "
      "Wilcoxon's signed-rank test of the hypervolume ratio against the best algorithm of the same "
      "instances, start and evaluations, paired over instances and seeds, with Holm's correction.");
  body += "<h2>Evaluations and time to a share of the exact hypervolume</h2>\n" +
          html(target_table(summaries));
  body += paragraph(
      std::string("Medians over all runs; ") + kNever +
      " where half of them or more never reach it. ms are milliseconds of wall-clock time.");
  body += "<h2>How this was made</h2>\n";
  HtmlTable made;
  made.id = "table-provenance";
  made.left_columns = 2;
  for (const auto& [key, value] : comparison.provenance) made.rows.push_back({key, value});
  made.rows.push_back({"population", std::to_string(comparison.population)});
  made.rows.push_back({"runs", std::to_string(comparison.runs.size())});
  return html_page(title + " – Strata comparison", body + html(made));
}

}  // namespace strata
