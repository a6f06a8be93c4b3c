#pragma once
/// \file
/// Figures as plain data, drawn by gnuplot: line charts, heatmaps, grouped bars, scatter plots.
/// Every function returns gnuplot's SVG document (inline it with `inline_svg`); legends are HTML
/// and stand outside of the plot (`html_legend`). NaN values are left out.
/// @throws WorkError (all functions): gnuplot is missing or fails.

#include <Eigen/Core>
#include <string>
#include <vector>

#include "report/html.h"

namespace strata {

/// Colour of the i-th series, "#rrggbb": Okabe and Ito's colour-blind-safe palette without its
/// yellow, which is too light for lines on white. Repeats after seven.
std::string series_colour(std::size_t i);

/// The viridis colour at `t`, clamped to [0, 1].
std::string viridis(double t);

/// `text` cut to at most `length` code points, the last of them then "…".
std::string shortened(const std::string& text, std::size_t length);

/// A polyline; with `low` and `high` (both as long as `x`) a band around it.
struct LineSeries {
  std::string colour;
  std::vector<double> x, y;
  std::vector<double> low, high;
  bool dashed = false;
};

struct LineChart {
  std::string title, x_label, y_label;
  std::vector<LineSeries> series;
  bool log_x = false;
  int width = 520, height = 320;  ///< CSS pixels
};
std::string draw(const LineChart& chart);

/// A matrix as coloured cells, first row on top. Colours are viridis over [low, high], unless
/// `one_colour` is set, which then fills every cell that is not 0. Cells that are 0 take
/// `zero_colour` if it is set; NaN cells stay white.
struct Heatmap {
  std::string title;
  std::vector<std::string> rows, columns;
  std::string column_label, value_label;  ///< under the columns; beside the colour bar
  Eigen::MatrixXd values;                 ///< rows × columns
  double low = 0, high = 1;
  std::string one_colour, zero_colour;
  int decimals = -1;  ///< of the number in each cell but those of `zero_colour`; -1: none
  bool row_names = true, column_names = true, colour_bar = true;
  int cell_width = 30, cell_height = 24;  ///< CSS pixels
};
/// Pixels that the figure needs beside its cells: `draw(map)` is `columns × cell_width` plus this
/// wide.
int heatmap_margins(const Heatmap& map);
std::string draw(const Heatmap& map);

/// One bar in every group; with `low` and `high` a whisker on it.
struct BarSeries {
  std::string colour;
  std::vector<double> values;
  std::vector<double> low, high;
};

struct BarChart {
  std::string title, y_label;
  std::vector<std::string> groups;
  std::vector<BarSeries> series;
  std::vector<double> reference;   ///< a dashed line across each group; may be empty
  int width = 1060, height = 300;  ///< names too long to stand side by side add to the height
};
std::string draw(const BarChart& chart);

/// Points, optionally joined. Later series are drawn over earlier ones.
struct ScatterSeries {
  std::string colour;
  Mark mark = Mark::kCircle;
  double size = 1;
  bool joined = false;
  std::vector<double> x, y;
};

struct ScatterChart {
  std::string title, x_label, y_label;
  std::vector<ScatterSeries> series;
  int width = 520, height = 360;
};
std::string draw(const ScatterChart& chart);

}  // namespace strata
