#include "report/report.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>
#include <set>

#include "core/console.h"
#include "core/document.h"
#include "report/comparison.h"
#include "report/figures.h"
#include "report/gnuplot.h"
#include "report/html.h"
#include "report/run_folder.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/core/planning_problem.h"

namespace strata {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int kPageWidth = 1060;  // CSS pixels inside the page's margins
constexpr const char* kGrey = "#8c959f";
constexpr const char* kLightGrey = "#e9ecef";

// ---- numbers as text
// -------------------------------------------------------------------------------

/// Mean and range over seeds; NaN values are left out.
struct Spread {
  double mean = kNaN, low = kNaN, high = kNaN;
  std::size_t count = 0;
};

Spread spread(const std::vector<double>& values) {
  Spread s;
  double sum = 0;
  for (const double value : values) {
    if (std::isnan(value)) continue;
    s.low = s.count ? std::min(s.low, value) : value;
    s.high = s.count ? std::max(s.high, value) : value;
    sum += value;
    ++s.count;
  }
  if (s.count) s.mean = sum / static_cast<double>(s.count);
  return s;
}

std::string text(double value, int decimals) {
  return std::isnan(value) ? "–" : fixed(value, decimals);
}

std::string text(const Spread& s, int decimals) {
  const std::string low = text(s.low, decimals), high = text(s.high, decimals);
  if (low == high) return text(s.mean, decimals);
  return text(s.mean, decimals) + " (" + low + "–" + high + ")";
}

/// 1234567 with narrow spaces between the thousands.
std::string grouped(std::int64_t value) {
  std::string digits = std::to_string(value), result;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) result += "\u202f";
    result += digits[i];
  }
  return result;
}

std::string joined(const std::vector<std::string>& parts, const char* separator = ", ") {
  std::string result;
  for (const std::string& part : parts) result += (result.empty() ? "" : separator) + part;
  return result;
}

std::string counted(std::size_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

/// Distinct values in order of appearance.
template <typename Items, typename Of>
std::vector<std::string> distinct(const Items& items, Of&& of) {
  std::vector<std::string> result;
  for (const auto& item : items) {
    const std::string value = of(item);
    if (!value.empty() && std::find(result.begin(), result.end(), value) == result.end()) {
      result.push_back(value);
    }
  }
  return result;
}

// ---- what the page needs to know about the runs
// ----------------------------------------------------

using Runs = std::vector<const RunFolder*>;

/// One number of every run, spread over the seeds.
template <typename Of>
Spread over(const Runs& runs, Of&& of) {
  std::vector<double> values;
  for (const RunFolder* run : runs) values.push_back(of(*run));
  return spread(values);
}

double accuracy(const RunFolder& run, int round, const std::string& client) {
  const RoundMetrics* row = run.find(round, client);
  return row ? 100 * row->accuracy : kNaN;
}

/// The last round that was evaluated (not every round need be).
int final_round(const RunFolder& run) {
  int round = run.rounds;
  while (round > 0 && std::isnan(accuracy(run, round, "all"))) --round;
  return round;
}

/// Sums a column over all clients and rounds after the first, or over one client.
double total(const RunFolder& run, double RoundMetrics::*column, const std::string& client = "") {
  double sum = 0;
  for (const RoundMetrics& row : run.metrics) {
    const bool wanted =
        client.empty() ? row.client != "all" && row.client != "mean" : row.client == client;
    if (wanted && row.round > 0 && !std::isnan(row.*column)) sum += row.*column;
  }
  return sum;
}

/// Per client and round.
double share(const RunFolder& run, double value) {
  return run.rounds ? value / run.rounds / static_cast<double>(run.clients.size()) : kNaN;
}

double full_mbit(const RunFolder& run) {
  std::int64_t bytes = 0;
  for (const Unit& unit : run.unit_costs) bytes += unit.bytes;
  return 8e-6 * static_cast<double>(bytes);
}

/// One row a strategy: what it reached and what it cost.
HtmlTable result_table(const Experiment& experiment) {
  HtmlTable table;
  table.id = "table-result";
  table.header = {"strategy",
                  "seeds",
                  "accuracy %, weighted",
                  "accuracy %, plain",
                  "before training %, weighted",
                  "MBit up per client and round",
                  "MBit in total",
                  "training seconds"};
  for (const std::string& name : experiment.strategies) {
    const Runs runs = experiment.of(name);
    const auto final_accuracy = [](const char* client) {
      return [client](const RunFolder& run) { return accuracy(run, final_round(run), client); };
    };
    table.rows.push_back(
        {name, std::to_string(runs.size()), text(over(runs, final_accuracy("all")), 1),
         text(over(runs, final_accuracy("mean")), 1),
         text(over(runs, [](const RunFolder& run) { return accuracy(run, 0, "all"); }).mean, 1),
         text(over(runs,
                   [](const RunFolder& run) {
                     return share(run, total(run, &RoundMetrics::up_mbit));
                   }),
              2),
         text(over(runs,
                   [](const RunFolder& run) {
                     return total(run, &RoundMetrics::up_mbit) +
                            total(run, &RoundMetrics::down_mbit);
                   }),
              1),
         text(over(runs, [](const RunFolder& run) { return total(run, &RoundMetrics::seconds); }),
              1)});
  }
  return table;
}

/// Client i's budget best units by score alone; among equal scores the earlier unit, as the
/// planner's top-k does.
Assignment top_k(const ScoreTable& scores, const std::vector<int>& budgets) {
  Assignment assignment = Assignment::Zero(scores.client_count(), scores.unit_count());
  std::vector<int> order(static_cast<std::size_t>(scores.unit_count()));
  for (int i = 0; i < scores.client_count(); ++i) {
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int a, int b) { return scores.scores(i, a) > scores.scores(i, b); });
    for (int k = 0; k < budgets[static_cast<std::size_t>(i)]; ++k) {
      assignment(i, order[static_cast<std::size_t>(k)]) = 1;
    }
  }
  return assignment;
}

