#include "fedrunner/aggregation.h"

#include <algorithm>
#include <set>
#include <utility>

#include "fedrunner/client_ranks.h"
#include "fedrunner/lora_rules/lora_rule.h"

namespace strata::fedrunner {
namespace {

using torch::Tensor;

/// A client's weights in an average, and how much they count.
struct Share {
  const ClientUpdate* update;
  double weight;
};

/// A client's numbers in an average, and how much they count.
struct Part {
  Tensor numbers;
  double weight;
};

Tensor average(const std::vector<Part>& parts) {
  Tensor sum;
  double weights = 0;
  for (const auto& [numbers, weight] : parts) {
    const auto part = numbers.to(torch::kFloat64) * weight;
    sum = sum.defined() ? sum.add_(part) : part;
    weights += weight;
  }
  return sum.div_(weights);
}

/// The first dimension in which clients have a weight in different extents, and these.
struct Extents {
  std::int64_t dim = 0;
  std::set<std::int64_t> values;
};
Extents extents_of(const std::vector<Part>& parts) {
  Extents extents;
  for (; extents.dim < parts.front().numbers.dim(); ++extents.dim) {
    extents.values.clear();
    for (const auto& part : parts) extents.values.insert(part.numbers.size(extents.dim));
    if (extents.values.size() > 1) break;
  }
  return extents;
}

/// Of rows and columns that some have and others have not: each over those that have it.
Tensor average(const std::string& name, const std::vector<Share>& shares) {
  std::vector<Part> parts;
  for (const auto& [update, weight] : shares) parts.push_back({update->weights.at(name), weight});
  const auto [dim, ends] = extents_of(parts);
  if (ends.size() < 2) return average(parts);
  std::vector<Tensor> slices;
  std::int64_t begin = 0;
  for (const std::int64_t end : ends) {
    std::vector<Part> having;
    for (const auto& [numbers, weight] : parts) {
      if (numbers.size(dim) >= end)
        having.push_back({numbers.narrow(dim, begin, end - begin), weight});
    }
    slices.push_back(average(having));
    begin = end;
  }
  return torch::cat(slices, dim);
}

/// Moves `weight` along `change`; where that is smaller, its corner.
void step(const std::string& name, Tensor& weight, const Tensor& change,
          const AggregationOptions& options, ServerMoments& moments) {
  const auto whole = [&](const ModelState& of, double initial) {
    const auto found = of.find(name);
    return found != of.end() ? found->second : torch::full_like(weight, initial);
  };
  const auto keep = [&](ModelState& of, const Tensor& before, const Tensor& moment) {
    of[name] = with_corner(before, moment.to(weight.scalar_type()));
  };
  const auto part = [&](const Tensor& of) {
    return corner(of, change.sizes()).to(torch::kFloat64);
  };
  auto direction = change;
  if (options.optimizer == ServerOptimizer::kMomentum) {
    const Tensor before = whole(moments.first, 0);
    direction = part(before).mul(options.beta_1).add_(change);
    keep(moments.first, before, direction);
  } else if (options.optimizer == ServerOptimizer::kAdam) {
    const Tensor first_before = whole(moments.first, 0);
    const Tensor second_before = whole(moments.second, options.tau * options.tau);
    const auto first = part(first_before).mul(options.beta_1).add_(change, 1 - options.beta_1);
    const auto second =
        part(second_before).mul(options.beta_2).add_(change.square(), 1 - options.beta_2);
    direction = first / (second.sqrt() + options.tau);
    keep(moments.first, first_before, first);
    keep(moments.second, second_before, second);
  }
  const Tensor moved = part(weight).add(direction, options.learning_rate);
  weight = with_corner(weight, moved.to(weight.scalar_type()));
}

/// A round's uploads on their way into the global model.
class Aggregation {
 public:
  Aggregation(ModelState& global, const AggregationOptions& options,
              const std::vector<peft::FactorPair>& factors, ServerMoments& moments,
              const DrawWeight& draw, bool cut)
      : global_(global),
        options_(options),
        moments_(moments),
        draw_(draw),
        cut_(cut),
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
  void merge(const peft::FactorPair& pair, std::vector<Share> shares);
  /// `target` is what takes the average's place, in float64; where it is smaller than the weight,
  /// it is of the weight's first rows or columns.
  void move(const std::string& name, const Tensor& target);

  ModelState& global_;
  const AggregationOptions& options_;
  ServerMoments& moments_;
  const DrawWeight& draw_;
  const bool cut_;
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
  const peft::FactorPair& pair = *found->second;
  return is_sent(pair.first, unit, shares) && is_sent(pair.second, unit, shares) ? &pair : nullptr;
}

void Aggregation::merge(const peft::FactorPair& pair, std::vector<Share> shares) {
  // Of rank 0 nothing is sent.
  std::erase_if(shares, [&](const Share& share) {
    return share.update->weights.at(pair.first).numel() == 0;
  });
  if (shares.empty()) return;
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
  const Tensor& first = global_.at(pair.first);
  uploads.before_a = first.to(torch::kFloat64).flatten(1);
  uploads.cut = cut_;
  uploads.draw_a = [&] { return draw_(pair.first).to(first.device(), torch::kFloat64).flatten(1); };
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
    weight = with_corner(weight, target.to(weight.scalar_type()).contiguous());
  } else {
    step(name, weight, target - corner(weight, target.sizes()), options_, moments_);
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
                     const DrawWeight& draw, bool cut) {
  const torch::NoGradGuard no_grad;
  std::vector<const ClientUpdate*> by_name;
  for (const auto& update : updates) by_name.push_back(&update);
  std::sort(by_name.begin(), by_name.end(),
            [](const auto* a, const auto* b) { return a->client < b->client; });

  Aggregation aggregation(global, options, factors, moments, draw, cut);
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
