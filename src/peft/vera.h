#pragma once
/// \file
/// VeRA (Kopiczko et al., ICLR 2024, arXiv 2310.11454): a linear layer W x + b becomes
///   W x + b + λ_b ⊙ (B (λ_d ⊙ (A x))),   λ_d (rank) from 0.1, λ_b (out) from 0,
/// where A (rank × largest in) and B (largest out × rank) are drawn once, are never trained, and
/// are the same for all layers, each of which takes as many columns and rows as it has. PEFT's
/// files of type VERA with `save_projection`. Of a ViT-B/16 24,576 numbers, queries and values,
/// rank 256.

#include "peft/method.h"

namespace strata::peft {

struct VeraFields {
  std::int64_t rank = 256;
  std::vector<std::string> targets = {"query", "value"};  ///< as LoRA's, linear layers alone
};

MethodType vera_type();
MethodPtr make_vera(VeraFields fields);

}  // namespace strata::peft
