#pragma once
/// \file
/// The search for the prices of the least bound, and for the next price on usage variance.
/// Internal.

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>
#include <vector>

#include "core/interrupt.h"

namespace strata::optimizers {

/// Lowers a convex bound by subgradient steps of Polyak's length, as if it could be lowered to
/// `target`, shortened when they fail; deflected (Camerini, Fratta & Maffioli 1975), so that they
/// do not zigzag. `evaluate(prices, gradient)` returns the bound and a subgradient, `done(least)`
/// whether the least bound so far is low enough, `project(prices)` brings prices back to where they
/// are allowed. Returns how often it evaluated, at most `steps`.
template <typename Evaluate, typename Done, typename Project>
int lower_bound_by_subgradients(std::vector<double> prices, double target, int steps,
                                Evaluate evaluate, Done done, Project project) {
  constexpr int kFailures = 4;
  constexpr double kProgress = 0.003;
  const auto product = [](const std::vector<double>& a, const std::vector<double>& b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
  };
  std::vector<double> best = prices, gradient, direction(prices.size(), 0);
  double step = 1, least = std::numeric_limits<double>::infinity();
  for (int iteration = 0, failures = 0; iteration < steps; ++iteration) {
    stop_if_interrupted();
    const double bound = evaluate(prices, gradient);
    const double before = least;
    if (bound < least) {
      least = bound;
      best = prices;
    }
    if (done(least)) return iteration + 1;
    const bool failed = before - least < kProgress * (before - target);
    failures = failed && iteration > 0 ? failures + 1 : 0;
    if (failures == 3 * kFailures) return iteration + 1;
    if (failures > 0 && failures % kFailures == 0) {
      step /= 2;
      prices = best;
      std::fill(direction.begin(), direction.end(), 0.0);
      continue;
    }
    const double turn = product(gradient, direction);
    const double deflection = turn < 0 ? -1.5 * turn / product(direction, direction) : 0.0;
    for (std::size_t i = 0; i < prices.size(); ++i) {
      direction[i] = gradient[i] + deflection * direction[i];
    }
    const double norm = product(direction, direction);
    if (norm == 0) return iteration + 1;
    const double length = step * (bound - target) / norm;
    for (std::size_t i = 0; i < prices.size(); ++i) prices[i] -= length * direction[i];
    project(prices);
  }
  return steps;
}

/// A price on usage variance between the known ones, after the `after`-th.
struct NextPrice {
  double price = 0;
  std::size_t after = 0;
};

/// Where the bound's corner lies farthest above the points, by more than `accuracy` of it; nothing
/// where no supported point can lie in between. `known` is by ascending price; each has `price`,
/// `bound`, `point` and `gap()`.
template <typename Known>
std::optional<NextPrice> widest_corner(const std::vector<Known>& known, double accuracy) {
  std::optional<NextPrice> next;
  double widest = 0;
  for (std::size_t i = 0; i + 1 < known.size(); ++i) {
    const Known& low = known[i];
    const Known& high = known[i + 1];
    const auto& right = low.point.objectives;
    const auto& left = high.point.objectives;
    const double width = right.usage_variance - left.usage_variance;
    if (width <= 0) continue;
    const double slope = (right.importance - left.importance) / width;
    const double corner = (low.bound - high.bound) / (high.price - low.price);
    const double most = low.bound + low.price * corner;
    const double share = std::clamp((corner - left.usage_variance) / width, 0.0, 1.0);
    // A price between the two cannot be expected to leave a smaller gap at its own point.
    const double gap = most - (left.importance + share * (right.importance - left.importance)) -
                       std::min(low.gap(), high.gap());
    if (gap <= accuracy * most || gap <= widest) continue;
    // A slope at either end means that no supported point lies between the two.
    if (!(slope > low.price * (1 + 1e-9) && slope < high.price * (1 - 1e-9))) continue;
    widest = gap;
    next = {slope, i};
  }
  return next;
}

}  // namespace strata::optimizers