/// A round with scores and a plan over the same clients and units.
struct Decision {
  int round = 0;
  PlanningProblem problem;
  Assignment top_k;
  const Plan* plan = nullptr;
};

std::vector<Decision> decisions_of(const RunFolder& run) {
  std::vector<Decision> decisions;
  for (const PlannedRound& planned : run.plans) {
    const Plan& plan = planned.plan;
    if (!planned.has_scores || !planned.has_plan || plan.clients != planned.scores.clients ||
        plan.units != planned.scores.units) {
      continue;
    }
    Decision decision;
    decision.round = planned.round;
    decision.plan = &plan;
    decision.problem.clients = plan.clients;
    decision.problem.units = plan.units;
    decision.problem.importance = planned.scores.scores;
    for (int i = 0; i < planned.scores.client_count(); ++i) {
      decision.problem.budgets.push_back(plan.assignment.row(i).cast<int>().sum());
    }
    decision.top_k = top_k(planned.scores, decision.problem.budgets);
    decisions.push_back(std::move(decision));
  }
  return decisions;
}

/// First and last, or the only one.
template <typename T>
std::vector<T> ends(const std::vector<T>& all) {
  if (all.size() < 2) return all;
  return {all.front(), all.back()};
}

bool has_plans(const RunFolder& run) {
  return run.rounds > 0 && run.plan_of(run.rounds) != nullptr;
}

// ---- the page
// --------------------------------------------------------------------------------------

class Page {
 public:
  explicit Page(const Experiment& experiment)
      : experiment_(experiment), primary_(*experiment.of(experiment.strategies.front()).front()) {}

  std::string str() {
    heading();
    headline();
    curves();
    client_accuracy();
    scores();
    assignments();
    usage_histograms();
    fronts();
    traffic();
    coverage();
    missing_updates();
    configuration();
    return html_page(experiment_.name + " – Strata report", body_);
  }

 private:
  void section(const std::string& title) { body_ += "<h2>" + escape_html(title) + "</h2>\n"; }
  void paragraph(const std::string& content, const char* kind = "") {
    body_ += std::string("<p") + (*kind ? std::string(" class=\"") + kind + "\"" : "") + ">" +
             escape_html(content) + "</p>\n";
  }

  /// Inlines one plot of the figure that is being put together.
  std::string panel(const std::string& figure, const std::string& svg, const std::string& label) {
    return inline_svg(svg, figure + "-" + std::to_string(++panels_) + "-", label);
  }

  std::string colour(const std::string& strategy) const {
    const auto& names = experiment_.strategies;
    return series_colour(
        static_cast<std::size_t>(std::find(names.begin(), names.end(), strategy) - names.begin()));
  }

  std::vector<LegendEntry> strategy_legend(Mark mark) const {
    std::vector<LegendEntry> entries;
    for (const std::string& name : experiment_.strategies)
      entries.push_back({name, colour(name), mark});
    return entries;
  }

  /// "F3OCUS, seed 1": what the figures that show a single run add to their captions.
  std::string primary_name() const {
    return "strategy " + primary_.strategy + ", seed " + std::to_string(primary_.seed);
  }

  bool several_seeds() const { return experiment_.runs.size() > experiment_.strategies.size(); }

