#include "strata/core/rdp_accountant.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/csv.h"
#include "strata/core/error.h"

namespace strata {
namespace {

const std::vector<int>& orders() {
  static const std::vector<int> all = [] {
    std::vector<int> orders;
    for (int order = 2; order <= 64; ++order) orders.push_back(order);
    for (const int order : {80, 96, 128, 256, 512, 1024}) orders.push_back(order);
    return orders;
  }();
  return all;
}

double log_add(double a, double b) {
  const auto [low, high] = std::minmax(a, b);
  return low == -std::numeric_limits<double>::infinity() ? high
                                                         : high + std::log1p(std::exp(low - high));
}

double log_binomial(int n, int k) {
  return std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1);
}

/// log Σₖ C(α,k) (1 − q)^(α − k) q^k exp(k (k − 1) / (2 σ²)), over α − 1.
double sampled_divergence(double rate, double noise, int order) {
  if (rate == 0) return 0;
  if (rate == 1) return order / (2 * noise * noise);
  double sum = -std::numeric_limits<double>::infinity();
  for (int k = 0; k <= order; ++k) {
    sum =
        log_add(sum, log_binomial(order, k) + k * std::log(rate) + (order - k) * std::log1p(-rate) +
                         static_cast<double>(k) * (k - 1) / (2 * noise * noise));
  }
  return std::max(0.0, sum) / (order - 1);
}

void check(double rate, double noise, std::int64_t count) {
  if (!(rate >= 0 && rate <= 1))
    throw InputError("rate: found " + format_double(rate) + ", allowed is 0 to 1");
  if (!(noise > 0) || !std::isfinite(noise))
    throw InputError("noise: found " + format_double(noise) + ", allowed is above 0");
  if (count < 0)
    throw InputError("steps: found " + std::to_string(count) + ", allowed is 0 or more");
}

}  // namespace

RdpAccountant::RdpAccountant() : divergence_(orders().size(), 0.0) {}

void RdpAccountant::add_sampled(double rate, double noise, std::int64_t steps) {
  check(rate, noise, steps);
  for (std::size_t i = 0; i < divergence_.size(); ++i)
    divergence_[i] += static_cast<double>(steps) * sampled_divergence(rate, noise, orders()[i]);
}

void RdpAccountant::add_gaussian(double noise, std::int64_t releases) {
  add_sampled(1, noise, releases);
}

double RdpAccountant::epsilon(double delta) const {
  if (!(delta > 0 && delta < 1))
    throw InputError("delta: found " + format_double(delta) + ", allowed is above 0 and below 1");
  if (std::all_of(divergence_.begin(), divergence_.end(), [](double d) { return d == 0; }))
    return 0;
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < divergence_.size(); ++i) {
    const double order = orders()[i];
    least = std::min(least, divergence_[i] + std::log1p(-1 / order) -
                                (std::log(delta) + std::log(order)) / (order - 1));
  }
  return std::max(0.0, least);
}

}  // namespace strata
