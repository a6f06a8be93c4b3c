#pragma once
/// \file
/// HetLoRA's rank self-pruning (Cho et al., EMNLP 2024, arXiv 2401.06432, §3.2): a client of rank r
/// trains with one term more, λ Σ ‖B_t‖ ‖A_t‖ by Frobenius norms over its pairs, where A_t and B_t
/// are the rows of A and columns of B from γ r on. Where their product is smaller after the
/// training than it was before, they go: the client sends the rest, and has that rank from then on.
/// Internal.

#include <cstdint>
#include <vector>

#include "fedrunner/lora_pairs.h"
#include "fedrunner/messages.h"
#include "fedrunner/training.h"
#include "models/model.h"

namespace strata::fedrunner {

/// γ r rounded down, 1 at least.
std::int64_t pruned_rank(std::int64_t rank, double decay);

/// What would be left of these pairs of a client of these ranks: of those with more than `kept`.
FactorCuts pruning_cuts(const std::vector<UnitPair>& pairs, const UnitRanks& ranks,
                        std::int64_t kept);

/// The last ranks of a model's pairs, which an order may have pruned.
class RankTails {
 public:
  /// \param model  is to outlive it and what it gives
  RankTails(const models::Model& model, const std::vector<UnitPair>& pairs,
            const PruningWork& asked);

  /// Σ ‖B_t‖ ‖A_t‖ of the model's weights as they are. O(weights of the tails)
  double size() const;
  /// Adds the gradient of λ times that, 0 where a norm is.
  GradientChange penalty() const;

 private:
  struct Tail {
    std::string first, second;
    std::int64_t kept;
  };

  const models::Model& model_;
  double penalty_;
  std::vector<Tail> tails_;
};

}  // namespace strata::fedrunner
