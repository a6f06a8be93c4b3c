#include "fedrunner/client_ranks.h"

#include <algorithm>

#include "core/plan.h"

namespace strata::fedrunner {

using torch::Tensor;

FactorCuts cuts_of(const std::vector<UnitPair>& pairs, const UnitRanks& ranks) {
  FactorCuts cuts;
  for (const UnitPair& pair : pairs) {
    const std::int64_t kept = kept_rank(pair, ranks);
    if (kept == pair.rank) continue;
    cuts[pair.names.first] = {0, kept};
    cuts[pair.names.second] = {1, kept};
  }
  return cuts;
}

ModelState cut(ModelState weights, const FactorCuts& cuts) {
  for (const auto& [name, part] : cuts) {
    const auto found = weights.find(name);
    if (found != weights.end()) found->second = found->second.narrow(part.dim, 0, part.kept);
  }
  return weights;
}

Tensor corner(const Tensor& whole, c10::IntArrayRef extents) {
  if (whole.sizes() == extents) return whole;
  Tensor part = whole;
  for (std::int64_t dim = 0; dim < whole.dim(); ++dim)
    part = part.narrow(dim, 0, extents[static_cast<std::size_t>(dim)]);
  return part;
}

Tensor with_corner(const Tensor& whole, const Tensor& part) {
  if (part.sizes() == whole.sizes()) return part;
  Tensor result = whole.clone();
  corner(result, part.sizes()).copy_(part);
  return result;
}

Tensor padded(const Tensor& part, const Tensor& like) {
  if (part.sizes() == like.sizes()) return part;
  return with_corner(torch::zeros(like.sizes(), part.options()), part);
}

UnitRanks planned_ranks(const Plan& plan, std::size_t client) {
  UnitRanks ranks;
  each_unit(plan, plan.assignment, client, [&](const std::string& unit, int rank) {
    if (rank < plan.ranks) ranks[unit] = rank;
  });
  return ranks;
}

ClientRanks::ClientRanks(const std::vector<UnitPair>& pairs,
                         const std::vector<std::int64_t>& ranks) {
  for (const std::int64_t rank : ranks) {
    UnitRanks& of_units = ranks_.emplace_back();
    for (const UnitPair& pair : pairs)
      if (kept_rank(pair, {{pair.unit, rank}}) < pair.rank) of_units[pair.unit] = rank;
  }
}

bool ClientRanks::cut() const {
  return std::any_of(ranks_.begin(), ranks_.end(),
                     [](const UnitRanks& ranks) { return !ranks.empty(); });
}

const UnitRanks& ClientRanks::of(std::size_t client) const {
  static const UnitRanks kWhole;
  return ranks_.empty() ? kWhole : ranks_.at(client);
}

}  // namespace strata::fedrunner
