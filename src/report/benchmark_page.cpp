#include "report/benchmark_page.h"

#include <algorithm>
#include <cmath>

#include "core/csv.h"
#include "report/figures.h"
#include "report/gnuplot.h"
#include "report/html.h"

namespace strata::report {
namespace {

using fedrunner::BenchmarkCell;
using fedrunner::BenchmarkResults;
using fedrunner::BenchmarkRow;

/// There are more methods than colours: further on a colour has another mark.
struct MethodLook {
  std::string colour, dashes;
  Mark mark;
};
MethodLook look_of(const BenchmarkResults& results, const std::string& method) {
  const auto& all = results.methods;
  const auto place =
      static_cast<std::size_t>(std::find(all.begin(), all.end(), method) - all.begin());
  const std::size_t again = place / 7;
  return {series_colour(place), again == 0 ? "" : series_dashes(again), series_mark(place + again)};
}

std::vector<BenchmarkRow> rows_of(const BenchmarkResults& results, const std::string& backbone) {
  std::vector<BenchmarkRow> rows;
  for (BenchmarkRow& row : fedrunner::benchmark_rows(results))
    if (row.backbone == backbone) rows.push_back(std::move(row));
  return rows;
}

std::string score_label(const BenchmarkResults& results) {
  return results.score + ", %";
}

/// What is drawn around a mean: one standard deviation, nothing where there is one seed.
void add_point(LineSeries& series, double x, const BenchmarkRow& row, std::size_t fraction) {
  const double mean = row.means[fraction];
  const double spread = std::isnan(row.deviations[fraction]) ? 0 : row.deviations[fraction];
  series.x.push_back(x);
  series.y.push_back(100 * mean);
  series.low.push_back(100 * (mean - spread));
  series.high.push_back(100 * (mean + spread));
}

std::string fraction_panel(const BenchmarkResults& results, const std::string& backbone) {
  LineChart chart;
  chart.title = backbone;
  chart.x_label = "share of the training data, %";
  chart.y_label = score_label(results);
  chart.log_x = true;
  chart.height = 320;
  for (const BenchmarkRow& row : rows_of(results, backbone)) {
    const MethodLook look = look_of(results, row.method);
    LineSeries series{look.colour, {}, {}, {}, {}, look.dashes, look.mark};
    for (std::size_t f = 0; f < results.fractions.size(); ++f)
      if (!std::isnan(row.means[f])) add_point(series, 100 * results.fractions[f], row, f);
    if (!series.x.empty()) chart.series.push_back(std::move(series));
  }
  return draw(chart);
}

std::string parameter_panel(const BenchmarkResults& results, const std::string& backbone,
                            std::size_t fraction) {
  LineChart chart;
  chart.title = backbone + ", " + fedrunner::fraction_name(results.fractions[fraction]);
  chart.x_label = "trained parameters";
  chart.y_label = score_label(results);
  chart.log_x = true;
  chart.height = 320;
  for (const BenchmarkRow& row : rows_of(results, backbone)) {
    if (std::isnan(row.means[fraction]) || row.trained_parameters == 0) continue;
    const MethodLook look = look_of(results, row.method);
    LineSeries series{look.colour, {}, {}, {}, {}, "", look.mark};
    add_point(series, static_cast<double>(row.trained_parameters), row, fraction);
    chart.series.push_back(std::move(series));
  }
  return draw(chart);
}

std::string legend_of(const BenchmarkResults& results, bool lines) {
  std::vector<LegendEntry> legend;
  for (const std::string& method : results.methods) {
    const MethodLook look = look_of(results, method);
    legend.push_back({method, look.colour, look.mark, lines, lines ? look.dashes : ""});
  }
  return html_legend(legend);
}

/// Panels in rows of two.
class PanelRows {
 public:
  explicit PanelRows(std::string figure) : figure_(std::move(figure)) {}
  void add(const std::string& svg, const std::string& label) {
    if (rows_.empty() || rows_.back().size() == 2) rows_.emplace_back();
    rows_.back().push_back(inline_svg(svg, figure_ + "-" + std::to_string(++panels_) + "-", label));
  }
  const std::vector<std::vector<std::string>>& get() const { return rows_; }

