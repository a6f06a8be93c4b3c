#include "fedrunner/aggregation.h"

#include <algorithm>
#include <utility>

#include "fedrunner/lora_rules/lora_rule.h"

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

/// A round's uploads on their way into the global model.
class Aggregation {
 public:
  Aggregation(ModelState& global, const AggregationOptions& options,
              const std::vector<peft::FactorPair>& factors, ServerMoments& moments,
              const DrawWeight& draw)
      : global_(global),
        options_(options),
        moments_(moments),
        draw_(draw),
        rule_(lora_rule(options.lora)) {
    done_.rule = options.lora;
    if (!rule_.merge) return;
    for (const auto& pair : factors) {
      pairs_[pair.first] = &pair;
      pairs_[pair.second] = &pair;
    }
  }

  /// `shares` is not empty.
  void take(const Unit& unit, const std::vector<Share>& shares);
  Aggregated& done() { return done_; }
  /// When every unit is taken: a base's own average, where it has one, comes first.
  void grow_bases();

 private:
  /// The pair of a parameter, where the rule merges it.
  const peft::FactorPair* pair_of(const std::string& name, const Unit& unit,
                                  const std::vector<Share>& shares) const;
  void merge(const peft::FactorPair& pair, const std::vector<Share>& shares);
  /// `target` is what takes the average's place, in float64.
  void move(const std::string& name, const Tensor& target);

  ModelState& global_;
  const AggregationOptions& options_;
  ServerMoments& moments_;
  const DrawWeight& draw_;
  const LoraRule& rule_;
  std::map<std::string, const peft::FactorPair*> pairs_;  // by both names
  std::map<std::string, Tensor> growth_;                  // of bases
  Aggregated done_;
};

/// A matrix as a factor of `like`'s kind, whose rank may be another: of a convolution with its
/// window.
Tensor as_factor(const Tensor& matrix, const Tensor& like) {
  std::vector<std::int64_t> shape = like.sizes().vec();
  if (shape.size() == 2) return matrix;
  shape[0] = matrix.size(0);
  shape[1] = -1;
  return matrix.reshape(shape);
}

bool is_sent(const std::string& name, const Unit& unit, const std::vector<Share>& shares) {
  return !is_local(unit, name) && shares.front().update->weights.count(name) > 0;
}

void Aggregation::take(const Unit& unit, const std::vector<Share>& shares) {
  // Statistics are no direction to go on in.
  for (const auto& name : unit.buffers) {
    if (is_local(unit, name)) continue;
    global_.at(name) = average(name, shares).to(global_.at(name).scalar_type());
  }
  for (const auto& name : unit.parameters) {
    if (!is_sent(name, unit, shares)) continue;
    const auto* pair = pair_of(name, unit, shares);
    if (!pair) {
      move(name, average(name, shares));
    } else if (name == pair->second) {
      merge(*pair, shares);
    }
  }
}

const peft::FactorPair* Aggregation::pair_of(const std::string& name, const Unit& unit,
                                             const std::vector<Share>& shares) const {
  const auto found = pairs_.find(name);
  if (found == pairs_.end()) return nullptr;
  const auto& [first, second, base, scale] = *found->second;
  return is_sent(first, unit, shares) && is_sent(second, unit, shares) ? found->second : nullptr;
}

void Aggregation::merge(const peft::FactorPair& pair, const std::vector<Share>& shares) {
  double weights = 0;
  for (const auto& share : shares) weights += share.weight;
  // Those of convolutions as matrices, their windows' numbers beside each other.
  PairUploads uploads{
      {}, average(pair.first, shares).flatten(1), average(pair.second, shares).flatten(1)};
  for (const auto& [update, weight] : shares) {
    uploads.shares.push_back({update->weights.at(pair.first).to(torch::kFloat64).flatten(1),
                              update->weights.at(pair.second).to(torch::kFloat64).flatten(1),
                              weight / weights});
  }
  uploads.draw_a = [&] {
    const Tensor& like = global_.at(pair.first);
    return draw_(pair.first).to(like.device(), torch::kFloat64).flatten(1);
  };
  const MergedPair merged = rule_.merge(uploads);
  move(pair.first, as_factor(merged.a, global_.at(pair.first)));
  move(pair.second, as_factor(merged.b, global_.at(pair.second)));
  if (merged.base.defined()) growth_[pair.base] = merged.base * pair.scale;
  if (rule_.loss)
    done_.losses.push_back({pair.base.empty() ? pair.second : pair.base, merged.loss});
}

void Aggregation::grow_bases() {
  for (const auto& [name, growth] : growth_) {
    auto& weight = global_.at(name);
    weight = weight.to(torch::kFloat64).add(growth.view(weight.sizes())).to(weight.scalar_type());
  }
}

void Aggregation::move(const std::string& name, const Tensor& target) {
  auto& weight = global_.at(name);
  if (options_.optimizer == ServerOptimizer::kAverage && options_.learning_rate == 1) {
    weight = target.to(weight.scalar_type()).contiguous();
  } else {
    step(name, weight, target - weight, options_, moments_);
  }
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

Aggregated aggregate(ModelState& global, const std::vector<Unit>& units,
                     const std::vector<ClientUpdate>& updates, const AggregationOptions& options,
                     const std::vector<peft::FactorPair>& factors, ServerMoments& moments,
                     const DrawWeight& draw) {
  const torch::NoGradGuard no_grad;
  std::vector<const ClientUpdate*> by_name;
  for (const auto& update : updates) by_name.push_back(&update);
  std::sort(by_name.begin(), by_name.end(),
            [](const auto* a, const auto* b) { return a->client < b->client; });

  Aggregation aggregation(global, options, factors, moments, draw);
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
      aggregation.take(unit, shares);
    }
    aggregation.done().uses.push_back(std::move(use));
  }
  aggregation.grow_bases();
  return std::move(aggregation.done());
}

}  // namespace strata::fedrunner
