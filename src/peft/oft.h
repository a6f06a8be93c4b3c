#pragma once
/// \file
/// OFT (Qiu et al., NeurIPS 2023, arXiv 2306.07280; Qiu et al., 2506.19847): the input of a linear
/// layer, or of a convolution of 1 x 1 at each of its places, is turned, block by block of its
/// numbers, before W: W (R x) + b, where each block of R is the Cayley transform (I + Q)(I - Q)⁻¹
/// of a skew-symmetric Q, whose numbers above the diagonal are trained and begin as 0, or, as PEFT
/// has it by default, the first terms of its Neumann series,
///   I + 2Q + 2Q² + 2Q³ + Q⁴.
/// PEFT's files of type OFT. Of a ViT-B/16 285,696 numbers, queries and values, blocks of 32; of a
/// ResNet-50's convolutions of 1 x 1 290,656. Larger convolutions are refused: what PEFT 0.21.2
/// makes of their inputs is no rotation (where R = I each number counts once for every window that
/// it is in), nor what its merge() makes of their weights.

#include "peft/method.h"

namespace strata::peft {

struct OftFields {
  std::int64_t block = 32;  ///< divides the width of every input
  /// As LoRA's; of convolutions those of 1 x 1: {"layer.0.convolution", "shortcut.convolution"}.
  std::vector<std::string> targets = {"query", "value"};
  bool series = true;  ///< the series; false: the transform
  /// Of PEFT's files alone: so many blocks of every input (its r) in place of `block`, where 0 is
  /// none; the series' terms, from 2 on; whether all blocks of an input turn alike (block_share).
  /// As in PEFT, where `blocks` or `block` does not divide an input, the nearest divisor does.
  std::int64_t blocks = 0, terms = 5;
  bool shared = false;
  /// Likewise: how long all Q of an input are together at most (coft, eps), each the same part of
  /// it. Longer ones are shortened in what is computed, not in their gradients. 0: none is.
  double longest = 0;
};

MethodType oft_type();
MethodPtr make_oft(OftFields fields);

}  // namespace strata::peft