 private:
  std::string figure_;
  int panels_ = 0;
  std::vector<std::vector<std::string>> rows_;
};

std::string fraction_figure(const BenchmarkResults& results) {
  PanelRows panels("fig-fractions");
  for (const std::string& backbone : results.backbones)
    panels.add(fraction_panel(results, backbone),
               results.score + " over the share of the data, " + backbone);
  return html_figure("fig-fractions", legend_of(results, true), panels.get(),
                     "The test's " + results.score +
                         " after the last round over the share of the training data that every "
                         "client keeps: mean over the seeds, with a band of one standard "
                         "deviation. The axis is logarithmic.");
}

std::string parameter_figure(const BenchmarkResults& results) {
  PanelRows panels("fig-parameters");
  for (const std::string& backbone : results.backbones)
    panels.add(parameter_panel(results, backbone, 0),
               results.score + " over the trained parameters, " + backbone);
  return html_figure("fig-parameters", legend_of(results, false), panels.get(),
                     "The same with " + fedrunner::fraction_name(results.fractions.front()) +
                         " of the data over the number of parameters that a method trains, on a "
                         "logarithmic axis.");
}

HtmlTable result_table(const BenchmarkResults& results) {
  HtmlTable table;
  table.id = "table-benchmark";
  table.header = fedrunner::benchmark_header(results);
  table.rows = fedrunner::benchmark_text(results);
  table.left_columns = 2;
  return table;
}

/// Who was chosen which learning rate.
HtmlTable rate_table(const BenchmarkResults& results) {
  HtmlTable table;
  table.id = "table-rates";
  table.header = {"backbone", "method"};
  table.left_columns = 2;
  for (const double fraction : results.fractions)
    table.header.push_back("of " + fedrunner::fraction_name(fraction));
  for (const BenchmarkRow& row : fedrunner::benchmark_rows(results)) {
    std::vector<std::string> line{row.backbone, row.method};
    for (const double rate : row.learning_rates)
      line.push_back(std::isnan(rate) ? "–" : format_double(rate));
    table.rows.push_back(std::move(line));
  }
  return table;
}

std::string lead(const BenchmarkResults& results) {
  std::size_t runs = 0;
  for (const BenchmarkCell& cell : results.cells) runs += cell.runs.size();
  return std::to_string(results.methods.size()) + " methods on " +
         std::to_string(results.backbones.size()) +
         (results.backbones.size() == 1 ? " backbone, " : " backbones, ") + std::to_string(runs) +
         " federated runs in " + std::to_string(results.cells.size()) + " cells" +
         (results.synthetic ? ". The data is synthetic." : ".");
}

std::string failures(const BenchmarkResults& results) {
  std::string text;
  for (const BenchmarkCell& cell : results.cells)
    if (!cell.failure.empty())
      text += html_paragraph(cell.method + " of " + cell.backbone + " with " +
                             fedrunner::fraction_name(cell.fraction) +
                             " has no result: " + cell.failure);
  return text;
}

}  // namespace

std::string benchmark_page(const BenchmarkResults& results) {
  std::string body = "<h1>" + escape_html(results.name) + "</h1>\n";
  body += html_paragraph(lead(results), "lead");
  body += "<h2>What the methods reach</h2>\n" + html(result_table(results));
  body += html_paragraph(
      "The test's " + results.score +
          " in percent after the last round, of all clients' examples together: mean and standard "
          "deviation over the seeds. Rank: the mean over the shares of the data of a method's "
          "place "
          "among those of its backbone, 1 the best. Parameters are those that its rounds may "
          "train; "
          "MBit are what all clients together send in a round.",
      "note");
  body += failures(results);
  if (results.fractions.size() > 1) body += "<h2>With less data</h2>\n" + fraction_figure(results);
  body += "<h2>With fewer parameters</h2>\n" + parameter_figure(results);
  body += "<h2>Learning rates</h2>\n" + html(rate_table(results));
  return html_page(results.name + " – Strata benchmark", body);
}

}  // namespace strata::report
