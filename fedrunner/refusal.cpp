#include "fedrunner/refusal.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

namespace strata {
namespace {

/// The first weight with a number that is not finite, or "".
std::string not_finite(const ClientUpdate& update) {
  for (const auto& [name, weight] : update.weights) {
    if (!torch::isfinite(weight).all().item<bool>()) return name;
  }
  return "";
}

double change_per_step(const ModelState& global, const ClientUpdate& update) {
  double squares = 0, count = 0;
  for (const auto& [name, weight] : update.weights) {
    const auto change = weight.to(torch::kFloat64) - global.at(name);
    squares += change.square().sum().item<double>();
    count += static_cast<double>(weight.numel());
  }
  return std::sqrt(squares / std::max(count, 1.0)) / static_cast<double>(update.steps);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

}  // namespace

std::vector<Refusal> refuse_updates(const ModelState& global, std::vector<ClientUpdate>& updates,
                                    double outlier_ratio) {
  const torch::NoGradGuard no_grad;
  std::vector<std::string> reasons(updates.size());
  std::vector<double> changes(updates.size()), finite;
  for (std::size_t i = 0; i < updates.size(); ++i) {
    reasons[i] = updates[i].failure;
    if (!reasons[i].empty()) continue;
    const auto weight = not_finite(updates[i]);
    if (!weight.empty()) {
      reasons[i] = "the weight " + weight + " is not finite";
    } else if (outlier_ratio > 0) {
      changes[i] = change_per_step(global, updates[i]);
      finite.push_back(changes[i]);
    }
  }
  const double typical = finite.size() < 3 ? 0 : median(finite);
  std::vector<Refusal> refusals;
  std::vector<ClientUpdate> taken;
  for (std::size_t i = 0; i < updates.size(); ++i) {
    if (reasons[i].empty() && typical > 0 && changes[i] > outlier_ratio * typical) {
      reasons[i] = "its weights changed by " + short_number(changes[i]) + " a step, " +
                   short_number(changes[i] / typical) +
                   " times the median of the clients (allowed: " + short_number(outlier_ratio) +
                   " times)";
    }
    if (reasons[i].empty()) {
      taken.push_back(std::move(updates[i]));
    } else {
      refusals.push_back({updates[i].client, reasons[i]});
    }
  }
  updates = std::move(taken);
  return refusals;
}

}  // namespace strata
