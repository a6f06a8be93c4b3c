#include "report/figures.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "core/console.h"
#include "core/csv.h"
#include "core/text.h"
#include "report/gnuplot.h"

namespace strata::report {
namespace {

constexpr double kFontSize = 12;
constexpr const char* kNextSeries = ", \\\n  ";  // of gnuplot's plot
constexpr std::array<const char*, 9> kViridis = {"#440154", "#472d7b", "#3b528b",
                                                 "#2c728e", "#21918c", "#28ae80",
                                                 "#5ec962", "#addc30", "#fde725"};

std::string number(double value) {
  return std::isnan(value) ? "NaN" : format_double(value);
}

std::size_t code_points(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

/// An upper estimate for the common sans-serif fonts; gnuplot itself knows no font metrics for SVG.
double text_width(const std::string& text, double font_size) {
  return 0.62 * font_size * static_cast<double>(code_points(text));
}

double widest(const std::vector<std::string>& names, double font_size) {
  double width = 0;
  for (const std::string& name : names) width = std::max(width, text_width(name, font_size));
  return width;
}

std::vector<std::string> all_shortened(const std::vector<std::string>& names, std::size_t length) {
  std::vector<std::string> result;
  for (const std::string& name : names) result.push_back(shortened(name, length));
  return result;
}

unsigned rgb(const std::string& colour) {
  return static_cast<unsigned>(std::stoul(colour.substr(1), nullptr, 16));
}

/// Relative luminance (WCAG 2) decides between black and white text.
bool is_dark(const std::string& colour) {
  const unsigned value = rgb(colour);
  const auto linear = [](unsigned byte) {
    const double c = byte / 255.0;
    return c <= 0.03928 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
  };
  return 0.2126 * linear(value >> 16 & 255) + 0.7152 * linear(value >> 8 & 255) +
             0.0722 * linear(value & 255) <
         0.25;
}

/// A title proper is placed by font metrics that gnuplot does not know here; this one is centred
/// above the plot, whose top margin it sets.
std::string placed_title(const std::string& title, double centre, int height) {
  const int top = title.empty() ? 10 : 30;
  std::string text =
      "set tmargin at screen " + number(1 - static_cast<double>(top) / height) + "\n";
  if (title.empty()) return text;
  return text + "set label " + gnuplot_quote(title) + " at screen " + number(centre) + ", screen " +
         number(1 - 13.0 / height) + " center font ',12.5' textcolor rgb '#1f2328'\n";
}

/// What line charts, bars and scatter plots share.
std::string axes(const std::string& title, const std::string& x_label, const std::string& y_label,
                 int height, double centre = 0.55) {
  return placed_title(title, centre, height) +
         "unset key\nset border 3 lc rgb '#8c959f'\nset tics nomirror out scale 0.5 textcolor rgb "
         "'#57606a'\nset xtics offset 0,0.4\nset grid back lt 1 lc rgb '#e4e8ec' lw 1\nset "
         "xlabel " +
         gnuplot_quote(x_label) + " offset 0,0.9 textcolor rgb '#1f2328'\nset ylabel " +
         gnuplot_quote(y_label) + " textcolor rgb '#1f2328'\nset datafile missing 'NaN'\n";
}

/// `set xtics` or `set ytics` with a name at every position 0, 1, …
std::string named_tics(char axis, const std::vector<std::string>& names, double font_size,
                       const std::string& options = "") {
  std::string text =
      std::string("set ") + axis + "tics " + options + " font '," + number(font_size) + "' (";
  for (std::size_t i = 0; i < names.size(); ++i) {
    text += (i ? ", " : "") + gnuplot_quote(names[i], true) + " " + std::to_string(i);
  }
  return text + ")\n";
}

/// Tics at given values; "" for none, where gnuplot is to choose.
std::string placed_tics(char axis, const std::vector<std::pair<double, std::string>>& tics) {
  std::string text;
  for (const auto& [at, name] : tics)
    text += (text.empty() ? "" : ", ") + gnuplot_quote(name, true) + " " + number(at);
  return text.empty() ? "" : std::string("set ") + axis + "tics (" + text + ")\n";
}

struct Range {
  double low = 0, high = 0;
  bool empty = true;
  void add(const std::vector<double>& values) {
    for (const double value : values) {
      if (!std::isfinite(value)) continue;
      low = empty ? value : std::min(low, value);
      high = empty ? value : std::max(high, value);
      empty = false;
    }
  }
};

/// A range with air around the data. gnuplot warns about a range without extent, hence never one.
std::string padded(char axis, const Range& range, double share) {
  const double extent = range.high - range.low;
  const double pad = extent > 0 ? share * extent : std::max(0.5, std::abs(range.low) * 0.1);
  return std::string("set ") + axis + "range [" + number(range.low - pad) + ":" +
         number(range.high + pad) + "]\n";
}

/// The least of `factors` times a power of ten that is at least `value`, to rounding.
double least_round(double value, std::initializer_list<double> factors) {
  const double power = std::pow(10, std::floor(std::log10(value)));
  for (const double scale : {power, 10 * power}) {
    for (const double factor : factors) {
      if (scale * factor >= value * (1 - 1e-9)) return scale * factor;
    }
  }
  return 10 * power;
}

/// Tics of an axis that counts (rounds): whole numbers, at most about twelve.
double whole_step(double extent) {
  return std::max(1.0, least_round(std::max(1.0, extent / 12), {1.0, 2.0, 5.0}));
}

bool all_whole(const std::vector<LineSeries>& series) {
  for (const LineSeries& s : series) {
    for (const double x : s.x) {
      if (x != std::floor(x)) return false;
    }
  }
  return true;
}

/// The gnuplot data block of series i.
std::string block_name(std::size_t i) {
  std::string name = "$series";
  name += std::to_string(i);
  return name;
}

int gnuplot_point(Mark mark) {
  switch (mark) {
    case Mark::kSquare:
      return 5;
    case Mark::kTriangle:
      return 9;
    case Mark::kDiamond:
      return 13;
    case Mark::kStar:
      return 3;
    case Mark::kTriangleDown:
      return 11;
    case Mark::kPentagon:
      return 15;
    default:
      return 7;
  }
}

std::string dash_type(const std::string& dashes) {
  return dashes.empty() ? "" : " dt (" + dashes + ")";
}

struct HeatmapLayout {
  int left, right, top, bottom, inner_width, inner_height;
  double font;
  std::vector<std::string> rows, columns;

  int width() const { return left + inner_width + right; }
  int height() const { return top + inner_height + bottom; }
  /// Pixels from the left or from below, as a share of the screen.
  std::string across(int pixels) const { return number(static_cast<double>(pixels) / width()); }
  std::string up(int pixels) const { return number(static_cast<double>(pixels) / height()); }
};

HeatmapLayout layout_of(const Heatmap& map) {
  HeatmapLayout layout;
  layout.rows = all_shortened(map.rows, 22);
  layout.columns = all_shortened(map.columns, 18);
  const int smallest = std::min(map.cell_width, map.cell_height);
  layout.font = std::clamp(smallest * 0.75, 8.0, 11.5);
  layout.left = map.row_names ? static_cast<int>(widest(layout.rows, layout.font)) + 14 : 6;
  layout.right = map.colour_bar ? (map.value_label.empty() ? 66 : 84) : 6;
  layout.top = map.title.empty() ? 6 : 26;
  layout.bottom = 8;
  if (map.column_names) layout.bottom += static_cast<int>(widest(layout.columns, layout.font)) + 8;
  if (!map.column_label.empty()) layout.bottom += 20;
  layout.inner_width = static_cast<int>(map.columns.size()) * map.cell_width;
  layout.inner_height = static_cast<int>(map.rows.size()) * map.cell_height;
  return layout;
}

/// Never 0, so that values have a place on the scale.
double extent_of(const Heatmap& map) {
  return map.high > map.low ? map.high - map.low : 1;
}

/// Margins, ranges and the names of rows and columns.
std::string heatmap_axes(const Heatmap& map, const HeatmapLayout& layout) {
  const int rows = static_cast<int>(map.rows.size()),
            columns = static_cast<int>(map.columns.size());
  std::string script = "unset key\nunset border\nset tics scale 0 textcolor rgb '#1f2328'\n";
  script += "set lmargin at screen " + layout.across(layout.left) + "\nset rmargin at screen " +
            layout.across(layout.left + layout.inner_width) + "\nset bmargin at screen " +
            layout.up(layout.bottom) + "\nset tmargin at screen " +
            layout.up(layout.bottom + layout.inner_height) + "\n";
  script += "set xrange [-0.5:" + number(columns - 0.5) + "]\nset yrange [" + number(rows - 0.5) +
            ":-0.5]\n";
  script +=
      map.row_names ? named_tics('y', layout.rows, layout.font, "offset 0.6,0") : "unset ytics\n";
  script += map.column_names
                ? named_tics('x', layout.columns, layout.font, "rotate by 90 right offset 0,0.3")
                : "unset xtics\n";
  return script;
}

/// The title and what stands under the columns.
std::string heatmap_labels(const Heatmap& map, const HeatmapLayout& layout) {
  const std::string centre = layout.across(layout.left + layout.inner_width / 2);
  std::string script;
  if (!map.title.empty()) {
    // A title proper is placed by font metrics that gnuplot does not know here.
    script += "set label " + gnuplot_quote(map.title) + " at screen " + centre + ", screen " +
              layout.up(layout.height() - 13) + " center font ',12.5' textcolor rgb '#1f2328'\n";
  }
  if (!map.column_label.empty()) {
    script += "set label " + gnuplot_quote(map.column_label) + " at screen " + centre +
              ", screen " + layout.up(9) + " center textcolor rgb '#1f2328'\n";
  }
  return script;
}

/// The lines of gnuplot's data blocks: a cell's place and colour; a number's place, text and
/// colour.
struct HeatmapCells {
  std::string cells, numbers;
};

HeatmapCells cells_of(const Heatmap& map) {
  HeatmapCells found;
  const double extent = extent_of(map);
  for (int r = 0; r < static_cast<int>(map.rows.size()); ++r) {
    for (int c = 0; c < static_cast<int>(map.columns.size()); ++c) {
      const double value = map.values(r, c);
      if (std::isnan(value)) continue;
      std::string colour =
          map.one_colour.empty() ? viridis((value - map.low) / extent) : map.one_colour;
      if (value == 0 && !map.zero_colour.empty()) colour = map.zero_colour;
      const std::string at = std::to_string(c) + " " + std::to_string(r) + " ";
      found.cells += at + std::to_string(rgb(colour)) + "\n";
      if (map.decimals >= 0 && colour != map.zero_colour) {
        found.numbers += at + fixed(value, map.decimals) + " " +
                         std::to_string(is_dark(colour) ? 0xffffff : 0x1f2328) + "\n";
      }
    }
  }
  return found;
}

std::string colour_bar(const Heatmap& map, const HeatmapLayout& layout) {
  const double extent = extent_of(map);
  // About a tic for every 35 pixels, at round numbers.
  const std::string steps = number(round_up(extent / std::clamp(layout.inner_height / 35, 2, 5)));
  std::string script = "set palette defined (";
  for (std::size_t i = 0; i < kViridis.size(); ++i) {
    script += (i ? ", " : "") + std::to_string(i) + " '" + kViridis[i] + "'";
  }
  return script + ")\nset cbrange [" + number(map.low) + ":" + number(map.low + extent) +
         "]\nset cbtics " + steps +
         " font ',10' offset -0.8,0 textcolor rgb '#57606a'\nset cblabel " +
         gnuplot_quote(map.value_label) +
         " offset -1,0 textcolor rgb '#57606a'\nset colorbox user vertical origin screen " +
         layout.across(layout.left + layout.inner_width + 10) + ", screen " +
         layout.up(layout.bottom) + " size screen " + layout.across(12) + ", screen " +
         layout.up(layout.inner_height) + " noborder\n";
}

/// A hairline of white keeps neighbours of one colour apart.
std::string hairlines(int rows, int columns) {
  std::string script;
  for (int c = 1; c < columns; ++c) {
    script += "set arrow from " + number(c - 0.5) + ",graph 0 to " + number(c - 0.5) +
              ",graph 1 nohead front lc rgb '#ffffff' lw 1\n";
  }
  for (int r = 1; r < rows; ++r) {
    script += "set arrow from graph 0,first " + number(r - 0.5) + " to graph 1,first " +
              number(r - 0.5) + " nohead front lc rgb '#ffffff' lw 1\n";
  }
  return script;
}

struct IntervalLayout {
  std::size_t in_a_row;  ///< points, one below the other
  int row_height, bottom, height;
  double left;
  std::vector<std::string> names;
};

IntervalLayout layout_of(const IntervalChart& chart) {
  IntervalLayout layout;
  layout.in_a_row = chart.one_a_row ? 1 : std::max<std::size_t>(1, chart.series.size());
  layout.names = all_shortened(chart.rows, 28);
  layout.row_height = std::max(20, static_cast<int>(layout.in_a_row) * chart.series_height + 9);
  const int top = chart.title.empty() ? 10 : 30;
  layout.bottom = 46;
  layout.height = top + static_cast<int>(chart.rows.size()) * layout.row_height + layout.bottom;
  layout.left = std::min(0.45 * chart.width, widest(layout.names, 11) + 14);
  return layout;
}

std::string interval_axes(const IntervalChart& chart, const IntervalLayout& layout) {
  return axes(chart.title, chart.x_label, "", layout.height,
              (layout.left + chart.width - 14) / 2 / chart.width) +
         named_tics('y', layout.names, 11, "scale 0") +
         "unset grid\nset grid xtics back lt 1 lc rgb '#e4e8ec' lw 1\nset yrange [" +
         number(static_cast<double>(chart.rows.size()) - 0.5) + ":-0.5]\nset lmargin at screen " +
         number(layout.left / chart.width) + "\nset rmargin at screen " +
         number(1 - 14.0 / chart.width) + "\nset bmargin at screen " +
         number(static_cast<double>(layout.bottom) / layout.height) + "\n";
}

/// The data block of one series, `offset` rows below the middle of each.
std::string interval_block(const std::string& name, const IntervalSeries& s, std::size_t rows,
                           double offset) {
  std::string block = name + " << EOD\n";
  for (std::size_t r = 0; r < rows; ++r) {
    const bool whisker = r < s.low.size() && std::isfinite(s.low[r]);
    block += number(s.values[r]) + " " + number(static_cast<double>(r) + offset) + " " +
             number(whisker ? s.low[r] : s.values[r]) + " " +
             number(whisker ? s.high[r] : s.values[r]);
    if (!s.box_low.empty())
      block.append(" ").append(number(s.box_low[r]) + " " + number(s.box_high[r]));
    block += "\n";
  }
  return block + "EOD\n";
}

/// The whiskers, boxes and points of one series, later ones over earlier ones.
void add_intervals(const std::string& name, const IntervalSeries& s,
                   std::vector<std::string>& plots) {
  const std::string colour = " lc rgb '" + s.colour + "'";
  plots.push_back(name + " using 3:2:($4-$3):(0) with vectors nohead lw 1.8" + colour);
  if (!s.box_low.empty()) {
    plots.push_back(name + " using 1:2:5:6:($2-0.28):($2+0.28) with boxxyerror fs solid 0.3" +
                    colour);
  }
  plots.push_back(name + " using 1:2 with points pt " + std::to_string(gnuplot_point(s.mark)) +
                  " ps 0.9" + colour);
}

/// Lines between the rows, and the upright ones.
std::string interval_lines(const IntervalChart& chart) {
  std::string script;
  for (std::size_t r = 1; r < chart.rows.size(); ++r) {
    const std::string at = number(static_cast<double>(r) - 0.5);
    script += "set arrow from graph 0,first " + at + " to graph 1,first " + at +
              " nohead back lc rgb '#e4e8ec' lw 1\n";
  }
  for (const ReferenceLine& line : chart.references) {
    script += "set arrow from first " + number(line.at) + ",graph 0 to first " + number(line.at) +
              ",graph 1 nohead back lw 1.6" + dash_type(line.dashes) + " lc rgb '" + line.colour +
              "'\n";
  }
  return script;
}

}  // namespace

std::string series_colour(std::size_t i) {
  constexpr std::array<const char*, 7> kColours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                   "#e69f00", "#56b4e9", "#000000"};
  return kColours[i % kColours.size()];
}

std::string viridis(double t) {
  t = std::clamp(t, 0.0, 1.0) * (kViridis.size() - 1);
  const std::size_t i = std::min(static_cast<std::size_t>(t), kViridis.size() - 2);
  const unsigned from = rgb(kViridis[i]), to = rgb(kViridis[i + 1]);
  unsigned mixed = 0;
  for (const int shift : {16, 8, 0}) {
    const double a = from >> shift & 255, b = to >> shift & 255;
    mixed |= static_cast<unsigned>(std::lround(a + (b - a) * (t - static_cast<double>(i))))
             << shift;
  }
  char text[8];
  std::snprintf(text, sizeof text, "#%06x", mixed);
  return text;
}

std::string shortened(const std::string& text, std::size_t length) {
  if (code_points(text) <= length) return text;
  std::string result;
  std::size_t points = 0;
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & 0xc0) != 0x80 && ++points == length) break;
    result += c;
  }
  return result + "…";
}

