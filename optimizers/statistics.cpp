#include "strata/optimizers/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "core/ranks.h"
#include "strata/core/error.h"

namespace strata::optimizers {
namespace {

constexpr int kMostExactPairs = 50;

/// Divides objectives by their ranges over the exact front.
struct FrontScale {
  double importance = 1, usage_variance = 1;

  explicit FrontScale(const std::vector<Objectives>& exact) {
    const auto [poor, rich] = std::minmax_element(
        exact.begin(), exact.end(),
        [](const Objectives& a, const Objectives& b) { return a.importance < b.importance; });
    const auto [even, uneven] = std::minmax_element(exact.begin(), exact.end(),
                                                    [](const Objectives& a, const Objectives& b) {
                                                      return a.usage_variance < b.usage_variance;
                                                    });
    if (rich->importance > poor->importance) importance = rich->importance - poor->importance;
    if (uneven->usage_variance > even->usage_variance)
      usage_variance = uneven->usage_variance - even->usage_variance;
  }

  double distance(const Objectives& a, const Objectives& b) const {
    // Not std::hypot: glibc's of 2.35 would keep the Python module from systems with an older one.
    const double gain = (a.importance - b.importance) / importance;
    const double loss = (a.usage_variance - b.usage_variance) / usage_variance;
    return std::sqrt(gain * gain + loss * loss);
  }
};

void require_points(const char* indicator, const std::vector<Objectives>& front,
                    const std::vector<Objectives>& exact) {
  if (front.empty()) throw InputError(std::string(indicator) + ": the front is empty");
  if (exact.empty()) throw InputError(std::string(indicator) + ": the exact front is empty");
}

std::vector<Objectives> by_variance(std::vector<Objectives> front) {
  std::sort(front.begin(), front.end(), [](const Objectives& a, const Objectives& b) {
    return a.usage_variance != b.usage_variance ? a.usage_variance < b.usage_variance
                                                : a.importance < b.importance;
  });
  return front;
}

/// Σ t³ − t over the sets of t equal ranks.
double tie_sum(std::vector<int> ranks) {
  std::sort(ranks.begin(), ranks.end());
  double sum = 0;
  for (std::size_t first = 0; first < ranks.size();) {
    std::size_t last = first;
    while (last < ranks.size() && ranks[last] == ranks[first]) ++last;
    const auto t = static_cast<double>(last - first);
    sum += t * t * t - t;
    first = last;
  }
  return sum;
}

/// P(χ² > x), by the recurrence of the incomplete gamma function from one or two degrees up.
double chi_squared_tail(double x, int degrees) {
  const double half = x / 2;
  double tail = degrees % 2 ? std::erfc(std::sqrt(half)) : std::exp(-half);
  for (double a = degrees % 2 ? 0.5 : 1; a < degrees / 2.0; ++a)
    tail += half > 0 ? std::exp(a * std::log(half) - half - std::lgamma(a + 1)) : 0;
  return std::min(1.0, tail);
}

/// Two-sided, for a sum of doubled ranks when every sign is + or − with probability ½.
double exact_p(const std::vector<int>& ranks, int positive_sum) {
  const int total = std::accumulate(ranks.begin(), ranks.end(), 0);
  std::vector<double> probability(static_cast<std::size_t>(total) + 1, 0.0);
  probability[0] = 1;
  int reached = 0;
  for (const int rank : ranks) {
    reached += rank;
    for (int sum = reached; sum >= 0; --sum) {
      const double with = sum >= rank ? probability[sum - rank] : 0.0;
      probability[sum] = 0.5 * (probability[sum] + with);
    }
  }
  // The distribution is symmetric, so the smaller tail is always the left one of the smaller sum.
  const int smaller = std::min(positive_sum, total - positive_sum);
  const double tail = std::accumulate(probability.begin(), probability.begin() + smaller + 1, 0.0);
  return std::min(1.0, 2 * tail);
}

double normal_p(const std::vector<int>& ranks, double positive_sum) {
  const auto n = static_cast<double>(ranks.size());
  std::vector<int> sorted = ranks;
  std::sort(sorted.begin(), sorted.end());
  double ties = 0;
  for (auto first = sorted.begin(); first != sorted.end();) {
    const auto last = std::upper_bound(first, sorted.end(), *first);
    const auto t = static_cast<double>(last - first);
    ties += t * t * t - t;
    first = last;
  }
  const double mean = n * (n + 1) / 4;
  const double variance = n * (n + 1) * (2 * n + 1) / 24 - ties / 48;
  const double off = std::max(0.0, std::abs(positive_sum - mean) - 0.5);
  return std::erfc(off / std::sqrt(2 * variance));
}

}  // namespace

double igd_plus(const std::vector<Objectives>& front, const std::vector<Objectives>& exact) {
  require_points("IGD+", front, exact);
  const FrontScale scale(exact);
  double sum = 0;
  for (const Objectives& target : exact) {
    double least = std::numeric_limits<double>::infinity();
    for (const Objectives& point : front) {
      const double importance =
          std::max(0.0, target.importance - point.importance) / scale.importance;
      const double variance =
          std::max(0.0, point.usage_variance - target.usage_variance) / scale.usage_variance;
      least = std::min(least, importance * importance + variance * variance);
    }
    sum += std::sqrt(least);
  }
  return sum / static_cast<double>(exact.size());
}

double spread(const std::vector<Objectives>& front, const std::vector<Objectives>& exact) {
  require_points("spread", front, exact);
  const FrontScale scale(exact);
  const auto points = by_variance(front), ends = by_variance(exact);
  const double missed =
      scale.distance(points.front(), ends.front()) + scale.distance(points.back(), ends.back());
  std::vector<double> gaps;
  for (std::size_t i = 1; i < points.size(); ++i)
    gaps.push_back(scale.distance(points[i - 1], points[i]));
  const double length = std::accumulate(gaps.begin(), gaps.end(), 0.0);
  const double mean = gaps.empty() ? 0.0 : length / static_cast<double>(gaps.size());
  double uneven = 0;
  for (const double gap : gaps) uneven += std::abs(gap - mean);
  return missed + length > 0 ? (missed + uneven) / (missed + length) : 0.0;
}

Quartiles quartiles(std::vector<double> values) {
  if (values.empty()) throw InputError("quartiles: there is no value");
  if (std::any_of(values.begin(), values.end(), [](double value) { return std::isnan(value); }))
    throw InputError("quartiles: a value is NaN");
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    const double place = share * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const double part = place - static_cast<double>(below);
    // Without this, an infinite neighbour that does not count would give NaN.
    if (part == 0 || values[below] == values[below + 1]) return values[below];
    return values[below] + part * (values[below + 1] - values[below]);
  };
  return {at(0.25), at(0.5), at(0.75)};
}