  void heading() {
    const auto& runs = experiment_.runs;
    body_ += "<h1>" + escape_html(experiment_.name) + "</h1>\n";
    const auto seeds =
        distinct(runs, [](const RunFolder& run) { return std::to_string(run.seed); });
    paragraph("Which units each client fine-tunes, and what came of it.", "lead");
    if (std::any_of(runs.begin(), runs.end(), [](const RunFolder& run) { return run.synthetic; })) {
      paragraph(
          "Synthetic data: the images and questions of this run were generated by a program. "
          "Nothing "
          "here was measured on patients.",
          "notice");
    }
    for (const RunFolder& run : runs) {
      if (run.status == "done") continue;
      paragraph("Unfinished: " + run.strategy + ", seed " + std::to_string(run.seed) +
                    " stands at round " + std::to_string(run.rounds) + ".",
                "notice");
    }
    section("What was run");
    HtmlTable table;
    table.id = "table-run";
    table.left_columns = 2;
    const auto add = [&](const std::string& key, const std::string& value) {
      if (!value.empty()) table.rows.push_back({key, value});
    };
    std::vector<std::string> strategies;
    for (const std::string& name : experiment_.strategies) {
      const RunFolder& run = *experiment_.of(name).front();
      std::vector<std::string> how;
      if (!run.algorithm.empty()) how.push_back("plan " + run.algorithm);
      if (!run.metric.empty() && run.metric != "none") how.push_back("scores " + run.metric);
      strategies.push_back(name + (how.empty() ? "" : " (" + joined(how) + ")"));
    }
    add("strategies", joined(strategies));
    add("seeds", joined(seeds));
    add("rounds",
        joined(distinct(runs, [](const RunFolder& r) { return std::to_string(r.rounds); })));
    add("clients", std::to_string(primary_.clients.size()) + ": " + joined(primary_.clients));
    add("budget", budget_text());
    add("selectable units",
        std::to_string(primary_.selectable.size()) + ": " + joined(primary_.selectable));
    add("always trained", joined(primary_.always));
    std::int64_t parameters = 0;
    for (const Unit& unit : primary_.unit_costs) parameters += unit.parameter_count;
    if (parameters) {
      add("model", grouped(parameters) + " parameters in " +
                       counted(primary_.unit_costs.size(), "unit") + ", " +
                       fixed(full_mbit(primary_), 1) + " MBit");
    }
    add("data", data_text());
    add("foundation model",
        joined(distinct(runs, [](const RunFolder& run) { return run.foundation.substr(0, 16); })));
    std::vector<std::string> keys;
    for (const RunFolder& run : runs) {
      for (const auto& [key, value] : run.provenance) {
        if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
      }
    }
    for (const std::string& key : keys) {
      add(key, joined(distinct(runs,
                               [&](const RunFolder& run) {
                                 for (const auto& [name, value] : run.provenance) {
                                   if (name == key) return value;
                                 }
                                 return std::string();
                               }),
                      "; "));
    }
    body_ += html(table);
    if (!primary_.unit_costs.empty()) unit_table();
  }

  std::string budget_text() const {
    std::set<std::int64_t> values;
    std::vector<std::string> named;
    for (const auto& [client, budget] : primary_.budgets) {
      values.insert(budget);
      named.push_back(client + " " + std::to_string(budget));
    }
    if (values.size() == 1) {
      return counted(static_cast<std::size_t>(*values.begin()), "unit") + " per client and round";
    }
    return "units per client and round: " + joined(named);
  }

  /// The `data` section of the resolved configuration on one line.
  std::string data_text() const {
    const Document config = load_yaml(primary_.folder / "config.yaml");
    if (!config.root.is_object() || !config.root.contains("data")) return "";
    const Json& data = config.root["data"];
    if (!data.is_object()) return data.is_string() ? data.get<std::string>() : data.dump();
    std::vector<std::string> parts;
    for (const auto& [key, value] : data.items()) {
      parts.push_back(key + " " + (value.is_string() ? value.get<std::string>() : value.dump()));
    }
    return joined(parts);
  }

  void unit_table() {
    HtmlTable table;
    table.id = "table-units";
    table.header = {"unit",
                    "role",
                    "parameters",
                    "MBit",
                    "forward MFLOP per sample",
                    "activations KiB per sample"};
    table.left_columns = 2;
    for (const Unit& unit : primary_.unit_costs) {
      const auto in = [&](const std::vector<std::string>& names) {
        return std::find(names.begin(), names.end(), unit.name) != names.end();
      };
      table.rows.push_back(
          {unit.name,
           in(primary_.selectable) ? "selectable"
           : in(primary_.always)   ? "always trained"
                                   : "frozen",
           grouped(unit.parameter_count), fixed(8e-6 * static_cast<double>(unit.bytes), 3),
           fixed(unit.forward_flops / 1e6, 2), fixed(unit.activation_bytes / 1024, 1)});
    }
    body_ += "<details><summary>The model's units and their costs</summary>\n" + html(table) +
             "</details>\n";
  }

  void headline() {
    section("Result");
    body_ += html(result_table(experiment_));
    paragraph(
        std::string("Accuracy of the last evaluated round on the clients' test questions: weighted "
                    "by each client's number of questions, and as the plain mean over clients. "
                    "Seconds are the clients' local training, added up.") +
        (several_seeds()
             ? " Mean over the seeds, in brackets the lowest and the highest where they differ."
             : ""));
  }

