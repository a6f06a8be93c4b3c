#pragma once
/// \file
/// Rotary positions: reading what configurations say of them, and their angles (Pass::rotated turns
/// queries and keys).

#include "core/document.h"
#include "models/torch.h"

namespace strata::models {

/// Rotary positions (Su et al. 2021): how fast the pairs of a head turn.
struct Rotary {
  enum class Kind : std::uint8_t {
    kDefault,
    kLinear,  ///< positions divided by `factor`
    kLlama3   ///< slow pairs alone divided, those between smoothly (Llama 3.1)
  };
  Kind kind = Kind::kDefault;
  double theta = 1e4, factor = 1, low_frequency_factor = 1, high_frequency_factor = 4;
  std::int64_t original_positions = 8192;
};

/// rope_theta and rope_scaling (transformers 4) or rope_parameters (transformers 5).
/// @throws InputError for a kind that is not computed, with those that are
Rotary read_rotary(ObjectReader& reader);

/// The angles (n·T, head size) of positions (n, T), in float32 as transformers has them: those of
/// the pairs, twice over.
torch::Tensor rotary_angles(const Rotary& rotary, std::int64_t head_size,
                            const torch::Tensor& positions);

}  // namespace strata::models
