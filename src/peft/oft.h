#pragma once
/// \file
/// OFT (Qiu et al., NeurIPS 2023, arXiv 2306.07280; Qiu et al., 2506.19847): the input of a linear
/// layer is turned, block by block of its numbers, before W: W (R x) + b, where each block of R is
/// the Cayley transform (I + Q)(I - Q)⁻¹ of a skew-symmetric Q, whose numbers above the diagonal
/// are trained and begin as 0, or, as PEFT has it by default, the first terms of its Neumann
/// series,
///   I + 2Q + 2Q² + 2Q³ + Q⁴.
/// PEFT's files of type OFT. Of a ViT-B/16 285,696 numbers, queries and values, blocks of 32.

#include "peft/method.h"

namespace strata::peft {

struct OftFields {
  std::int64_t block = 32;                                ///< divides the width of every input
  std::vector<std::string> targets = {"query", "value"};  ///< as LoRA's, linear layers alone
  bool series = true;                                     ///< the series; false: the transform
};

MethodType oft_type();
MethodPtr make_oft(OftFields fields);

}  // namespace strata::peft
