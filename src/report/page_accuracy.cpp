#include "report/page.h"

#include <algorithm>

#include "report/run_statistics.h"

namespace strata {
namespace {

LineChart accuracy_chart(const Page& page, const char* client, const char* title) {
  LineChart chart;
  chart.title = title;
  chart.x_label = "round (0 = before training)";
  chart.y_label = "test accuracy, %";
  for (const std::string& name : page.experiment.strategies) {
    const Runs runs = page.experiment.of(name);
    LineSeries series;
    series.colour = page.colour(name);
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

}  // namespace

void add_result(Page& page) {
  page.section("Result");
  page.body += html(result_table(page.experiment));
  page.paragraph(
      std::string("Accuracy of the last evaluated round on the clients' test questions: weighted "
                  "by each client's number of questions, and as the plain mean over clients. "
                  "Seconds are the clients' local training, added up.") +
      (page.several_seeds()
           ? " Mean over the seeds, in brackets the lowest and the highest where they differ."
           : ""));
}

void add_accuracy_curves(Page& page) {
  page.section("Accuracy over the rounds");
  const std::string id = "fig-accuracy";
  page.body += html_figure(
      id, html_legend(page.strategy_legend(Mark::kLine)),
      {{page.panel(id, draw(accuracy_chart(page, "all", "weighted by test questions")),
                   "Accuracy over rounds, weighted by test questions"),
        page.panel(id, draw(accuracy_chart(page, "mean", "plain mean over clients")),
                   "Accuracy over rounds, plain mean over clients")}},
      std::string(
          "How often the aggregated model answers the clients' test questions correctly after "
          "each round.") +
          (page.several_seeds()
               ? " Lines are means over the seeds, bands reach from the worst to the best seed."
               : ""));
}

void add_client_accuracy(Page& page) {
  const std::string id = "fig-client-accuracy";
  constexpr std::size_t kMostInAPanel = 16;
  const auto& clients = page.primary.clients;
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
    for (const std::string& name : page.experiment.strategies) {
      const Runs runs = page.experiment.of(name);
      BarSeries series;
      series.colour = page.colour(name);
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
      chart.reference.push_back(accuracy(page.primary, 0, client));
    rows.push_back({page.panel(id, draw(chart), "Final accuracy of every client")});
  }
  auto legend = page.strategy_legend(Mark::kBox);
  legend.push_back({"before training", "#1f2328", Mark::kDash});
  page.body += html_figure(
      id, html_legend(legend), rows,
      std::string("Each client's own test accuracy after the last evaluated round; the "
                  "dashed line is the model before any training.") +
          (page.several_seeds() ? " Bars are means over the seeds, whiskers their range." : ""));
}

}  // namespace strata
