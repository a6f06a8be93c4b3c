#include "report/run_statistics.h"

#include <cmath>

#include "core/console.h"

namespace strata {

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

std::string grouped(std::int64_t value) {
  std::string digits = std::to_string(value), result;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) result += "\u202f";
    result += digits[i];
  }
  return result;
}

std::string joined(const std::vector<std::string>& parts, const char* separator) {
  std::string result;
  for (const std::string& part : parts) result += (result.empty() ? "" : separator) + part;
  return result;
}

std::string counted(std::size_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

double accuracy(const RunFolder& run, int round, const std::string& client) {
  const RoundMetrics* row = run.find(round, client);
  return row ? 100 * row->accuracy : kNaN;
}

int final_round(const RunFolder& run) {
  int round = run.rounds;
  while (round > 0 && std::isnan(accuracy(run, round, "all"))) --round;
  return round;
}

double total(const RunFolder& run, double RoundMetrics::*column, const std::string& client) {
  double sum = 0;
  for (const RoundMetrics& row : run.metrics) {
    const bool wanted =
        client.empty() ? row.client != "all" && row.client != "mean" : row.client == client;
    if (wanted && row.round > 0 && !std::isnan(row.*column)) sum += row.*column;
  }
  return sum;
}

double share(const RunFolder& run, double value) {
  return run.rounds ? value / run.rounds / static_cast<double>(run.clients.size()) : kNaN;
}

double full_mbit(const RunFolder& run) {
  std::int64_t bytes = 0;
  for (const Unit& unit : run.unit_costs) bytes += unit.bytes;
  return 8e-6 * static_cast<double>(bytes);
}

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

}  // namespace strata
