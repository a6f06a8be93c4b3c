#pragma once
/// \file
/// Clients with fewer ranks than the run's LoRA pairs: of a pair A (rank × in), B (out × rank) a
/// client of rank k has A's first k rows and B's first k columns. They alone travel, both ways.
/// With 0 in place of the others the full pair computes the same, and these get gradients of 0
/// (dL/dA's row j is a multiple of B's column j, dL/dB's column j one of A's row j times x), so
/// whatever the optimizer they stay 0: a client trains in the shapes of its model, and its pair's
/// scale is that of the full pair. Internal.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "fedrunner/lora_pairs.h"
#include "fedrunner/messages.h"
#include "models/torch.h"
#include "strata/core/plan.h"
#include "strata/core/unit.h"

namespace strata::fedrunner {

/// How a client of these ranks has the weights of the pairs. O(pairs)
FactorCuts cuts_of(const std::vector<UnitPair>& pairs, const UnitRanks& ranks);

/// The weights as a client has them: views where they are cut. O(weights)
ModelState cut(ModelState weights, const FactorCuts& cuts);

/// The part of `whole` in the corner of its first elements that has these extents: a view, or
/// `whole` itself.
torch::Tensor corner(const torch::Tensor& whole, c10::IntArrayRef extents);
/// A copy of `whole` with `part` in that corner, or `part` itself where it is as large.
torch::Tensor with_corner(const torch::Tensor& whole, const torch::Tensor& part);
/// `part` with 0 beyond it, in the shape of `like`, or itself.
torch::Tensor padded(const torch::Tensor& part, const torch::Tensor& like);

/// The ranks that a plan gives a client, from 0, of those units of which it has not the whole.
UnitRanks planned_ranks(const Plan& plan, std::size_t client);

/// The ranks of a run's clients.
class ClientRanks {
 public:
  /// `ranks` has one a client, the same of every unit; without any everyone has whole pairs.
  ClientRanks(const std::vector<UnitPair>& pairs, const std::vector<std::int64_t>& ranks);

  /// Whether somebody's pairs are cut.
  bool cut() const;
  /// Of a client, from 0: of the units whose pairs are cut.
  const UnitRanks& of(std::size_t client) const;

 private:
  std::vector<UnitRanks> ranks_;
};

}  // namespace strata::fedrunner
