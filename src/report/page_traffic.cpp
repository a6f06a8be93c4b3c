#include "report/page.h"

#include "core/console.h"
#include "report/run_statistics.h"

namespace strata::report {

void add_traffic(Page& page) {
  page.section("Bytes");
  HtmlTable table;
  table.id = "table-bytes";
  table.header = {"strategy",
                  "MBit up per client and round",
                  "MBit down per client and round",
                  "MBit up in total",
                  "MBit down in total",
                  "MBit in total",
                  "% of full fine-tuning"};
  const double full = full_mbit(page.primary);
  for (const std::string& name : page.experiment.strategies) {
    const Runs runs = page.experiment.of(name);
    const auto column = [&](double fedrunner::RoundMetrics::*value) {
      return over(runs, [&](const RunFolder& run) { return total(run, value); }).mean;
    };
    const double up = column(&fedrunner::RoundMetrics::up_mbit),
                 down = column(&fedrunner::RoundMetrics::down_mbit);
    const auto each = [&](double fedrunner::RoundMetrics::*value) {
      return over(runs, [&](const RunFolder& run) { return share(run, total(run, value)); }).mean;
    };
    const double up_each = each(&fedrunner::RoundMetrics::up_mbit),
                 down_each = each(&fedrunner::RoundMetrics::down_mbit);
    table.rows.push_back({name, text(up_each, 3), text(down_each, 3), text(up, 1), text(down, 1),
                          text(up + down, 1),
                          text(full > 0 ? 100 * (up_each + down_each) / (2 * full) : kNaN, 1)});
  }
  if (full > 0) {
    const double all =
        full * static_cast<double>(page.primary.clients.size()) * page.primary.rounds;
    table.rows.push_back({"full fine-tuning (computed)", fixed(full, 3), fixed(full, 3),
                          fixed(all, 1), fixed(all, 1), fixed(2 * all, 1), "100.0"});
  }
  page.body += html(table);
  page.paragraph(
      "What the clients send to the server (up) and receive from it (down), in 10⁶ bits. The "
      "last row "
      "is what it would cost if every client trained and exchanged all units in every round.");
  HtmlTable clients;
  clients.id = "table-client-bytes";
  clients.header = {"client"};
  for (const std::string& name : page.experiment.strategies) {
    clients.header.push_back(name + ", up");
    clients.header.push_back(name + ", down");
  }
  for (const std::string& client : page.primary.clients) {
    std::vector<std::string> row = {client};
    for (const std::string& name : page.experiment.strategies) {
      for (const auto value :
           {&fedrunner::RoundMetrics::up_mbit, &fedrunner::RoundMetrics::down_mbit}) {
        row.push_back(text(over(page.experiment.of(name),
                                [&](const RunFolder& run) {
                                  return run.rounds ? total(run, value, client) / run.rounds : kNaN;
                                })
                               .mean,
                           3));
      }
    }
    clients.rows.push_back(std::move(row));
  }
  page.body += html_details("MBit per round for every client", html(clients));
}

void add_missing_updates(Page& page) {
  HtmlTable table;
  table.id = "table-missing-updates";
  table.header = {"strategy", "seed", "round", "client", "why"};
  table.left_columns = 5;
  for (const RunFolder& run : page.experiment.runs) {
    for (const MissingUpdate& update : run.missing) {
      table.rows.push_back({run.strategy, std::to_string(run.seed), std::to_string(update.round),
                            update.client, update.reason});
    }
  }
  if (table.rows.empty()) return;
  page.paragraph(
      "Updates that were not used, as their clients dropped out, came late, were refused or "
      "were too few: " +
      std::to_string(table.rows.size()) + ".");
  page.body += html_details("The unused updates by client", html(table));
}

}  // namespace strata::report
