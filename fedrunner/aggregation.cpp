#include "fedrunner/aggregation.h"

#include <algorithm>

namespace strata {

std::vector<UnitUse> aggregate(ModelState& global, const std::vector<Unit>& units,
                               const std::vector<ClientUpdate>& updates) {
  const torch::NoGradGuard no_grad;
  std::vector<const ClientUpdate*> by_name;
  for (const auto& update : updates) by_name.push_back(&update);
  std::sort(by_name.begin(), by_name.end(),
            [](const auto* a, const auto* b) { return a->client < b->client; });

  std::vector<UnitUse> uses;
  for (const auto& unit : units) {
    UnitUse use{unit.name, {}};
    std::vector<const ClientUpdate*> trainers;
    double samples = 0;
    for (const auto* update : by_name) {
      if (std::find(update->units.begin(), update->units.end(), unit.name) == update->units.end())
        continue;
      trainers.push_back(update);
      use.clients.push_back(update->client);
      samples += static_cast<double>(update->samples);
    }
    if (!trainers.empty()) {
      for (const auto& name : unit.parameters) {
        auto& weight = global.at(name);
        auto sum = torch::zeros_like(weight, torch::kFloat64);
        for (const auto* update : trainers) {
          sum.add_(update->weights.at(name).to(torch::kFloat64),
                   static_cast<double>(update->samples));
        }
        weight = sum.div_(samples).to(weight.scalar_type());
      }
    }
    uses.push_back(std::move(use));
  }
  return uses;
}

}  // namespace strata
