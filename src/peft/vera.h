#pragma once
/// \file
/// VeRA (Kopiczko et al., ICLR 2024, arXiv 2310.11454): a linear layer W x + b becomes
///   W x + b + λ_b ⊙ (B (λ_d ⊙ (A x))),   λ_d (rank) from 0.1, λ_b (out) from 0,
/// where A (rank × largest in) and B (largest out × rank) are drawn once, are never trained, and
/// are the same for all layers, each of which takes as many columns and rows as it has. PEFT's
/// files of type VERA; where they leave A and B out (`save_projection: false`), both are drawn as
/// PEFT draws them from `projection_prng_key`. Of a ViT-B/16 24,576 numbers, queries and values,
/// rank 256.

#include <cstdint>
#include <optional>

#include "peft/method.h"

namespace strata::peft {

struct VeraFields {
  std::int64_t rank = 256;
  std::vector<std::string> targets = {"query", "value"};  ///< as LoRA's, linear layers alone
  /// PEFT's projection_prng_key of a file without A and B.
  std::optional<std::uint64_t> prng_key = {};
};

MethodType vera_type();
MethodPtr make_vera(VeraFields fields);

}  // namespace strata::peft