Mark series_mark(std::size_t i) {
  constexpr std::array<Mark, 7> kMarks = {Mark::kCircle,  Mark::kSquare,       Mark::kTriangle,
                                          Mark::kDiamond, Mark::kTriangleDown, Mark::kPentagon,
                                          Mark::kStar};
  return kMarks[i % kMarks.size()];
}

std::string series_dashes(std::size_t i) {
  constexpr std::array<const char*, 7> kDashes = {"",     "8,4",         "2,4", "10,3,2,3",
                                                  "14,5", "6,3,2,3,2,3", "4,7"};
  return kDashes[i % kDashes.size()];
}

double round_up(double value) {
  return least_round(value, {1.0, 2.0, 2.5, 5.0});
}

std::string draw(const LineChart& chart) {
  std::string script = axes(chart.title, chart.x_label, chart.y_label, chart.height);
  Range xs, ys;
  std::vector<std::string> bands, lines, marks;
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const LineSeries& s = chart.series[i];
    const bool band = !s.low.empty();
    xs.add(s.x);
    ys.add(s.y);
    ys.add(s.low);
    ys.add(s.high);
    const std::string name = block_name(i);
    script.append(name).append(" << EOD\n");
    for (std::size_t j = 0; j < s.x.size(); ++j) {
      script += number(s.x[j]) + " " + number(s.y[j]);
      if (band) script.append(" ").append(number(s.low[j]) + " " + number(s.high[j]));
      script += "\n";
    }
    script += "EOD\n";
    const std::string colour = " lc rgb '" + s.colour + "'";
    if (band) {
      bands.push_back(name + " using 1:3:4 with filledcurves fs transparent solid 0.14 noborder" +
                      colour);
    }
    lines.push_back(name + " using 1:2 with lines lw 2.5" + dash_type(s.dashes) + colour);
    const std::size_t stride = std::min(chart.series.size(), std::max<std::size_t>(1, s.x.size()));
    marks.push_back(name + " every " + std::to_string(stride) + "::" + std::to_string(i % stride) +
                    " using 1:2 with points pt " + std::to_string(gnuplot_point(s.mark)) +
                    " ps 0.85" + colour);
  }
  for (const ReferenceLine& line : chart.references) ys.add({line.at});
  if (chart.log_x) {
    script +=
        "set logscale x\nset xrange [" + number(0.9 * xs.low) + ":" + number(1.1 * xs.high) + "]\n";
  } else {
    script += padded('x', xs, 0.02);
    if (all_whole(chart.series))
      script += "set xtics " + number(whole_step(xs.high - xs.low)) + "\n";
  }
  script += padded('y', ys, 0.06);
  for (const ReferenceLine& line : chart.references) {
    script += "set arrow from graph 0,first " + number(line.at) + " to graph 1,first " +
              number(line.at) + " nohead lw 1.6" + dash_type(line.dashes) + " lc rgb '" +
              line.colour + "'\n";
  }
  script += placed_tics('y', chart.y_tics);
  bands.insert(bands.end(), lines.begin(), lines.end());
  bands.insert(bands.end(), marks.begin(), marks.end());
  return gnuplot_svg(script + "plot " + joined(bands, kNextSeries) + "\n", chart.width,
                     chart.height);
}

