#include "fedrunner/run_table.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "core/console.h"
#include "core/infinity.h"
#include "strata/core/error.h"

namespace strata::fedrunner {
namespace {

constexpr double kMebibyte = 1024.0 * 1024.0;
/// A score travels as one float64.
constexpr double kScoreBits = 64;

void set_evaluation(RoundMetrics& row, const tasks::Task& task, const Tally& tally) {
  const auto values = task.values(tally);
  row.test_loss = values.front().second;
  row.values.clear();
  for (std::size_t i = 1; i < values.size(); ++i) row.values.push_back(values[i].second);
}

Tally sum_of(const std::vector<EvaluateResult>& evaluations) {
  Tally sum;
  for (const auto& evaluation : evaluations) sum += evaluation.tally;
  return sum;
}

/// The mean over the rows in which the value is defined, weighted; NaN where there is none.
template <typename Value, typename Weight>
double weighted_mean(const std::vector<RoundMetrics>& rows, Value value, Weight weight) {
  Sum sum;
  for (const auto& row : rows) {
    const double found = value(row), of = weight(row);
    if (!std::isnan(found)) sum.add(of * found, of);
  }
  return sum.mean();
}

double total(const std::vector<RoundMetrics>& rows, double RoundMetrics::*value) {
  double sum = 0;
  for (const auto& row : rows) sum += row.*value;
  return sum;
}

/// Of the units those with these names, in megabits (10⁶ bits) of float32 weights.
double megabits(const std::vector<Unit>& units, const std::vector<std::string>& names) {
  const std::set<std::string> wanted(names.begin(), names.end());
  double bits = 0;
  for (const auto& unit : units) {
    if (wanted.count(unit.name)) bits += 8.0 * static_cast<double>(unit.bytes);
  }
  return bits / 1e6;
}

}  // namespace

std::vector<ClientSize> client_sizes(const std::vector<Order>& orders,
                                     const std::vector<std::optional<Reply>>& replies,
                                     const RoundTable& earlier) {
  std::vector<ClientSize> sizes;
  for (std::size_t i = 0; i < orders.size(); ++i) {
    const std::string& client = orders[i].client;
    if (replies[i]) {
      const auto& hello = std::get<HelloResult>(replies[i]->result);
      sizes.push_back({client, hello.train_samples, hello.test_samples});
      continue;
    }
    const auto row = std::find_if(earlier.rows.begin(), earlier.rows.end(),
                                  [&](const RoundMetrics& of) { return of.client == client; });
    if (row == earlier.rows.end())
      throw WorkError("client " + client + " has not said how much data it has");
    sizes.push_back({client, row->train_samples, row->test_samples});
  }
  return sizes;
}

TrainingRows training_rows(const std::vector<ClientSize>& clients, const Traffic& traffic,
                           const std::vector<ClientUpdate>& updates) {
  std::map<std::string, const ClientUpdate*> by_client;
  for (const auto& update : updates) by_client[update.client] = &update;
  TrainingRows rows;
  for (const auto& client : clients) {
    auto& row = rows.emplace_back();
    row.train_loss = kNaN;
    const auto own = traffic.own ? traffic.own(rows.size() - 1) : std::nullopt;
    const UnitTraffic& units = own ? *own : traffic.units;
    row.down_mbit = megabits(units.received, traffic.changed);
    row.up_mbit = kScoreBits * static_cast<double>(traffic.scored) / 1e6;
    const auto found = by_client.find(client.name);
    if (found == by_client.end()) continue;
    const ClientUpdate& update = *found->second;
    row.train_loss = update.train_loss;
    row.seconds = update.seconds;
    row.peak_memory_mib =
        update.peak_memory ? static_cast<double>(*update.peak_memory) / kMebibyte : kNaN;
    row.up_mbit += megabits(units.sent, update.units);
  }
  return rows;
}

void RunTable::resume(RoundTable table, int round,
                      const std::function<bool(int round)>& evaluated) {
  table_ = std::move(table);
  auto& rows = table_.rows;
  rows.erase(
      std::remove_if(rows.begin(), rows.end(), [&](const auto& row) { return row.round > round; }),
      rows.end());
  for (auto& row : rows) {
    if (!evaluated(row.round)) set_evaluation(row, *task_, {});
  }
}

void RunTable::add(int round, TrainingRows training, const std::vector<EvaluateResult>& evaluations,
                   const Objectives& plan) {
  auto rows = std::move(training);
  rows.resize(clients_.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    auto& row = rows[i];
    row.round = round;
    row.client = clients_[i].name;
    row.train_samples = clients_[i].train_samples;
    row.test_samples = clients_[i].test_samples;
    row.importance = row.usage_variance = kNaN;
    if (round == 0) row.train_loss = kNaN;
    set_evaluation(row, *task_, evaluations[i].tally);
  }
  RoundMetrics all = all_row(round, rows, evaluations);
  all.importance = plan.importance;
  all.usage_variance = plan.usage_variance;
  const RoundMetrics mean = mean_row(all, rows);
  table_.rows.insert(table_.rows.end(), rows.begin(), rows.end());
  table_.rows.push_back(all);
  table_.rows.push_back(mean);
}

void RunTable::measure(const std::vector<EvaluateResult>& evaluations) {
  auto& rows = table_.rows;
  const auto first = rows.end() - static_cast<std::ptrdiff_t>(clients_.size()) - 2;
  const RoundMetrics all = *(rows.end() - 2);
  TrainingRows training(first, rows.end() - 2);
  rows.erase(first, rows.end());
  add(all.round, std::move(training), evaluations, {all.importance, all.usage_variance});
}

bool RunTable::measured() const {
  return !std::isnan((table_.rows.end() - 2)->test_loss);
}

RoundMetrics RunTable::all_row(int round, const std::vector<RoundMetrics>& rows,
                               const std::vector<EvaluateResult>& evaluations) const {
  RoundMetrics all;
  all.round = round;
  all.client = kAllRow;
  all.peak_memory_mib = kNaN;
  for (const auto& row : rows) {
    all.train_samples += row.train_samples;
    all.test_samples += row.test_samples;
    all.peak_memory_mib = std::fmax(all.peak_memory_mib, row.peak_memory_mib);
  }
  const auto by_samples = [](const RoundMetrics& row) {
    return static_cast<double>(row.train_samples);
  };
  all.train_loss = weighted_mean(rows, std::mem_fn(&RoundMetrics::train_loss), by_samples);
  set_evaluation(all, *task_, sum_of(evaluations));
  for (const auto value :
       {&RoundMetrics::up_mbit, &RoundMetrics::down_mbit, &RoundMetrics::seconds}) {
    all.*value = total(rows, value);
  }
  return all;
}

RoundMetrics RunTable::mean_row(const RoundMetrics& all,
                                const std::vector<RoundMetrics>& rows) const {
  const auto count = static_cast<std::int64_t>(rows.size());
  const auto equally = [](const RoundMetrics&) { return 1.0; };
  RoundMetrics mean;
  mean.round = all.round;
  mean.client = kMeanRow;
  mean.train_samples = all.train_samples / count;
  mean.test_samples = all.test_samples / count;
  for (std::size_t metric = 0; metric < table_.metrics.size(); ++metric) {
    const auto value = [metric](const RoundMetrics& row) { return row.values[metric]; };
    mean.values.push_back(weighted_mean(rows, value, equally));
  }
  for (const auto value :
       {&RoundMetrics::train_loss, &RoundMetrics::test_loss, &RoundMetrics::up_mbit,
        &RoundMetrics::down_mbit, &RoundMetrics::seconds, &RoundMetrics::peak_memory_mib}) {
    mean.*value = weighted_mean(rows, std::mem_fn(value), equally);
  }
  mean.importance = mean.usage_variance = kNaN;
  return mean;
}

std::string RunTable::summary() const {
  const auto &all = table_.rows[table_.rows.size() - 2], &mean = table_.rows.back();
  return "round " + std::to_string(all.round) + ": " + table_.metrics.front() + " " +
         fixed(all.values.front(), 4) + " (mean over clients " + fixed(mean.values.front(), 4) +
         "), loss " + fixed(all.test_loss, 4) +
         (all.round > 0 ? ", " + fixed(all.up_mbit, 2) + " MBit up, " + fixed(all.seconds, 1) +
                              " s of training"
                        : ", the foundation as it is");
}

std::vector<QuestionResult> question_results(int round, const std::vector<ClientSize>& clients,
                                             const std::vector<EvaluateResult>& evaluations) {
  std::vector<QuestionResult> rows;
  for (std::size_t i = 0; i < clients.size(); ++i) {
    const auto &right = evaluations[i].right, &majority = evaluations[i].majority;
    for (std::size_t q = 0; q < majority.size(); ++q) {
      rows.push_back({round, clients[i].name, static_cast<std::int64_t>(q), right[q], majority[q]});
    }
  }
  return rows;
}

}  // namespace strata::fedrunner
