#pragma once
/// \file
/// IA³ (Liu et al., NeurIPS 2022, arXiv 2205.05638): a vector l, at first of ones, by which the
/// output of a layer is multiplied, W x + b to l ⊙ (W x + b), or, of layers in `feedforward`, the
/// input, to W (l ⊙ x) + b. PEFT's files of type IA3.

#include "peft/method.h"

namespace strata::peft {

struct Ia3Fields {
  /// As LoRA's. Of a ViT-B/16 55,296 numbers.
  std::vector<std::string> targets = {"key", "value", "fc2"};
  std::vector<std::string> feedforward = {"fc2"};  ///< those of the targets whose input is meant
};

MethodType ia3_type();
MethodPtr make_ia3(Ia3Fields fields);

}  // namespace strata::peft