int heatmap_margins(const Heatmap& map) {
  const HeatmapLayout layout = layout_of(map);
  return layout.left + layout.right;
}

std::string draw(const Heatmap& map) {
  const HeatmapLayout layout = layout_of(map);
  const HeatmapCells found = cells_of(map);
  std::string script = heatmap_axes(map, layout) + heatmap_labels(map, layout);
  script += "$cells << EOD\n" + found.cells + "EOD\n$labels << EOD\n" + found.numbers + "EOD\n";
  std::vector<std::string> plots;
  if (map.colour_bar) {
    script += colour_bar(map, layout);
    // The cells carry their own colours; a palette plot is needed for gnuplot to draw the colour
    // bar.
    plots.push_back("NaN with points pt 0 lc palette");
  }
  plots.push_back(
      "$cells using 1:2:(0.5):(0.5):3 with boxxyerror fs solid noborder lc rgb variable");
  script += hairlines(static_cast<int>(map.rows.size()), static_cast<int>(map.columns.size()));
  if (!found.numbers.empty()) {
    plots.push_back("$labels using 1:2:(stringcolumn(3)):4 with labels font '," +
                    number(std::min(10.0, layout.font)) + "' tc rgb variable");
  }
  return gnuplot_svg(script + "plot " + joined(plots, kNextSeries) + "\n", layout.width(),
                     layout.height());
}

