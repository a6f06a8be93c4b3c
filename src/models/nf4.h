#pragma once
/// \file
/// Weights in four bits a number: NF4 of QLoRA (Dettmers et al. 2023, arXiv 2305.14314), as
/// bitsandbytes stores it. Frozen: who computes with one makes its numbers for the operation alone.

#include <cstdint>
#include <string>
#include <vector>

#include "models/torch.h"

namespace strata::models {

/// What makes up a weight in a file, by bitsandbytes' names for it.
struct Nf4Parts {
  torch::Tensor codes;      ///< `weight`: uint8 (⌈n/2⌉, 1), two numbers each, the first high
  torch::Tensor quant_map;  ///< float32 (16): what the codes mean
  /// uint8 (n / blocksize) where scales are quantised, too ("double quantisation"), else float32.
  torch::Tensor absmax;
  torch::Tensor nested_absmax;     ///< float32 (of nested blocks); undefined of float32 scales
  torch::Tensor nested_quant_map;  ///< float32 (256); likewise
  std::string quant_state;         ///< `quant_state.bitsandbytes__nf4`: JSON
};

/// A weight that holds all of these: uint8 of one dimension, which nothing but this file reads.
/// `name` is what errors begin with, and `shape` what the number's shape must be.
/// @throws InputError: another quant_type, type or shape; parts that do not fit each other
torch::Tensor nf4_weight(const Nf4Parts& parts, const std::vector<std::int64_t>& shape,
                         const std::string& name);

bool is_nf4(const torch::Tensor& tensor);
/// How many numbers such a weight is.
std::int64_t nf4_count(const torch::Tensor& weight);
/// Its numbers as float32 in their shape: quant_map[code] · scale, rounded to the type that the
/// file says it computes in, to the bit of bitsandbytes'; scale is absmax, or
/// nested_quant_map[absmax] · nested_absmax + nested_offset. O(n), on the weight's device.
torch::Tensor nf4_numbers(const torch::Tensor& weight);

}  // namespace strata::models