  LineChart accuracy_chart(const char* client, const char* title) const {
    LineChart chart;
    chart.title = title;
    chart.x_label = "round (0 = before training)";
    chart.y_label = "test accuracy, %";
    for (const std::string& name : experiment_.strategies) {
      const Runs runs = experiment_.of(name);
      LineSeries series;
      series.colour = colour(name);
      int rounds = 0;
      for (const RunFolder* run : runs) rounds = std::max(rounds, run->rounds);
      for (int round = 0; round <= rounds; ++round) {
        const Spread s =
            over(runs, [&](const RunFolder& run) { return accuracy(run, round, client); });
        if (!s.count) continue;
        series.x.push_back(round);
        series.y.push_back(s.mean);
        if (runs.size() > 1) {
          series.low.push_back(s.low);
          series.high.push_back(s.high);
        }
      }
      chart.series.push_back(std::move(series));
    }
    return chart;
  }

  void curves() {
    section("Accuracy over the rounds");
    const std::string id = "fig-accuracy";
    body_ += html_figure(
        id, html_legend(strategy_legend(Mark::kLine)),
        {{panel(id, draw(accuracy_chart("all", "weighted by test questions")),
                "Accuracy over rounds, weighted by test questions"),
          panel(id, draw(accuracy_chart("mean", "plain mean over clients")),
                "Accuracy over rounds, plain mean over clients")}},
        std::string(
            "How often the aggregated model answers the clients' test questions correctly after "
            "each round.") +
            (several_seeds()
                 ? " Lines are means over the seeds, bands reach from the worst to the best seed."
                 : ""));
  }

  void client_accuracy() {
    const std::string id = "fig-client-accuracy";
    constexpr std::size_t kMostInAPanel = 16;
    const auto& clients = primary_.clients;
    const std::size_t panels = (clients.size() + kMostInAPanel - 1) / kMostInAPanel;
    const std::size_t in_a_panel = (clients.size() + panels - 1) / panels;
    std::vector<std::vector<std::string>> rows;
    for (std::size_t from = 0; from < clients.size(); from += in_a_panel) {
      const std::size_t to = std::min(clients.size(), from + in_a_panel);
      BarChart chart;
      chart.y_label = "test accuracy, %";
      chart.width = kPageWidth;
      chart.groups.assign(clients.begin() + static_cast<std::ptrdiff_t>(from),
                          clients.begin() + static_cast<std::ptrdiff_t>(to));
      for (const std::string& name : experiment_.strategies) {
        const Runs runs = experiment_.of(name);
        BarSeries series;
        series.colour = colour(name);
        for (const std::string& client : chart.groups) {
          const Spread s = over(
              runs, [&](const RunFolder& run) { return accuracy(run, final_round(run), client); });
          series.values.push_back(s.mean);
          if (runs.size() > 1) {
            series.low.push_back(s.low);
            series.high.push_back(s.high);
          }
        }
        chart.series.push_back(std::move(series));
      }
      for (const std::string& client : chart.groups)
        chart.reference.push_back(accuracy(primary_, 0, client));
      rows.push_back({panel(id, draw(chart), "Final accuracy of every client")});
    }
    auto legend = strategy_legend(Mark::kBox);
    legend.push_back({"before training", "#1f2328", Mark::kDash});
    body_ += html_figure(
        id, html_legend(legend), rows,
        std::string("Each client's own test accuracy after the last evaluated round; the "
                    "dashed line is the model before any training.") +
            (several_seeds() ? " Bars are means over the seeds, whiskers their range." : ""));
  }

  /// Cells that let `panels` such maps stand side by side on the page.
  static void fit(Heatmap& map, int panels) {
    const int room = (kPageWidth - 16 * (panels - 1)) / panels - heatmap_margins(map);
    const int columns = std::max<int>(1, static_cast<int>(map.columns.size()));
    map.cell_width = std::clamp(room / columns, 8, 46);
    map.cell_height = std::clamp(map.cell_width, 14, 24);
    if (map.cell_width < 24) map.decimals = -1;
  }

  /// Side by side while the cells stay readable, else one below the other.
  static int panels_in_a_row(std::size_t units) { return units <= 14 ? 2 : 1; }

  void scores() {
    section("Scores");
    std::vector<const PlannedRound*> scored;
    for (const PlannedRound& planned : primary_.plans) {
      if (planned.has_scores) scored.push_back(&planned);
    }
    if (scored.empty()) {
      paragraph("No round of this run scored its units.");
      return;
    }
    const std::string id = "fig-scores";
    double high = 0;
    for (const PlannedRound* planned : ends(scored)) {
      if (planned->scores.scores.size()) high = std::max(high, planned->scores.scores.maxCoeff());
    }
    std::vector<std::string> panels;
    for (const PlannedRound* planned : ends(scored)) {
      Heatmap map;
      map.title = "round " + std::to_string(planned->round);
      map.rows = planned->scores.clients;
      map.columns = planned->scores.units;
      map.values = planned->scores.scores;
      map.high = high;
      map.decimals = 2;
      map.value_label = "score";
      fit(map, panels_in_a_row(map.columns.size()));
      panels.push_back(panel(id, draw(map), "Scores in " + map.title));
    }
    body_ += html_figure(
        id, "", {panels},
        "How important each unit is for each client (" + primary_.metric + " scores, " +
            primary_name() +
            "), in the first and the last round that scored. Brighter is more important; "
            "each row sums to 1.");
  }