std::string draw(const BarChart& chart) {
  const std::size_t groups = chart.groups.size(),
                    bars = std::max<std::size_t>(1, chart.series.size());
  const double share = 0.8 / static_cast<double>(bars);
  const auto names = all_shortened(chart.groups, 20);
  const double room = (chart.width - 80.0) / std::max<std::size_t>(1, groups);
  int height = chart.height;
  double highest = 0;
  for (const BarSeries& s : chart.series) {
    for (const double value : s.values) highest = std::max(highest, value);
  }
  const bool rotate = widest(names, 11) + 6 > room;
  // gnuplot reserves too little for rotated names in a font whose metrics it does not know.
  const double margin = rotate ? widest(names, 11) + 16 : 0;
  height += static_cast<int>(margin);
  std::string script = axes(chart.title, "", chart.y_label, height);
  script += named_tics('x', names, 11, rotate ? "scale 0 rotate by 90 right" : "scale 0");
  if (rotate) script += "set bmargin at screen " + number(margin / height) + "\n";
  script += "unset grid\nset grid ytics back lt 1 lc rgb '#e4e8ec' lw 1\nset xrange [-0.6:" +
            number(static_cast<double>(groups) - 0.4) +
            "]\nset yrange [0:" + number(highest > 0 ? 1.06 * highest : 1) + "]\n";
  std::vector<std::string> plots;
  for (std::size_t b = 0; b < chart.series.size(); ++b) {
    const BarSeries& s = chart.series[b];
    const std::string name = block_name(b);
    script.append(name).append(" << EOD\n");
    for (std::size_t g = 0; g < groups; ++g) {
      const double left = static_cast<double>(g) - 0.4 + share * static_cast<double>(b);
      script += number(left + 0.04 * share) + " " + number(left + 0.96 * share) + " " +
                number(s.values[g]) + "\n";
    }
    script += "EOD\n";
    plots.push_back(name +
                    " using ($1+$2)/2:($3/2):1:2:(0):3 with boxxyerror fs solid noborder lc rgb '" +
                    s.colour + "'");
  }
  return gnuplot_svg(script + "plot " + joined(plots, kNextSeries) + "\n", chart.width, height);
}

