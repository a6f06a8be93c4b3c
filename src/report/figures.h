#pragma once
/// \file
/// Figures as plain data, drawn by gnuplot: line charts, heatmaps, grouped bars, scatter plots,
/// intervals.
/// Every function returns gnuplot's SVG document (inline it with `inline_svg`); legends are HTML
/// and stand outside of the plot (`html_legend`). NaN values are left out.
/// @throws WorkError (all functions): gnuplot is missing or fails.

#include <Eigen/Core>
#include <string>
#include <vector>

#include "report/html.h"

namespace strata::report {

/// Colour of the i-th series, "#rrggbb": Okabe and Ito's colour-blind-safe palette without its
/// yellow, which is too light for lines on white. Repeats after seven.
std::string series_colour(std::size_t i);

/// The i-th series' mark and dashes, so that lines that cover each other can be told apart without
/// their colours, too. The first line is solid. Repeat after seven.
Mark series_mark(std::size_t i);
std::string series_dashes(std::size_t i);

/// The least of 1, 2, 2.5 and 5 times a power of ten that is at least `value` > 0.
double round_up(double value);

/// The viridis colour at `t`, clamped to [0, 1].
std::string viridis(double t);

/// `text` cut to at most `length` code points, the last of them then "…".
std::string shortened(const std::string& text, std::size_t length);

/// CSS pixels of a panel that shares its row with another. The page scales it to the room there is:
/// by 1.2 on a desktop, by 0.8 on a telephone and on paper.
constexpr int kPanelWidth = 420;

/// A polyline with marks; with `low` and `high` (both as long as `x`) a band around it.
struct LineSeries {
  std::string colour;
  std::vector<double> x, y;
  std::vector<double> low, high;
  std::string dashes;  ///< as series_dashes has it
  Mark mark = Mark::kCircle;
};

/// A line across the whole chart.
struct ReferenceLine {
  double at = 0;
  std::string colour, dashes;
};

/// Marks of different series stand at different points of their lines, so that those of equal lines
/// show; later series are drawn over earlier ones.
struct LineChart {
  std::string title, x_label, y_label;
  std::vector<LineSeries> series;
  std::vector<ReferenceLine> references;
  bool log_x = false;
  std::vector<std::pair<double, std::string>> y_tics;  ///< where gnuplot shall not choose
  int width = kPanelWidth, height = 240;               ///< CSS pixels
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

/// One bar in every group.
struct BarSeries {
  std::string colour;
  std::vector<double> values;
};

struct BarChart {
  std::string title, y_label;
  std::vector<std::string> groups;
  std::vector<BarSeries> series;
  int width = kPanelWidth, height = 260;  ///< names too long to stand side by side add to it
};
std::string draw(const BarChart& chart);

/// One point with a whisker from `low` to `high` (NaN: none) in every row.
struct IntervalSeries {
  std::string colour;
  Mark mark = Mark::kCircle;
  std::vector<double> values, low, high;
  std::vector<double> box_low = {}, box_high = {};  ///< a box on the whisker; may be empty
};

/// Named rows with a point of each series, the first row on top; the series of a row stand one
/// below the other. As high as its rows need.
struct IntervalChart {
  std::string title, x_label;
  std::vector<std::string> rows;
  std::vector<IntervalSeries> series;
  std::vector<ReferenceLine> references;               ///< upright lines
  std::vector<IntervalSeries> ticks;                   ///< one a row, upright, as high as the row
  std::vector<std::pair<double, std::string>> x_tics;  ///< where gnuplot shall not choose
  int series_height = 13;                              ///< CSS pixels
  bool one_a_row = false;  ///< each series has a point in one row only, and stands in its middle
  int width = kPanelWidth;
};
std::string draw(const IntervalChart& chart);

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
  int width = kPanelWidth, height = 300;
};
std::string draw(const ScatterChart& chart);

}  // namespace strata::report