SignedRankTest wilcoxon_signed_rank(const std::vector<double>& first,
                                    const std::vector<double>& second, double tolerance) {
  if (first.size() != second.size()) {
    throw InputError("signed-rank test: " + std::to_string(first.size()) + " values beside " +
                     std::to_string(second.size()) + "; pairs are needed");
  }
  std::vector<double> sizes;
  std::vector<bool> positive;
  for (std::size_t i = 0; i < first.size(); ++i) {
    const double difference = first[i] - second[i];
    if (std::isnan(difference))
      throw InputError("signed-rank test: pair " + std::to_string(i + 1) + " has no difference");
    if (std::abs(difference) <= tolerance) continue;
    sizes.push_back(std::abs(difference));
    positive.push_back(difference > 0);
  }
  SignedRankTest test;
  test.pairs = static_cast<int>(sizes.size());
  if (sizes.empty()) return test;
  const auto ranks = doubled_ranks(sizes);
  int sum = 0;
  for (std::size_t i = 0; i < ranks.size(); ++i) sum += positive[i] ? ranks[i] : 0;
  test.positive_sum = sum / 2.0;
  test.p = test.pairs <= kMostExactPairs ? exact_p(ranks, sum) : normal_p(ranks, test.positive_sum);
  return test;
}

std::vector<double> holm(const std::vector<double>& p) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
  std::vector<double> adjusted(p.size());
  double greatest = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    greatest = std::max(greatest, static_cast<double>(p.size() - i) * p[order[i]]);
    adjusted[order[i]] = std::min(1.0, greatest);
  }
  return adjusted;
}

std::vector<double> FriedmanTest::against(std::size_t control) const {
  const auto treatments = static_cast<double>(mean_ranks.size());
  const double error = std::sqrt(treatments * (treatments + 1) / (6.0 * blocks));
  std::vector<double> p;
  for (const double rank : mean_ranks)
    p.push_back(std::erfc(std::abs(rank - mean_ranks[control]) / error / std::sqrt(2.0)));
  p[control] = std::numeric_limits<double>::quiet_NaN();
  return p;
}

FriedmanTest friedman(const std::vector<std::vector<double>>& blocks) {
  if (blocks.empty()) throw InputError("Friedman's test: no block");
  const std::size_t treatments = blocks.front().size();
  if (treatments < 2) throw InputError("Friedman's test: two treatments are needed");
  FriedmanTest test;
  test.blocks = static_cast<int>(blocks.size());
  test.mean_ranks.assign(treatments, 0);
  const auto n = static_cast<double>(blocks.size()), k = static_cast<double>(treatments);
  double ties = 0;
  for (const auto& block : blocks) {
    if (block.size() != treatments) throw InputError("Friedman's test: blocks of unequal lengths");
    if (std::any_of(block.begin(), block.end(), [](double value) { return std::isnan(value); }))
      throw InputError("Friedman's test: a value is not a number");
    std::vector<double> worse_first(block);
    for (double& value : worse_first) value = -value;
    const auto ranks = doubled_ranks(worse_first);
    for (std::size_t t = 0; t < treatments; ++t) test.mean_ranks[t] += ranks[t] / (2 * n);
    ties += tie_sum(ranks);
  }
  double squares = 0;
  for (const double rank : test.mean_ranks) squares += (rank - (k + 1) / 2) * (rank - (k + 1) / 2);
  const double correction = 1 - ties / (n * k * (k * k - 1));
  if (correction <= 0) return test;
  test.statistic = 12 * n / (k * (k + 1)) * squares / correction;
  test.p = chi_squared_tail(test.statistic, static_cast<int>(treatments) - 1);
  return test;
}

double vargha_delaney(const std::vector<double>& first, const std::vector<double>& second) {
  if (first.empty() || second.empty()) throw InputError("Vargha and Delaney's A: no value");
  std::vector<double> all(first);
  all.insert(all.end(), second.begin(), second.end());
  if (std::any_of(all.begin(), all.end(), [](double value) { return std::isnan(value); }))
    throw InputError("Vargha and Delaney's A: a value is not a number");
  const auto ranks = doubled_ranks(all);
  const auto m = static_cast<double>(first.size()), n = static_cast<double>(second.size());
  double sum = 0;
  for (std::size_t i = 0; i < first.size(); ++i) sum += ranks[i] / 2.0;
  return (sum / m - (m + 1) / 2) / n;
}

}  // namespace strata::optimizers