std::string draw(const IntervalChart& chart) {
  const IntervalLayout layout = layout_of(chart);
  std::string script = interval_axes(chart, layout);
  Range xs;
  std::vector<std::string> plots;
  const auto block = [&](const IntervalSeries& s, double offset) {
    const std::string name = block_name(plots.size());
    script += interval_block(name, s, chart.rows.size(), offset);
    xs.add(s.values);
    xs.add(s.low);
    xs.add(s.high);
    return name;
  };
  for (const IntervalSeries& s : chart.ticks) {
    plots.push_back(block(s, 0) +
                    " using 1:($2-0.42):(0):(0.84) with vectors nohead lw 1.8 lc rgb '" + s.colour +
                    "'");
  }
  const double share = static_cast<double>(chart.series_height) / layout.row_height;
  const double middle = (static_cast<double>(layout.in_a_row) - 1) / 2;
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const double place = chart.one_a_row ? 0 : static_cast<double>(i);
    const std::string name = block(chart.series[i], share * (place - middle));
    add_intervals(name, chart.series[i], plots);
  }
  for (const ReferenceLine& line : chart.references) xs.add({line.at});
  script += interval_lines(chart) + padded('x', xs, 0.05) + placed_tics('x', chart.x_tics);
  return gnuplot_svg(script + "plot " + joined(plots, kNextSeries) + "\n", chart.width,
                     layout.height);
}

std::string draw(const ScatterChart& chart) {
  std::string script = axes(chart.title, chart.x_label, chart.y_label, chart.height);
  Range xs, ys;
  std::vector<std::string> plots;
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const ScatterSeries& s = chart.series[i];
    xs.add(s.x);
    ys.add(s.y);
    const std::string name = block_name(i);
    script.append(name).append(" << EOD\n");
    for (std::size_t j = 0; j < s.x.size(); ++j)
      script += number(s.x[j]) + " " + number(s.y[j]) + "\n";
    script += "EOD\n";
    plots.push_back(name + " using 1:2 with " +
                    (s.joined ? "linespoints lw 1.5" : "points lw 1.5") + " pt " +
                    std::to_string(gnuplot_point(s.mark)) + " ps " + number(0.8 * s.size) +
                    " lc rgb '" + s.colour + "'");
  }
  script += padded('x', xs, 0.06) + padded('y', ys, 0.08);
  return gnuplot_svg(script + "plot " + joined(plots, kNextSeries) + "\n", chart.width,
                     chart.height);
}

}  // namespace strata::report
