#include "fedrunner/rank_pruning.h"

#include <algorithm>
#include <cmath>

namespace strata::fedrunner {
namespace {

using torch::Tensor;

/// What lies beyond the first `kept` rows (dim 0) or columns (dim 1).
Tensor beyond(const Tensor& factor, std::int64_t dim, std::int64_t kept) {
  return factor.narrow(dim, kept, factor.size(dim) - kept);
}

double frobenius(const Tensor& tensor) {
  return tensor.to(torch::kFloat64).norm().item<double>();
}

}  // namespace

std::int64_t pruned_rank(std::int64_t rank, double decay) {
  // 0.29 · 100 is a little less than 29 as a double.
  const auto kept = static_cast<std::int64_t>(decay * static_cast<double>(rank) + 1e-9);
  return std::max<std::int64_t>(1, kept);
}

FactorCuts pruning_cuts(const std::vector<UnitPair>& pairs, const UnitRanks& ranks,
                        std::int64_t kept) {
  FactorCuts cuts;
  for (const UnitPair& pair : pairs) {
    if (pair.names.base.empty() || kept_rank(pair, ranks) <= kept) continue;
    cuts[pair.names.first] = {0, kept};
    cuts[pair.names.second] = {1, kept};
  }
  return cuts;
}

RankTails::RankTails(const models::Model& model, const std::vector<UnitPair>& pairs,
                     const PruningWork& asked)
    : model_(model), penalty_(asked.penalty) {
  for (const UnitPair& pair : pairs) {
    const auto cut = asked.cuts.find(pair.names.first);
    if (cut != asked.cuts.end() && asked.cuts.count(pair.names.second))
      tails_.push_back({pair.names.first, pair.names.second, cut->second.kept});
  }
}

double RankTails::size() const {
  const torch::NoGradGuard no_grad;
  double sum = 0;
  for (const Tail& tail : tails_) {
    sum += frobenius(beyond(model_.weight(tail.first), 0, tail.kept)) *
           frobenius(beyond(model_.weight(tail.second), 1, tail.kept));
  }
  return sum;
}

GradientChange RankTails::penalty() const {
  if (penalty_ == 0) return nullptr;
  return [this](const std::string& name, const Tensor& weight, Tensor& gradient) {
    const auto of = std::find_if(tails_.begin(), tails_.end(), [&](const Tail& tail) {
      return name == tail.first || name == tail.second;
    });
    if (of == tails_.end()) return;
    const torch::NoGradGuard no_grad;
    const std::int64_t dim = name == of->first ? 0 : 1;
    const Tensor own = beyond(weight, dim, of->kept);
    const double length = frobenius(own);
    if (length == 0) return;
    const Tensor& other = model_.weight(dim == 0 ? of->second : of->first);
    const double factor = penalty_ * frobenius(beyond(other, 1 - dim, of->kept)) / length;
    beyond(gradient, dim, of->kept).add_(own, factor);
  };
}

}  // namespace strata::fedrunner
