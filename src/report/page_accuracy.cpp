#include "report/page.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "core/text.h"
#include "report/run_statistics.h"

namespace strata::report {
namespace {

constexpr const char* kMajorityDashes = "6,4";
constexpr const char* kBeforeDashes = "2,3";

LineChart accuracy_chart(const Page& page, const std::string& client, const char* title) {
  LineChart chart;
  chart.title = title;
  chart.x_label = "round (0 = before training)";
  chart.y_label = "test " + page.result.metric + ", %";
  for (const std::string& name : page.experiment.strategies) {
    const Runs runs = page.experiment.of(name);
    LineSeries series;
    series.colour = page.colour(name);
    series.mark = series_mark(page.place(name));
    series.dashes = series_dashes(page.place(name));
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

/// Strategies whose lines are the same to what can be seen, in sets of two or more.
std::string equal_lines(const Page& page, const LineChart& chart) {
  const auto& names = page.experiment.strategies;
  std::vector<bool> named(names.size());
  std::vector<std::string> sets;
  for (std::size_t i = 0; i < names.size(); ++i) {
    std::vector<std::string> set = {names[i]};
    for (std::size_t j = i + 1; j < names.size(); ++j) {
      const auto &a = chart.series[i], &b = chart.series[j];
      const bool equal =
          a.x == b.x && std::equal(a.y.begin(), a.y.end(), b.y.begin(),
                                   [](double x, double y) { return std::abs(x - y) < 0.05; });
      if (!equal || named[j]) continue;
      set.push_back(names[j]);
      named[j] = true;
    }
    if (set.size() > 1) sets.push_back(joined(set, " and "));
  }
  return sets.empty() ? "" : " Lines that lie on each other: " + joined(sets, "; ") + ".";
}

/// What every strategy reached, with its interval, beside the two references.
IntervalChart final_chart(const Page& page) {
  IntervalChart chart;
  chart.title = "at the end, with 95 % intervals";
  chart.x_label = "test " + page.result.metric + ", %";
  chart.rows = page.experiment.strategies;
  chart.series_height = 20;
  chart.one_a_row = true;
  for (std::size_t i = 0; i < chart.rows.size(); ++i) {
    const Interval& known = page.result.strategies[i].accuracy;
    IntervalSeries series{series_colour(i), series_mark(i), {}, {}, {}};
    series.values.assign(chart.rows.size(), kNaN);
    series.low = series.high = series.values;
    series.values[i] = known.value;
    series.low[i] = known.low;
    series.high[i] = known.high;
    chart.series.push_back(std::move(series));
  }
  chart.references.push_back({page.result.before.value, kGrey, kBeforeDashes});
  if (!std::isnan(page.result.majority))
    chart.references.push_back({page.result.majority, kInk, kMajorityDashes});
  return chart;
}

HtmlTable contrast_table(const Result& result) {
  HtmlTable table;
  table.id = "table-differences";
  table.header = {"first", "second",   "difference, points", "95 % interval",
                  "over",  "p (Holm)", "told apart"};
  table.left_columns = 2;
  for (const Contrast& contrast : result.contrasts) {
    const Interval& d = contrast.difference.interval;
    table.rows.push_back(
        {contrast.first, contrast.second, signed_text(d.value, 1),
         std::isnan(d.low) ? "–" : signed_text(d.low, 1) + " to " + signed_text(d.high, 1),
         contrast.over == Over::kSeeds ? "seeds, paired"
         : contrast.paired             ? "questions, paired"
                                       : "questions, not paired",
         contrast.adjusted_p < 0.0001 ? "< 0.0001" : text(contrast.adjusted_p, 4),
         contrast.distinguishable() ? "yes" : "no"});
  }
  return table;
}

/// How the intervals and p-values are made, and what they leave out.
std::string method(const Result& result) {
  bool seeds = false, paired = false, unpaired = false;
  for (const Contrast& contrast : result.contrasts) {
    seeds = seeds || contrast.over == Over::kSeeds;
    paired = paired || (contrast.over == Over::kQuestions && contrast.paired);
    unpaired = unpaired || !contrast.paired;
  }
  std::string text = "Differences are those of the accuracy over all questions.";
  if (seeds)
    text +=
        " Over seeds: Student's interval and test of the differences between runs of the same "
        "seed. They tell what other seeds would give on these test questions, not what other "
        "questions would.";
  if (paired)
    text +=
        " Over questions, paired: both answered the same questions; the interval is Agresti and "
        "Min's, the test McNemar's exact one. They tell what other questions would give with this "
        "seed, not what other seeds would, and take the questions as independent, also those "
        "about one image.";
  if (unpaired)
    text +=
        " Over questions, not paired: the runs left no questions.csv, or had other questions; the "
        "interval is Agresti and Caffo's, with the test that belongs to it, and wider than a "
        "paired one would be.";
  return text + " p is corrected for all " + std::to_string(result.contrasts.size()) +
         " comparisons (Holm); told apart means p below 0.05.";
}

std::string capitalised(std::string text) {
  text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
  return text;
}

std::string what_is_shown(const Result& result) {
  return result.judged
             ? "How often the aggregated model answers the clients' test questions correctly"
             : "The aggregated model's " + result.metric + " on the clients' test volumes";
}

}  // namespace

void add_result(Page& page) {
  const Result& result = page.result;
  if (const std::string text = verdict(result); !text.empty()) page.paragraph(text, "verdict");
  page.body += html(result_table(page.experiment, result));
  page.paragraph(
      "Upload is what a client sends in a round, traffic all that was sent both ways, "
      "training the clients' local training added up" +
          std::string(page.several_seeds() ? "; means over the seeds." : "."),
      "note");
  if (const HtmlTable metrics = metrics_table(page.experiment); !metrics.rows.empty())
    page.body += html_details("Every metric of the task", html(metrics));
  const std::string id = "fig-accuracy";
  LineChart curves =
      accuracy_chart(page, fedrunner::kAllRow,
                     result.equal_clients ? "over the rounds" : "over the rounds, all questions");
  const std::string equal = equal_lines(page, curves);
  auto legend = page.strategy_legend(true);
  if (!std::isnan(result.majority)) {
    curves.references.push_back({result.majority, kInk, kMajorityDashes});
    legend.push_back({kMajority, kInk, Mark::kDash, true, kMajorityDashes});
  }
  legend.push_back({"before training", kGrey, Mark::kDash, true, kBeforeDashes});
  page.body += html_figure(
      id, html_legend(legend),
      {{page.panel(id, draw(final_chart(page)), "Final " + result.metric + " with 95 % intervals"),
        page.panel(id, draw(curves),
                   capitalised(result.metric) + " over rounds, all test questions")}},
      what_is_shown(result) + ": after the last evaluated round, with " + interval_kind(result) +
          ", and over the rounds." +
          (page.several_seeds()
               ? " Lines are means over the seeds, bands reach from the worst to the best seed."
               : "") +
          (std::isnan(result.majority)
               ? ""
               : " The most frequent answer is what a model reaches that gives every client its "
                 "most frequent training answer, whatever the image and the question.") +
          equal +
          (result.questions_known || !result.judged
               ? ""
               : " How often the most frequent answer is right is not known, and differences are "
                 "not paired by question: not every run has a questions.csv (runs of an earlier "
                 "Strata left none)."));
  if (!result.contrasts.empty()) {
    page.body += html_details("Which differences can be told from chance",
                              html(contrast_table(result)) + "<p class=\"note\">" +
                                  escape_html(method(result)) + "</p>\n");
  }
}

void add_client_accuracy(Page& page) {
  page.section("The clients");
  const std::string id = "fig-client-accuracy";
  const Result& result = page.result;
  const auto& clients = page.primary.clients;
  constexpr std::size_t kMostInAPanel = 6;
  const std::size_t in_a_panel =
      clients.size() > kMostInAPanel ? (clients.size() + 1) / 2 : clients.size();
  std::vector<std::string> panels;
  for (std::size_t from = 0; from < clients.size(); from += in_a_panel) {
    const std::size_t to = std::min(clients.size(), from + in_a_panel);
    IntervalChart chart;
    chart.x_label = "test " + page.result.metric + ", %";
    IntervalSeries before{kGrey, Mark::kTick, {}, {}, {}}, majority{kInk, Mark::kTick, {}, {}, {}};
    for (std::size_t i = from; i < to; ++i) {
      chart.rows.push_back(shortened(clients[i], 20) + " (" + grouped(result.client_questions[i]) +
                           ")");
      before.values.push_back(accuracy(page.primary, 0, clients[i]));
      majority.values.push_back(result.client_majority[i]);
    }
    chart.ticks = {before, majority};
    for (const std::string& name : page.experiment.strategies) {
      IntervalSeries series{page.colour(name), series_mark(page.place(name)), {}, {}, {}};
      for (std::size_t i = from; i < to; ++i) {
        const Interval known = client_accuracy(page.experiment.of(name), -1, clients[i]);
        series.values.push_back(known.value);
        series.low.push_back(known.low);
        series.high.push_back(known.high);
      }
      chart.series.push_back(std::move(series));
    }
    panels.push_back(page.panel(id, draw(chart), "Final " + result.metric + " of every client"));
  }
  auto legend = page.strategy_legend(false);
  if (!std::isnan(result.majority)) legend.push_back({kMajority, kInk, Mark::kTick});
  legend.push_back({"before training", kGrey, Mark::kTick});
  page.body +=
      html_figure(id, html_legend(legend), {panels},
                  "Each client's own test " + result.metric +
                      " after the last evaluated round, its number of test " +
                      (result.judged ? "questions in brackets. The " + interval_kind(result) +
                                           " of single clients are wide."
                                     : "stacks in brackets."));
  if (result.equal_clients) return;
  const std::string plain = "fig-accuracy-plain";
  page.body += html_figure(
      plain, html_legend(page.strategy_legend(true)),
      {{page.panel(
          plain,
          draw(accuracy_chart(page, fedrunner::kMeanRow, "over the rounds, mean over clients")),
          capitalised(result.metric) + " over rounds, plain mean over clients")}},
      "The plain mean over the clients: every client counts alike, however many test "
      "questions it has.");
}

}  // namespace strata::report
