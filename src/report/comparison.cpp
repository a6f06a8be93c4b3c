#include "report/comparison.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>

#include "core/console.h"
#include "report/figures.h"
#include "report/gnuplot.h"
#include "report/html.h"
#include "strata/core/error.h"
#include "strata/optimizers/comparison_files.h"

namespace strata::report {
namespace {

constexpr const char* kNever = "–";
constexpr const char* kReferenceColour = "#57606a";

/// Ratios near 1 differ in the last places only.
std::string ratio(double value) {
  return fixed(value, 4);
}

std::string ratio_with_quartiles(const optimizers::Quartiles& q) {
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

std::string p_value(const optimizers::ComparisonSummary& summary) {
  if (summary.best) return "best";
  return summary.p < 1e-4 ? "< 0.0001" : fixed(summary.p, 4);
}

std::vector<std::string> summary_header() {
  return {"instance", "start",  "evaluations", "algorithm", "hypervolume ratio (quartiles)",
          "IGD⁺",     "spread", "ms",          "p (Holm)"};
}

std::vector<std::string> summary_cells(const optimizers::ComparisonSummary& summary) {
  const optimizers::ComparisonGroup& group = summary.group;
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

HtmlTable summary_table(const std::vector<optimizers::ComparisonSummary>& summaries) {
  HtmlTable table;
  table.id = "table-summary";
  table.header = summary_header();
  table.left_columns = 4;
  for (const optimizers::ComparisonSummary& summary : summaries)
    table.rows.push_back(summary_cells(summary));
  return table;
}

HtmlTable target_table(const std::vector<optimizers::ComparisonSummary>& summaries) {
  HtmlTable table;
  table.id = "table-targets";
  table.header = {"instance", "start", "evaluations", "algorithm"};
  table.left_columns = 4;
  for (const double target : optimizers::kComparisonTargets) {
    const std::string share = fixed(target, target == 0.99 ? 2 : 3);
    table.header.push_back("reach " + share);
    table.header.push_back("evaluations to " + share);
    table.header.push_back("ms to " + share);
  }
  for (const optimizers::ComparisonSummary& summary : summaries) {
    const optimizers::ComparisonGroup& group = summary.group;
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
auto distinct_values(const std::vector<optimizers::ComparisonCurve>& curves, Value value) {
  std::vector<std::decay_t<decltype(value(curves.front()))>> values;
  for (const optimizers::ComparisonCurve& curve : curves) {
    if (std::find(values.begin(), values.end(), value(curve)) == values.end())
      values.push_back(value(curve));
  }
  return values;
}

bool is_stock(const std::string& algorithm) {
  const optimizers::Algorithm* known = optimizers::find_algorithm(algorithm);
  return known && known->uses.search && !known->uses.islands;
}

/// Strata's algorithms and pagmo's each go through the colours and marks; pagmo's lines are dashed.
std::size_t place_of(const std::string& algorithm, const std::vector<std::string>& algorithms) {
  std::size_t place = 0;
  for (const std::string& name : algorithms) {
    if (name == algorithm) break;
    place += is_stock(name) == is_stock(algorithm);
  }
  return place;
}

std::string dashes_of(const std::string& algorithm) {
  return is_stock(algorithm) ? series_dashes(1) : "";
}

/// An axis for hypervolume ratios on which 0, 0.95, 0.99, 1 and 1.01 are all told apart:
/// logarithmic in the distance from 1 where that is large, linear where it is small, and defined on
/// both sides.
class RatioAxis {
 public:
  /// Linear to about the distance of the final medians from 1, but within 0.001 and 0.01.
  explicit RatioAxis(const std::vector<double>& finals) {
    std::vector<double> distances;
    for (const double ratio : finals) distances.push_back(std::abs(1 - ratio));
    const double middle = distances.empty() ? 0.01 : optimizers::quartiles(distances).median;
    grain_ = round_up(std::clamp(middle, 0.001, 0.01));
  }

  double at(double ratio) const { return -std::asinh((1 - ratio) / grain_); }
  std::vector<double> at(std::vector<double> ratios) const {
    for (double& ratio : ratios) ratio = at(ratio);
    return ratios;
  }

  /// Round ratios within [low, high], the more telling ones first, none too close to another.
  std::vector<std::pair<double, std::string>> tics(double low, double high, int most) const {
    std::vector<std::pair<double, std::string>> tics;
    const double room = (at(high) - at(low)) / most, slack = 0.02 * (at(high) - at(low));
    for (const char* name : {"1",    "0.99",  "0.9",  "0.95", "0",     "0.5",   "1.01",  "0.999",
                             "0.98", "1.02",  "0.8",  "1.05", "0.995", "1.005", "1.002", "0.998",
                             "0.97", "1.001", "0.25", "0.7",  "0.994", "0.996", "0.985"}) {
      const double ratio = std::strtod(name, nullptr), place = at(ratio);
      if (place < at(low) - slack || place > at(high) + slack) continue;
      const bool free = std::none_of(tics.begin(), tics.end(), [&](const auto& tic) {
        return std::abs(tic.first - place) < room;
      });
      if (free) tics.emplace_back(place, name);
    }
    return tics;
  }

 private:
  double grain_ = 0.01;
};

/// The first place at which some curve has left 0: before it random starts have no area at all.
std::size_t first_nonzero(const std::vector<const optimizers::ComparisonCurve*>& curves) {
  std::size_t first = std::numeric_limits<std::size_t>::max();
  for (const optimizers::ComparisonCurve* curve : curves) {
    for (std::size_t i = 0; i < curve->upper.size(); ++i) {
      if (curve->upper[i] > 0) {
        first = std::min(first, i);
        break;
      }
    }
  }
  return first == std::numeric_limits<std::size_t>::max() ? 0 : first;
}

std::string convergence_panel(const std::string& instance, const RatioAxis& axis,
                              const std::vector<const optimizers::ComparisonCurve*>& curves,
                              const std::vector<std::string>& algorithms) {
  LineChart chart;
  chart.title = instance + ": over the evaluations";
  chart.x_label = "evaluations";
  chart.y_label = "hypervolume ratio";
  chart.log_x = true;
  chart.height = 300;
  const std::size_t first = first_nonzero(curves);
  double low = 1, high = 1;
  for (const optimizers::ComparisonCurve* curve : curves) {
    const auto tail = [&](const auto& values) {
      return std::vector<double>(values.begin() + static_cast<std::ptrdiff_t>(first), values.end());
    };
    LineSeries series;
    const std::string& algorithm = curve->group.algorithm;
    series.colour = series_colour(place_of(algorithm, algorithms));
    series.mark = series_mark(place_of(algorithm, algorithms));
    series.dashes = dashes_of(algorithm);
    series.x = tail(curve->evaluations);
    series.y = axis.at(tail(curve->median));
    series.low = axis.at(tail(curve->lower));
    series.high = axis.at(tail(curve->upper));
    for (std::size_t i = first; i < curve->lower.size(); ++i) {
      low = std::min(low, curve->lower[i]);
      high = std::max(high, curve->upper[i]);
    }
    chart.series.push_back(std::move(series));
  }
  chart.y_tics = axis.tics(low, high, 9);
  chart.references.push_back({axis.at(1), kReferenceColour, "6,4"});
  return draw(chart);
}

/// Box plots of what the runs ended with.
std::string final_panel(const std::string& instance, const RatioAxis& axis,
                        const std::vector<std::vector<double>>& finals,
                        const std::vector<std::string>& algorithms) {
  IntervalChart chart;
  chart.title = instance + ": at the end";
  chart.x_label = "hypervolume ratio";
  chart.series_height = 16;
  double low = 1, high = 1;
  std::vector<std::size_t> shown;
  for (std::size_t a = 0; a < algorithms.size(); ++a) {
    if (!finals[a].empty()) shown.push_back(a);
  }
  for (std::size_t row = 0; row < shown.size(); ++row) {
    const auto& values = finals[shown[row]];
    const std::string& algorithm = algorithms[shown[row]];
    chart.rows.push_back(algorithm);
    const std::size_t place = place_of(algorithm, algorithms);
    IntervalSeries series{series_colour(place), series_mark(place), {}, {}, {}};
    const optimizers::Quartiles box = optimizers::quartiles(values);
    const auto [least, most] = std::minmax_element(values.begin(), values.end());
    const auto only = [&](double value) {
      std::vector<double> column(shown.size(), std::numeric_limits<double>::quiet_NaN());
      column[row] = axis.at(value);
      return column;
    };
    series.values = only(box.median);
    series.low = only(*least);
    series.high = only(*most);
    series.box_low = only(box.lower);
    series.box_high = only(box.upper);
    low = std::min(low, *least);
    high = std::max(high, *most);
    chart.series.push_back(std::move(series));
  }
  // One series a row here, in the middle of it.
  chart.one_a_row = true;
  chart.references.push_back({axis.at(1), kReferenceColour, "6,4"});
  chart.x_tics = axis.tics(low, high, 7);
  return draw(chart);
}

std::string convergence_figure(const optimizers::Comparison& comparison, const std::string& start) {
  const auto& curves = comparison.curves;
  const auto algorithms = distinct_values(
      curves, [](const optimizers::ComparisonCurve& curve) { return curve.group.algorithm; });
  const auto instances = distinct_values(
      curves, [](const optimizers::ComparisonCurve& curve) { return curve.group.instance; });
  const auto budgets = distinct_values(
      curves, [](const optimizers::ComparisonCurve& curve) { return curve.group.evaluations; });
  const std::int64_t budget = *std::max_element(budgets.begin(), budgets.end());

  const std::string id = "fig-convergence-" + start;
  std::vector<std::vector<std::string>> rows;
  int panels = 0;
  const auto panel = [&](const std::string& svg, const std::string& label) {
    return inline_svg(svg, id + "-" + std::to_string(++panels) + "-", label);
  };
  for (const std::string& instance : instances) {
    const auto here = [&](const std::string& name, const std::string& from, std::int64_t most) {
      return name == instance && from == start && most == budget;
    };
    std::vector<const optimizers::ComparisonCurve*> shown;
    std::vector<double> medians;
    for (const optimizers::ComparisonCurve& curve : curves) {
      const optimizers::ComparisonGroup& group = curve.group;
      if (!here(group.instance, group.start, group.evaluations)) continue;
      shown.push_back(&curve);
      medians.push_back(curve.median.back());
    }
    if (shown.empty()) continue;
    std::vector<std::vector<double>> finals(algorithms.size());
    for (const optimizers::ComparisonRun& run : comparison.runs) {
      const auto at = std::find(algorithms.begin(), algorithms.end(), run.algorithm);
      if (at != algorithms.end() && here(run.instance, run.start, run.evaluations))
        finals[static_cast<std::size_t>(at - algorithms.begin())].push_back(run.hypervolume_ratio);
    }
    const RatioAxis axis(medians);
    rows.push_back({panel(convergence_panel(instance, axis, shown, algorithms),
                          "Hypervolume ratio over evaluations on " + instance + ", start " + start),
                    panel(final_panel(instance, axis, finals, algorithms),
                          "Final hypervolume ratios on " + instance + ", start " + start)});
  }
  std::vector<LegendEntry> legend;
  for (const std::string& name : algorithms) {
    const std::size_t place = place_of(name, algorithms);
    legend.push_back({name, series_colour(place), series_mark(place), true, dashes_of(name)});
  }
  return html_figure(
      id, html_legend(legend), rows,
      "Start " + start + ", runs of " + std::to_string(budget) +
          " evaluations: the front's hypervolume as a share of the exact supported front's. Left: "
          "median and quartiles over instances and seeds, from the first evaluations at which "
          "any front has an area. Right: median, quartiles and range of the runs. The axis "
          "stretches what lies near 1, the exact front (dashed): its distance is drawn by the "
          "inverse hyperbolic sine, which is logarithmic for large distances.");
}

/// What every algorithm reached on every instance with one start and the largest budget: the final
/// ratios of its seeds.
struct InstanceResults {
  std::vector<std::string> algorithms;
  std::vector<std::vector<std::vector<double>>> ratios;  ///< by instance, algorithm and seed
};

/// Instances on which an algorithm has no run are left out.
InstanceResults results_of(const std::vector<optimizers::ComparisonRun>& runs,
                           const std::string& start, std::int64_t evaluations) {
  InstanceResults results;
  std::map<std::pair<std::string, std::uint64_t>, std::map<std::string, std::vector<double>>> found;
  for (const optimizers::ComparisonRun& run : runs) {
    if (run.start != start || run.evaluations != evaluations) continue;
    auto& names = results.algorithms;
    if (std::find(names.begin(), names.end(), run.algorithm) == names.end())
      names.push_back(run.algorithm);
    found[{run.instance, run.instance_seed}][run.algorithm].push_back(run.hypervolume_ratio);
  }
  for (const auto& [instance, by_algorithm] : found) {
    std::vector<std::vector<double>> row;
    for (const std::string& name : results.algorithms) {
      if (const auto at = by_algorithm.find(name); at != by_algorithm.end())
        row.push_back(at->second);
    }
    if (row.size() == results.algorithms.size()) results.ratios.push_back(std::move(row));
  }
  return results;
}

/// Friedman's mean ranks over instances, the post-hoc test against the best, and the effect.
void add_ranks(HtmlTable& table, const std::vector<optimizers::ComparisonRun>& runs,
               const std::string& start, std::int64_t evaluations) {
  const InstanceResults results = results_of(runs, start, evaluations);
  const std::size_t count = results.algorithms.size();
  if (count < 2 || results.ratios.size() < 2) return;
  std::vector<std::vector<double>> medians;
  for (const auto& instance : results.ratios) {
    std::vector<double> row;
    for (const auto& seeds : instance) row.push_back(optimizers::quartiles(seeds).median);
    medians.push_back(std::move(row));
  }
  const optimizers::FriedmanTest test = optimizers::friedman(medians);
  const auto best = static_cast<std::size_t>(
      std::min_element(test.mean_ranks.begin(), test.mean_ranks.end()) - test.mean_ranks.begin());
  auto p = test.against(best);
  p.erase(p.begin() + static_cast<std::ptrdiff_t>(best));
  p = optimizers::holm(p);
  p.insert(p.begin() + static_cast<std::ptrdiff_t>(best), std::numeric_limits<double>::quiet_NaN());
  const auto small = [](double value) {
    return value < 1e-4 ? std::string("< 0.0001") : fixed(value, 4);
  };
  for (std::size_t a = 0; a < count; ++a) {
    double effect = 0;
    for (const auto& instance : results.ratios)
      effect += optimizers::vargha_delaney(instance[best], instance[a]) /
                static_cast<double>(test.blocks);
    table.rows.push_back({start, std::to_string(evaluations), results.algorithms[a],
                          fixed(test.mean_ranks[a], 2), a == best ? "best" : small(p[a]),
                          a == best ? kNever : fixed(effect, 2), std::to_string(test.blocks),
                          small(test.p)});
  }
}

HtmlTable rank_table(const std::vector<optimizers::ComparisonRun>& runs) {
  HtmlTable table;
  table.id = "table-ranks";
  table.header = {"start",         "evaluations", "algorithm",   "mean rank", "p against the best",
                  "A of the best", "instances",   "Friedman's p"};
  table.left_columns = 3;
  std::vector<std::pair<std::string, std::int64_t>> settings;
  for (const optimizers::ComparisonRun& run : runs) {
    const std::pair<std::string, std::int64_t> setting{run.start, run.evaluations};
    if (std::find(settings.begin(), settings.end(), setting) == settings.end())
      settings.push_back(setting);
  }
  for (const auto& [start, evaluations] : settings) add_ranks(table, runs, start, evaluations);
  return table;
}

}  // namespace

bool holds_comparison(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / "compare.json");
}

optimizers::Comparison read_comparison_with_peers(const std::filesystem::path& folder) {
  optimizers::Comparison comparison = optimizers::read_comparison(folder);
  const auto file = folder / "peers.csv";
  if (!std::filesystem::exists(file)) return comparison;
  for (optimizers::ComparisonRun& run : optimizers::read_runs_csv(file))
    comparison.runs.push_back(std::move(run));
  with_context(file.string(), [&] { optimizers::summarise(comparison.runs); });
  return comparison;
}

std::string comparison_text(const optimizers::Comparison& comparison) {
  TextTable table(summary_header());
  for (const optimizers::ComparisonSummary& summary : optimizers::summarise(comparison.runs))
    table.row(summary_cells(summary));
  return table.str();
}

std::string comparison_title(const optimizers::Comparison& comparison) {
  std::vector<std::string> algorithms, instances;
  const auto add = [](std::vector<std::string>& to, const std::string& name) {
    if (std::find(to.begin(), to.end(), name) == to.end()) to.push_back(name);
  };
  for (const optimizers::ComparisonRun& run : comparison.runs) {
    add(algorithms, run.algorithm);
    add(instances, run.instance);
  }
  const auto list = [](const std::vector<std::string>& names, std::size_t most) {
    std::string text;
    const std::size_t shown = names.size() > most ? most - 1 : names.size();
    for (std::size_t i = 0; i < shown; ++i) {
      const bool last = i + 1 == names.size();
      text += (i == 0 ? "" : last ? " and " : ", ") + names[i];
    }
    if (shown < names.size()) text += " and " + std::to_string(names.size() - shown) + " more";
    return text;
  };
  return list(algorithms, 3) + " on " + list(instances, 4);
}

std::string comparison_page(const optimizers::Comparison& comparison, const std::string& folder) {
  const auto summaries = optimizers::summarise(comparison.runs);
  const std::string title = comparison_title(comparison);
  std::string body = "<h1>" + escape_html(title) + "</h1>\n";
  body += html_paragraph(
      "Optimizers of layer assignments beside each other and beside the exact "
      "supported front: " +
          std::to_string(comparison.runs.size()) + " runs in the folder " + folder + ".",
      "lead");
  body += "<h2>How close the fronts come</h2>\n";
  for (const std::string& start :
       distinct_values(comparison.curves,
                       [](const optimizers::ComparisonCurve& curve) { return curve.group.start; }))
    body += convergence_figure(comparison, start);
  if (const HtmlTable ranks = rank_table(comparison.runs); !ranks.rows.empty()) {
    body += "<h2>Ranks over the instances</h2>\n" + html(ranks);
    body += html_paragraph(
        "Every instance counts once, with each algorithm's median hypervolume ratio over its "
        "seeds: "
        "1 is the best rank. Friedman's p is of all algorithms being alike; p against the best is "
        "of the difference of mean ranks, with Holm's correction. A (Vargha and Delaney) is the "
        "probability that a run of the best beats one of this algorithm on the same instance, "
        "0.5 being none. The best was chosen on the same runs, and few instances can show little: "
        "read p with care.",
        "note");
  }
  body += "<h2>Quality</h2>\n" + html(summary_table(summaries));
  body += html_paragraph(
      "Medians over instances and seeds. The hypervolume ratio is measured from the exact front's "
      "nadir; unsupported points can take it above 1. IGD⁺ is the mean distance by which the front "
      "misses the exact one, spread is Deb's Δ; both have objectives scaled to [0, 1]. p is "
      "Wilcoxon's signed-rank test of the hypervolume ratio against the best algorithm of the same "
      "instances, start and evaluations, paired over instances and seeds, with Holm's correction: "
      "it says that one is better on these "
      "instances, whose seeds are no independent instances; the ranks above count each once.",
      "note");
  body += "<h2>Evaluations and time to a share of the exact hypervolume</h2>\n" +
          html(target_table(summaries));
  body += html_paragraph(
      std::string("Medians over all runs; ") + kNever +
          " where half of them or more never reach it. ms are milliseconds of wall-clock time.",
      "note");
  body += "<h2>How this was made</h2>\n";
  HtmlTable made;
  made.id = "table-provenance";
  made.left_columns = 2;
  made.rows.push_back({"folder", folder});
  for (const auto& [key, value] : comparison.provenance) made.rows.push_back({key, value});
  made.rows.push_back({"population", std::to_string(comparison.population)});
  made.rows.push_back({"runs", std::to_string(comparison.runs.size())});
  return html_page(title + " – Strata comparison", body + html(made));
}

}  // namespace strata::report
