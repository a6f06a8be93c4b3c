#include "report/run_statistics.h"

#include <cmath>

#include "core/console.h"

namespace strata::report {

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

std::string signed_text(double value, int decimals) {
  const std::string size = text(std::abs(value), decimals);
  if (std::isnan(value) || size == text(0, decimals)) return size;
  return (value < 0 ? "−" : "+") + size;
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

std::string counted(std::size_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

double accuracy(const RunFolder& run, int round, const std::string& client) {
  const fedrunner::RoundMetrics* row = run.find(round, client);
  return row ? 100 * row->values.front() : kNaN;
}

int final_round(const RunFolder& run) {
  int round = run.rounds;
  while (round > 0 && std::isnan(accuracy(run, round, fedrunner::kAllRow))) --round;
  return round;
}

double total(const RunFolder& run, double fedrunner::RoundMetrics::*column,
             const std::string& client) {
  double sum = 0;
  for (const fedrunner::RoundMetrics& row : run.metrics) {
    const bool wanted = client.empty() ? !row.is_aggregate() : row.client == client;
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

HtmlTable result_table(const Experiment& experiment, const Result& result) {
  const bool several = experiment.runs.size() > experiment.strategies.size();
  const auto interval = [](const Interval& known) {
    return std::isnan(known.low) ? "–" : text(known.low, 1) + " to " + text(known.high, 1);
  };
  HtmlTable table;
  table.id = "table-result";
  table.header = {"strategy"};
  if (several) table.header.push_back("seeds");
  table.header.insert(table.header.end(), {result.metric + ", %", "95 % interval"});
  if (!result.equal_clients) table.header.push_back("client mean, %");
  table.header.insert(table.header.end(), {"upload, MBit", "traffic, MBit", "training, s"});
  const auto start = [&](const std::string& name, const std::string& seeds) {
    std::vector<std::string> row = {name};
    if (several) row.push_back(seeds);
    return row;
  };
  const auto mean_over_clients = [&](std::vector<std::string>& row, double value) {
    if (!result.equal_clients) row.push_back(text(value, 1));
  };
  for (const StrategyResult& strategy : result.strategies) {
    const Runs runs = experiment.of(strategy.strategy);
    auto row = start(strategy.strategy, std::to_string(runs.size()));
    row.push_back(text(strategy.accuracy.value, 1));
    row.push_back(interval(strategy.accuracy));
    mean_over_clients(row, over(runs, [](const RunFolder& run) {
                             return accuracy(run, final_round(run), fedrunner::kMeanRow);
                           }).mean);
    const auto cost = [&](const auto& of, int decimals) {
      row.push_back(text(over(runs, of).mean, decimals));
    };
    cost(
        [](const RunFolder& run) {
          return share(run, total(run, &fedrunner::RoundMetrics::up_mbit));
        },
        2);
    cost(
        [](const RunFolder& run) {
          return total(run, &fedrunner::RoundMetrics::up_mbit) +
                 total(run, &fedrunner::RoundMetrics::down_mbit);
        },
        1);
    cost([](const RunFolder& run) { return total(run, &fedrunner::RoundMetrics::seconds); }, 1);
    table.rows.push_back(std::move(row));
  }
  const auto reference = [&](const std::string& name, const Interval& known, double mean) {
    auto row = start(name, "–");
    row.push_back(text(known.value, 1));
    row.push_back(interval(known));
    mean_over_clients(row, mean);
    row.resize(table.header.size(), "–");
    table.rows.push_back(std::move(row));
    ++table.reference_rows;
  };
  const RunFolder& first = *experiment.of(experiment.strategies.front()).front();
  reference("before training", result.before, accuracy(first, 0, fedrunner::kMeanRow));
  if (!std::isnan(result.majority)) {
    double mean = 0;
    for (const double client : result.client_majority)
      mean += client / static_cast<double>(result.client_majority.size());
    reference(kMajority, {result.majority, kNaN, kNaN}, mean);
  }
  return table;
}

namespace {

/// In which metrics are shown.
struct MetricUnit {
  std::string name;
  double factor;
};
const MetricUnit kShare{"%", 100};
/// Those that are no shares.
const std::map<std::string, MetricUnit> kOtherUnits = {{"hd95", {"mm", 1}}};

const MetricUnit& unit_of(const std::string& metric) {
  const auto found = kOtherUnits.find(metric);
  return found == kOtherUnits.end() ? kShare : found->second;
}

}  // namespace

HtmlTable metrics_table(const Experiment& experiment) {
  const RunFolder& first = *experiment.of(experiment.strategies.front()).front();
  HtmlTable table;
  table.id = "table-metrics";
  table.wide = true;
  table.header = {"strategy"};
  for (std::string name : first.metric_names) {
    const std::string unit = unit_of(name).name;
    std::replace(name.begin(), name.end(), '_', ' ');  // so that a narrow page can break it
    table.header.push_back(name + ", " + unit);
  }
  if (first.metric_names.size() < 2) return table;
  const auto value = [](const RunFolder& run, int round, std::size_t metric) {
    const fedrunner::RoundMetrics* row = run.find(round, fedrunner::kAllRow);
    return row ? unit_of(run.metric_names[metric]).factor * row->values.at(metric) : kNaN;
  };
  for (const std::string& strategy : experiment.strategies) {
    std::vector<std::string> row = {strategy};
    for (std::size_t metric = 0; metric < first.metric_names.size(); ++metric) {
      row.push_back(
          text(over(experiment.of(strategy),
                    [&](const RunFolder& run) { return value(run, final_round(run), metric); })
                   .mean,
               1));
    }
    table.rows.push_back(std::move(row));
  }
  std::vector<std::string> before = {"before training"};
  for (std::size_t metric = 0; metric < first.metric_names.size(); ++metric)
    before.push_back(text(value(first, 0, metric), 1));
  table.rows.push_back(std::move(before));
  table.reference_rows = 1;
  return table;
}

}  // namespace strata::report