  /// Full fine-tuning: a map of its assignment would be one even colour.
  bool trains_everything(const std::string& strategy) const {
    return experiment_.of(strategy).front()->algorithm == "full";
  }

  /// In how many of the rounds 1, 2, … each client trained each unit, as a share, over all seeds.
  std::optional<Heatmap> share_map(const std::string& strategy) const {
    Heatmap map;
    map.rows = primary_.clients;
    map.columns = primary_.selectable;
    map.values = Eigen::MatrixXd::Zero(static_cast<Eigen::Index>(map.rows.size()),
                                       static_cast<Eigen::Index>(map.columns.size()));
    int rounds = 0;
    for (const RunFolder* run : experiment_.of(strategy)) {
      for (int round = 1; round <= run->rounds; ++round) {
        const PlannedRound* planned = run->plan_of(round);
        if (!planned) continue;
        ++rounds;
        map.values += placed(planned->plan);
      }
    }
    if (rounds == 0) return std::nullopt;
    map.values /= rounds;
    return map;
  }

  /// A plan's assignment in the page's order of clients and selectable units.
  Eigen::MatrixXd placed(const Plan& plan) const {
    const auto index = [](const std::vector<std::string>& names, const std::string& name) {
      return static_cast<Eigen::Index>(std::find(names.begin(), names.end(), name) - names.begin());
    };
    const auto &rows = primary_.clients, &columns = primary_.selectable;
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

  void assignments() {
    section("Assignments");
    std::string id = "fig-assignments";
    std::vector<std::string> panels;
    for (const std::string& name : experiment_.strategies) {
      auto map = share_map(name);
      if (!map || trains_everything(name)) continue;
      map->title = shortened(name, 40);
      map->zero_colour = kLightGrey;
      map->decimals = 2;
      map->value_label = "share of rounds";
      fit(*map, panels_in_a_row(map->columns.size()));
      panels.push_back(panel(id, draw(*map), "Share of rounds, strategy " + name));
    }
    if (panels.empty()) {
      paragraph("No strategy of this run chooses who trains what.");
      return;
    }
    body_ += html_figure(id, "", {panels},
                         "In which share of the rounds each client trained each unit" +
                             std::string(several_seeds() ? ", over all seeds" : "") +
                             ". 1 is every round; grey is never.");
    if (has_plans(primary_)) round_by_round();
  }

  void round_by_round() {
    const std::string id = "fig-assignments-rounds";
    const int shown = std::min(primary_.rounds, 10), per_row = std::min(shown, 5);
    std::vector<std::vector<std::string>> rows;
    for (int round = 1; round <= shown; ++round) {
      const PlannedRound* planned = primary_.plan_of(round);
      if (!planned) continue;
      Heatmap map;
      map.title = "round " + std::to_string(round);
      map.rows = primary_.clients;
      map.columns = primary_.selectable;
      map.values = placed(planned->plan);
      map.one_colour = colour(primary_.strategy);
      map.zero_colour = kLightGrey;
      map.colour_bar = false;
      const int names = heatmap_margins(map);
      // The panels of a row share its left names, so that their cells can be larger.
      map.row_names = rows.empty() || static_cast<int>(rows.back().size()) == per_row;
      const int room = (kPageWidth - names - 16 * (per_row - 1)) / per_row - 12;
      map.cell_width =
          std::clamp(room / std::max<int>(1, static_cast<int>(map.columns.size())), 3, 16);
      map.cell_height = std::clamp(map.cell_width, 10, 16);
      map.column_names = map.cell_width >= 9;
      if (map.row_names) rows.emplace_back();
      rows.back().push_back(panel(id, draw(map), "Assignment in " + map.title));
    }
    body_ +=
        html_figure(id, "", rows,
                    "Who trains what, round by round (" + primary_name() +
                        "): a coloured cell is a "
                        "unit that the client trains in that round." +
                        (primary_.rounds > shown ? " The first " + std::to_string(shown) + " of " +
                                                       std::to_string(primary_.rounds) + " rounds."
                                                 : std::string()));
  }

  void usage_histograms() {
    section("How evenly the units are used");
    const auto decisions = decisions_of(primary_);
    if (decisions.empty()) {
      paragraph("No round of this run has both scores and a plan.");
      return;
    }
    const std::string id = "fig-usage";
    std::vector<std::string> panels;
    HtmlTable table;
    table.id = "table-usage";
    table.header = {"round", "usage variance before", "usage variance after", "importance before",
                    "importance after"};
    const std::string after_colour = colour(primary_.strategy);
    const int side = panels_in_a_row(primary_.selectable.size());
    for (const Decision& decision : ends(decisions)) {
      BarChart chart;
      chart.title = "round " + std::to_string(decision.round);
      chart.y_label = "clients that train the unit";
      chart.groups = decision.problem.units;
      chart.width = (kPageWidth - 16 * (side - 1)) / side;
      const std::vector<int> before = usage(decision.top_k),
                             after = usage(decision.plan->assignment);
      chart.series = {{kGrey, {before.begin(), before.end()}, {}, {}},
                      {after_colour, {after.begin(), after.end()}, {}, {}}};
      const Objectives top = evaluate(decision.problem, decision.top_k);
      chart.title += ": variance " + fixed(top.usage_variance, 2) + " before, " +
                     fixed(decision.plan->objectives.usage_variance, 2) + " after";
      panels.push_back(panel(id, draw(chart), "Usage of the units in " + chart.title));
      table.rows.push_back({std::to_string(decision.round), fixed(top.usage_variance, 3),
                            fixed(decision.plan->objectives.usage_variance, 3),
                            fixed(top.importance, 3),
                            fixed(decision.plan->objectives.importance, 3)});
    }
    body_ += html_figure(
        id,
        html_legend({{"before planning (each client's best units by score)", kGrey, Mark::kBox},
                     {"after planning (" + primary_.strategy + ")", after_colour, Mark::kBox}}),
        {panels},
        "How many clients train each unit, if every client took its most important units, "
        "and as planned (" +
            primary_name() +
            "). The flatter the bars, the smaller the "
            "usage variance and the more units learn from several clients.");
    body_ += html(table);
  }

  void fronts() {
    section("The trade-off behind the plan");
    const auto decisions = decisions_of(primary_);
    if (decisions.empty()) {
      paragraph("No round of this run has both scores and a plan.");
      return;
    }
    const std::string id = "fig-front";
    const bool exact = decisions.front().plan->algorithm == "exact";
    std::vector<LegendEntry> legend = {
        {exact ? "exact front" : "front found by " + decisions.front().plan->algorithm, kGrey,
         Mark::kCircle},
        {"chosen plan (" + primary_.strategy + ")", colour(primary_.strategy), Mark::kDiamond}};
    std::vector<std::string> panels;
    bool top_k_named = false;
    for (const Decision& decision : ends(decisions)) {
      const bool first = decision.round == decisions.front().round;
      ScatterChart chart;
      chart.title = "round " + std::to_string(decision.round);
      chart.x_label = "usage variance (smaller is more even)";
      chart.y_label = "importance (larger is better)";
      ScatterSeries front{kGrey, Mark::kCircle, 0.7, true, {}, {}};
      for (const Objectives& point : decision.plan->front) {
        front.x.push_back(point.usage_variance);
        front.y.push_back(point.importance);
      }
      chart.series.push_back(std::move(front));
      const auto mark = [&](const Objectives& at, const std::string& colour, Mark shape,
                            double size) {
        chart.series.push_back({colour, shape, size, false, {at.usage_variance}, {at.importance}});
      };
      bool has_top_k = false;
      // Strategies share their foundation, hence their scores, in the first round only.
      for (const std::string& name : first ? experiment_.strategies : std::vector<std::string>{}) {
        const Runs runs = experiment_.of(name);
        const auto same_seed = std::find_if(runs.begin(), runs.end(), [&](const RunFolder* run) {
          return run->seed == primary_.seed && name != primary_.strategy;
        });
        if (same_seed == runs.end()) continue;
        const PlannedRound* planned = (*same_seed)->plan_of(decision.round);
        if (!planned || planned->plan.clients != decision.problem.clients ||
            planned->plan.units != decision.problem.units ||
            !is_feasible(decision.problem, planned->plan.assignment)) {
          continue;
        }
        has_top_k = has_top_k || (*same_seed)->algorithm == "topk";
        const Mark shape = (*same_seed)->algorithm == "topk" ? Mark::kSquare : Mark::kTriangle;
        mark(evaluate(decision.problem, planned->plan.assignment), colour(name), shape, 1.5);
        legend.push_back({name, colour(name), shape});
      }
      if (!has_top_k) {
        mark(evaluate(decision.problem, decision.top_k), "#1f2328", Mark::kSquare, 1.1);
        if (!top_k_named) legend.push_back({"importance alone (top-k)", "#1f2328", Mark::kSquare});
        top_k_named = true;
      }
      mark(decision.plan->objectives, colour(primary_.strategy), Mark::kDiamond, 2.2);
      panels.push_back(panel(id, draw(chart), "Front in " + chart.title));
    }
    body_ += html_figure(
        id, html_legend(legend), {panels},
        "Every point is a way to assign units to clients; none of the front's points can "
        "gain importance without using the units less evenly. The diamond is the plan that "
        "was run (" +
            primary_name() +
            "). A mark below the front gives importance away. Other strategies are shown in the "
            "first round, where all start from the same scores." +
            (exact ? std::string() : distance_text(*decisions.front().plan)));
    gap_table(decisions);
  }

  /// How far a front that need not be exact is from the exact one.
  static std::string distance_text(const Plan& plan) {
    if (!plan.gap.known) return " How far the front is from the exact one was not measured.";
    return " In that round the plan has " + fixed(100 * plan.gap.relative, 2) +
           " % less importance than the exact front at its usage variance, and the front covers " +
           fixed(plan.gap.hypervolume_ratio, 4) + " of the exact front's hypervolume.";
  }

  void gap_table(const std::vector<Decision>& decisions) {
    HtmlTable table;
    table.id = "table-front";
    table.header = {"round",
                    "algorithm",
                    "rule",
                    "points on the front",
                    "importance",
                    "usage variance",
                    "gap to the exact front",
                    "gap %",
                    "hypervolume ratio"};
    table.left_columns = 3;
    for (const Decision& decision : decisions) {
      const Plan& plan = *decision.plan;
      const double known = plan.gap.known ? 1 : kNaN;
      table.rows.push_back(
          {std::to_string(decision.round), plan.algorithm, plan.choose,
           std::to_string(plan.front.size()), fixed(plan.objectives.importance, 4),
           fixed(plan.objectives.usage_variance, 4), text(known * plan.gap.importance, 4),
           text(100 * known * plan.gap.relative, 2), text(known * plan.gap.hypervolume_ratio, 4)});
    }
    // A long table would push the next section out of sight.
    constexpr std::size_t kMostRounds = 6;
    body_ += decisions.size() > kMostRounds
                 ? "<details><summary>Every planned round in numbers</summary>\n" + html(table) +
                       "</details>\n"
                 : html(table);
    paragraph(
        "The gap is the importance that an assignment of the same usage variance could have at "
        "most, "
        "minus the plan's; the hypervolume ratio compares the whole front with the exact supported "
        "one "
        "(1 is as good).");
  }

  void traffic() {
    section("Bytes");
    HtmlTable table;
    table.id = "table-bytes";
    table.header = {"strategy",
                    "MBit up per client and round",
                    "MBit down per client and round",
                    "MBit up in total",
                    "MBit down in total",
                    "MBit in total",
                    "% of full fine-tuning"};
    const double full = full_mbit(primary_);
    for (const std::string& name : experiment_.strategies) {
      const Runs runs = experiment_.of(name);
      const auto column = [&](double RoundMetrics::*value) {
        return over(runs, [&](const RunFolder& run) { return total(run, value); }).mean;
      };
      const double up = column(&RoundMetrics::up_mbit), down = column(&RoundMetrics::down_mbit);
      const auto each = [&](double RoundMetrics::*value) {
        return over(runs, [&](const RunFolder& run) { return share(run, total(run, value)); }).mean;
      };
      const double up_each = each(&RoundMetrics::up_mbit),
                   down_each = each(&RoundMetrics::down_mbit);
      table.rows.push_back({name, text(up_each, 3), text(down_each, 3), text(up, 1), text(down, 1),
                            text(up + down, 1),
                            text(full > 0 ? 100 * (up_each + down_each) / (2 * full) : kNaN, 1)});
    }
    if (full > 0) {
      const double all = full * static_cast<double>(primary_.clients.size()) * primary_.rounds;
      table.rows.push_back({"full fine-tuning (computed)", fixed(full, 3), fixed(full, 3),
                            fixed(all, 1), fixed(all, 1), fixed(2 * all, 1), "100.0"});
    }
    body_ += html(table);
    paragraph(
        "What the clients send to the server (up) and receive from it (down), in 10⁶ bits. The "
        "last row "
        "is what it would cost if every client trained and exchanged all units in every round.");
    HtmlTable clients;
    clients.id = "table-client-bytes";
    clients.header = {"client"};
    for (const std::string& name : experiment_.strategies) {
      clients.header.push_back(name + ", up");
      clients.header.push_back(name + ", down");
    }
    for (const std::string& client : primary_.clients) {
      std::vector<std::string> row = {client};
      for (const std::string& name : experiment_.strategies) {
        for (const auto value : {&RoundMetrics::up_mbit, &RoundMetrics::down_mbit}) {
          row.push_back(text(over(experiment_.of(name),
                                  [&](const RunFolder& run) {
                                    return run.rounds ? total(run, value, client) / run.rounds
                                                      : kNaN;
                                  })
                                 .mean,
                             3));
        }
      }
      clients.rows.push_back(std::move(row));
    }
    body_ += "<details><summary>MBit per round for every client</summary>\n" + html(clients) +
             "</details>\n";
  }

  void coverage() {
    section("Units that nobody trained");
    const std::string id = "fig-coverage";
    std::vector<std::string> panels;
    HtmlTable table;
    table.id = "table-coverage";
    table.header = {"strategy", "round", "units nobody trained"};
    table.left_columns = 3;
    std::size_t rounds = 0;
    for (const std::string& name : experiment_.strategies) {
      const RunFolder& run = *experiment_.of(name).front();
      if (!has_plans(run) || trains_everything(name)) continue;
      Heatmap map;
      map.title = shortened(name, 40);
      map.columns = primary_.selectable;
      map.values.resize(run.rounds, static_cast<Eigen::Index>(map.columns.size()));
      map.high = static_cast<double>(primary_.clients.size());
      for (int round = 1; round <= run.rounds; ++round) {
        map.rows.push_back("round " + std::to_string(round));
        const PlannedRound* planned = run.plan_of(round);
        map.values.row(round - 1).setConstant(kNaN);
        if (!planned) continue;
        ++rounds;
        Eigen::MatrixXd trained = placed(planned->plan);
        for (std::size_t i = 0; i < primary_.clients.size(); ++i) {
          if (!run.used(round, primary_.clients[i]))
            trained.row(static_cast<Eigen::Index>(i)).setZero();
        }
        map.values.row(round - 1) = trained.colwise().sum();
        std::vector<std::string> untrained;
        for (std::size_t l = 0; l < map.columns.size(); ++l) {
          if (map.values(round - 1, static_cast<Eigen::Index>(l)) == 0)
            untrained.push_back(map.columns[l]);
        }
        if (!untrained.empty())
          table.rows.push_back({name, std::to_string(round), joined(untrained)});
      }
      map.decimals = 0;
      map.zero_colour = "#ffd0b5";
      map.value_label = "clients";
      fit(map, panels_in_a_row(map.columns.size()));
      panels.push_back(panel(id, draw(map), "Clients that trained each unit, strategy " + name));
    }
    if (panels.empty()) {
      paragraph("No strategy of this run chooses who trains what.");
      return;
    }
    body_ += html_figure(
        id, "", {panels},
        "How many clients trained each unit in each round" +
            std::string(several_seeds() ? " (first seed)" : "") +
            ". A unit that nobody trained (pale orange) keeps its weights in that round.");
    if (table.rows.empty()) {
      paragraph("Every selectable unit was trained by at least one client in each of the " +
                std::to_string(rounds) + " planned rounds.");
    } else {
      body_ += "<details><summary>The untrained units by name</summary>\n" + html(table) +
               "</details>\n";
    }
  }

  /// Nothing where no run misses an update.
  void missing_updates() {
    HtmlTable table;
    table.id = "table-missing-updates";
    table.header = {"strategy", "seed", "round", "client", "why"};
    table.left_columns = 5;
    for (const RunFolder& run : experiment_.runs) {
      for (const MissingUpdate& update : run.missing) {
        table.rows.push_back({run.strategy, std::to_string(run.seed), std::to_string(update.round),
                              update.client, update.reason});
      }
    }
    if (table.rows.empty()) return;
    paragraph(
        "Updates that were not used, as their clients dropped out, came late, were refused or "
        "were too few: " +
        std::to_string(table.rows.size()) + ".");
    body_ +=
        "<details><summary>The unused updates by client</summary>\n" + html(table) + "</details>\n";
  }

  void configuration() {
    section("Configuration");
    const auto texts = distinct(experiment_.runs, [](const RunFolder& run) { return run.config; });
    for (const std::string& config : texts) {
      std::vector<std::string> names;
      for (const RunFolder& run : experiment_.runs) {
        if (run.config == config)
          names.push_back(run.strategy + ", seed " + std::to_string(run.seed));
      }
      body_ += "<details><summary>config.yaml of " + escape_html(joined(names, "; ")) +
               "</summary>\n<pre>" + escape_html(config) + "</pre></details>\n";
    }
  }

  const Experiment& experiment_;
  const RunFolder& primary_;
  std::string body_;
  int panels_ = 0;
};

}  // namespace

std::string result_text(const std::filesystem::path& folder) {
  if (holds_comparison(folder)) return comparison_text(read_comparison_with_peers(folder));
  const HtmlTable result = result_table(read_run_folders(folder));
  TextTable table(result.header);
  for (const auto& row : result.rows) table.row(row);
  return table.str();
}

std::filesystem::path write_report(const std::filesystem::path& folder) {
  const std::filesystem::path page = folder / "report.html";
  if (holds_comparison(folder)) {
    const auto name = std::filesystem::canonical(folder).filename().string();
    write_file(page, comparison_page(read_comparison_with_peers(folder), name));
    return page;
  }
  const Experiment experiment = read_run_folders(folder);
  write_file(page, Page(experiment).str());
  return page;
}

}  // namespace strata
