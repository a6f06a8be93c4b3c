#pragma once
/// \file
/// LoKr (Edalati et al., KronA, arXiv 2212.10650; Yeh et al., ICLR 2024, arXiv 2309.14859): a
/// layer's W becomes
///   W + (alpha / rank) · w1 ⊗ w2,
/// a Kronecker product. out = l · k and in = m · n, each with the two factors nearest to each
/// other, l ≤ k and m ≤ n; w1 is (l × m) and begins as 0, w2 (k × n), which is a product
/// w2_a (k × rank) w2_b (rank × n) where rank < max(k, n) / 2. Of a convolution w2 has its window,
/// too. PEFT's files of type LOKR. Of a ViT-B/16 26,112 numbers, rank 8.

#include "peft/method.h"
#include "peft/patterns.h"

namespace strata::peft {

struct LokrFields {
  std::int64_t rank = 8;
  double alpha = 8;
  std::vector<std::string> targets = {"query", "value"};  ///< as LoRA's
  RankPattern rank_pattern = {};                          ///< likewise
  AlphaPattern alpha_pattern = {};
  /// Of PEFT's files alone: the first factor of out and in (decompose_factor), where it divides
  /// them, else the largest that the first may be, -1: any; whether w1, too, is a product where it
  /// is large (decompose_both); whether of a convolution of more than one place w2 is a Tucker
  /// product (tucker.h) where it is large, with a core t2 (use_effective_conv2d).
  std::int64_t factor = -1;
  bool both = false, tucker = false;
};

MethodType lokr_type();
MethodPtr make_lokr(LokrFields fields);

}  // namespace strata::peft
