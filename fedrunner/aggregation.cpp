#include "fedrunner/aggregation.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

namespace strata::fedrunner {
namespace {

using torch::Tensor;

/// A client's weights in an average, and how much they count.
struct Share {
  const ClientUpdate* update;
  double weight;
};

Tensor average(const std::string& name, const std::vector<Share>& shares) {
  Tensor sum;
  double weights = 0;
  for (const auto& [update, weight] : shares) {
    const auto part = update->weights.at(name).to(torch::kFloat64) * weight;
    sum = sum.defined() ? sum.add_(part) : part;
    weights += weight;
  }
  return sum.div_(weights);
}

/// The pair (A, B) of the average product, without ever forming the product: with B̂ = [p₁B₁ …]
/// = Q₁R₁ and Â = [A₁; …] = R₂ᵀQ₂ᵀ, it is B̂ Â = Q₁ (R₁ R₂ᵀ) Q₂ᵀ.
std::pair<Tensor, Tensor> average_product(const std::string& a, const std::string& b,
                                          const std::vector<Share>& shares) {
  double weights = 0, squares = 0, rows = 0;
  for (const auto& share : shares) weights += share.weight;
  std::vector<Tensor> left, right;
  for (const auto& [update, weight] : shares) {
    left.push_back(update->weights.at(b).to(torch::kFloat64) * (weight / weights));
    right.push_back(update->weights.at(a).to(torch::kFloat64));
    squares += right.back().square().sum().item<double>();
    rows += static_cast<double>(right.back().size(0));
  }
  const auto rank = right.front().size(0);
  const auto [q1, r1] = torch::linalg_qr(torch::cat(left, 1));
  const auto [q2, r2] = torch::linalg_qr(torch::cat(right, 0).t());
  const auto [u, s, vh] = torch::linalg_svd(torch::matmul(r1, r2.t()), false);
  // Where every A is 0, so is the product, whatever the scale.
  const double scale = squares > 0 ? std::sqrt(squares / rows) : 1;
  const auto new_a = torch::matmul(vh, q2.t()).narrow(0, 0, rank) * scale;
  const auto new_b = (torch::matmul(q1, u) * s).narrow(1, 0, rank) / scale;
  return {new_a, new_b};
}

/// Moves `weight` along `change`.
void step(const std::string& name, Tensor& weight, const Tensor& change,
          const AggregationOptions& options, ServerMoments& moments) {
  const auto moment = [&](ModelState& of, double initial) {
    const auto found = of.find(name);
    return (found != of.end() ? found->second : torch::full_like(weight, initial))
        .to(torch::kFloat64);
  };
  auto direction = change;
  if (options.optimizer == ServerOptimizer::kMomentum) {
    direction = moment(moments.first, 0).mul_(options.beta_1).add_(change);
    moments.first[name] = direction.to(weight.scalar_type());
  } else if (options.optimizer == ServerOptimizer::kAdam) {
    const auto first =
        moment(moments.first, 0).mul_(options.beta_1).add_(change, 1 - options.beta_1);
    const auto second = moment(moments.second, options.tau * options.tau)
                            .mul_(options.beta_2)
                            .add_(change.square(), 1 - options.beta_2);
    direction = first / (second.sqrt() + options.tau);
    moments.first[name] = first.to(weight.scalar_type());
    moments.second[name] = second.to(weight.scalar_type());
  }
  weight =
      weight.to(torch::kFloat64).add(direction, options.learning_rate).to(weight.scalar_type());
}

}  // namespace

const Choices<UnitStatus>& unit_statuses() {
  static const Choices<UnitStatus> statuses({{UnitStatus::kMatched, "matched"},
                                             {UnitStatus::kPartial, "partial"},
                                             {UnitStatus::kUntouched, "untouched"}});
  return statuses;
}

std::vector<std::string> trained_units(const std::vector<UnitUse>& uses) {
  std::vector<std::string> units;
  for (const auto& use : uses) {
    if (!use.clients.empty()) units.push_back(use.unit);
  }
  return units;
}

std::vector<UnitUse> aggregate(ModelState& global, const std::vector<Unit>& units,
                               const std::vector<ClientUpdate>& updates,
                               const AggregationOptions& options,
                               const std::vector<peft::FactorPair>& factors,
                               ServerMoments& moments) {
  const torch::NoGradGuard no_grad;
  std::vector<const ClientUpdate*> by_name;
  for (const auto& update : updates) by_name.push_back(&update);
  std::sort(by_name.begin(), by_name.end(),
            [](const auto* a, const auto* b) { return a->client < b->client; });

  std::set<std::string> first;                // of pairs: they move with the second
  std::map<std::string, std::string> beside;  // the first, by the second
  for (const auto& pair : factors) {
    first.insert(pair.first);
    beside[pair.second] = pair.first;
  }

  std::vector<UnitUse> uses;
  for (const auto& unit : units) {
    UnitUse use{unit.name, {}};
    std::vector<Share> shares;
    for (const auto* update : by_name) {
      if (std::find(update->units.begin(), update->units.end(), unit.name) == update->units.end())
        continue;
      shares.push_back({update, options.weights == ClientWeights::kPlain
                                    ? 1.0
                                    : static_cast<double>(update->samples)});
      use.clients.push_back(update->client);
    }
    if (!shares.empty()) {
      use.status = shares.size() == updates.size() ? UnitStatus::kMatched : UnitStatus::kPartial;
      const bool products = options.lora == LoraAverage::kProduct && shares.size() > 1;
      // Statistics are no direction to go on in.
      for (const auto& name : unit.buffers) {
        if (is_local(unit, name)) continue;
        global.at(name) = average(name, shares).to(global.at(name).scalar_type());
      }
      for (const auto& name : unit.parameters) {
        if (is_local(unit, name)) continue;
        auto& weight = global.at(name);
        if (products && first.count(name)) continue;
        const auto pair = beside.find(name);
        if (products && pair != beside.end()) {
          const auto& a = pair->second;
          const auto [new_a, new_b] = average_product(a, name, shares);
          global.at(a) = new_a.to(weight.scalar_type()).contiguous();
          weight = new_b.to(weight.scalar_type()).contiguous();
          continue;
        }
        const auto mean = average(name, shares);
        if (options.optimizer == ServerOptimizer::kAverage && options.learning_rate == 1) {
          weight = mean.to(weight.scalar_type());
        } else {
          step(name, weight, mean - weight, options, moments);
        }
      }
    }
    uses.push_back(std::move(use));
  }
  return uses;
}

}  // namespace strata::fedrunner
