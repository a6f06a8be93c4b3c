#include "report/page.h"

#include <algorithm>

#include "report/gnuplot.h"

namespace strata::report {

void Page::section(const std::string& title) {
  body += "<h2>" + escape_html(title) + "</h2>\n";
}

void Page::paragraph(const std::string& content, const char* kind) {
  body += html_paragraph(content, kind);
}

std::string Page::panel(const std::string& figure, const std::string& svg,
                        const std::string& label) {
  return inline_svg(svg, figure + "-" + std::to_string(++panels_) + "-", label);
}

std::size_t Page::place(const std::string& strategy) const {
  const auto& names = experiment.strategies;
  return static_cast<std::size_t>(std::find(names.begin(), names.end(), strategy) - names.begin());
}

std::string Page::colour(const std::string& strategy) const {
  return series_colour(place(strategy));
}

std::vector<LegendEntry> Page::strategy_legend(bool lines) const {
  std::vector<LegendEntry> entries;
  for (std::size_t i = 0; i < experiment.strategies.size(); ++i)
    entries.push_back({experiment.strategies[i], series_colour(i), series_mark(i), lines,
                       lines ? series_dashes(i) : ""});
  return entries;
}

std::string Page::primary_name() const {
  return "strategy " + primary.strategy + ", seed " + std::to_string(primary.seed);
}

bool Page::trains_everything(const std::string& strategy) const {
  bool planned = false;
  for (const PlannedRound& round : experiment.of(strategy).front()->plans) {
    if (!round.has_plan) continue;
    planned = true;
    if ((round.plan.assignment.array() == 0).any()) return false;
  }
  return planned;
}

Eigen::MatrixXd Page::placed(const Plan& plan) const {
  const auto index = [](const std::vector<std::string>& names, const std::string& name) {
    return static_cast<Eigen::Index>(std::find(names.begin(), names.end(), name) - names.begin());
  };
  const auto &rows = primary.clients, &columns = primary.selectable;
  Eigen::MatrixXd matrix = Eigen::MatrixXd::Zero(static_cast<Eigen::Index>(rows.size()),
                                                 static_cast<Eigen::Index>(columns.size()));
  for (std::size_t i = 0; i < plan.clients.size(); ++i) {
    const Eigen::Index row = index(rows, plan.clients[i]);
    for (const std::string& unit : plan.units_of(static_cast<int>(i))) {
      const Eigen::Index column = index(columns, unit);
      if (row < matrix.rows() && column < matrix.cols()) matrix(row, column) = 1;
    }
  }
  return matrix;
}

void fit(Heatmap& map, int panels) {
  const int room = (kPageWidth - 16 * (panels - 1)) / panels - heatmap_margins(map);
  const int columns = std::max<int>(1, static_cast<int>(map.columns.size()));
  map.cell_width = std::clamp(room / columns, 8, 46);
  map.cell_height = std::clamp(map.cell_width, 14, 24);
  if (map.cell_width < 24) map.decimals = -1;
}

int panels_in_a_row(std::size_t units) {
  return units <= 14 ? 2 : 1;
}

}  // namespace strata::report
