#pragma once
/// \file
/// What the page says of an experiment in numbers: over seeds, rounds and clients, and as text.

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "core/infinity.h"
#include "report/html.h"
#include "report/result.h"
#include "report/run_folder.h"

namespace strata::report {

/// Mean and range over seeds; NaN values are left out.
struct Spread {
  double mean = kNaN, low = kNaN, high = kNaN;
  std::size_t count = 0;
};
Spread spread(const std::vector<double>& values);

/// "–" for NaN.
std::string text(double value, int decimals);
/// "+5.2", "−3.1", "0.0" and "–" for NaN.
std::string signed_text(double value, int decimals);
/// "37.5", or "37.5 (36.0–39.1)" where the values differ.
std::string text(const Spread& s, int decimals);
/// 1234567 with narrow spaces between the thousands.
std::string grouped(std::int64_t value);
/// "1 unit", "2 units".
std::string counted(std::size_t count, const std::string& noun);

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

using Runs = std::vector<const RunFolder*>;

/// One number of every run, spread over the seeds.
template <typename Of>
Spread over(const Runs& runs, Of&& of) {
  std::vector<double> values;
  for (const RunFolder* run : runs) values.push_back(of(*run));
  return spread(values);
}

/// In percent; NaN in rounds that were not evaluated.
double accuracy(const RunFolder& run, int round, const std::string& client);
/// The last round that was evaluated (not every round need be).
int final_round(const RunFolder& run);
/// Sums a column over all clients and rounds after the first, or over one client.
double total(const RunFolder& run, double fedrunner::RoundMetrics::*column,
             const std::string& client = "");
/// Per client and round.
double share(const RunFolder& run, double value);
/// The whole model one way, 10⁶ bits.
double full_mbit(const RunFolder& run);

/// One row a strategy: what it reached and what it cost; then, to hold them against, the foundation
/// and the most frequent answer, where that is known.
HtmlTable result_table(const Experiment& experiment, const Result& result);

/// Every metric of the task over all test examples after the last evaluated round, in percent: a
/// row a strategy, means over its seeds, and the foundation's. No rows where there is one metric
/// alone.
HtmlTable metrics_table(const Experiment& experiment);

}  // namespace strata::report
