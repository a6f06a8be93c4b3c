#pragma once
/// \file
/// LoHa (Hyeon-Woo et al., ICLR 2022, FedPara, arXiv 2108.06098): a layer's W becomes
///   W + (alpha / rank) · (w1_a w1_b) ⊙ (w2_a w2_b),   w_a (out × rank), w_b (rank × in),
/// a Hadamard product of rank up to rank²; of a convolution `in` counts its window's numbers. w2_b
/// begins as 0. PEFT's files of type LOHA. Of a ViT-B/16 589,824 numbers, rank 8.

#include "peft/method.h"
#include "peft/patterns.h"

namespace strata::peft {

struct LohaFields {
  std::int64_t rank = 8;
  double alpha = 8;
  std::vector<std::string> targets = {"query", "value"};  ///< as LoRA's
  RankPattern rank_pattern = {};                          ///< likewise
  AlphaPattern alpha_pattern = {};
  /// Of PEFT's files alone, its use_effective_conv2d: of a convolution of more than one place both
  /// products are Tucker products (tucker.h), with cores t1 and t2 (rank × rank × its window).
  bool tucker = false;
};

MethodType loha_type();
MethodPtr make_loha(LohaFields fields);

}  // namespace strata::peft
