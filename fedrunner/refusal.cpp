#include "fedrunner/refusal.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "fedrunner/client_ranks.h"

namespace strata::fedrunner {
namespace {

/// The first weight with a number that is not finite.
std::string not_finite(const ClientUpdate& update) {
  for (const auto& [name, weight] : update.weights) {
    if (!torch::isfinite(weight).all().item<bool>()) return name;
  }
  return "";
}

/// Not finite where a weight is not: squares of float32 do not overflow float64.
double change_per_step(const ModelState& global, const ClientUpdate& update) {
  std::vector<torch::Tensor> squares;
  double count = 0;
  for (const auto& [name, weight] : update.weights) {
    const auto before = corner(global.at(name), weight.sizes());
    squares.push_back((weight.to(torch::kFloat64) - before).square().sum());
    count += static_cast<double>(weight.numel());
  }
  if (squares.empty()) return 0;
  // One transfer from the device for all weights.
  const auto sums = torch::stack(squares).cpu();
  double total = 0;
  for (std::int64_t i = 0; i < sums.size(0); ++i) total += sums.data_ptr<double>()[i];
  return std::sqrt(total / count) / static_cast<double>(update.steps);
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
    changes[i] = change_per_step(global, updates[i]);
    if (!std::isfinite(changes[i])) {
      reasons[i] = "the weight " + not_finite(updates[i]) + " is not finite";
    } else if (outlier_ratio > 0) {
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

}  // namespace strata::fedrunner
