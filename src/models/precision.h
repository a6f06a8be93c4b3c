#pragma once
/// \file
/// Precisions of the forward pass. No LibTorch here; models/device.h computes in them.

#include "core/choices.h"

namespace strata::models {

enum class Precision { kFloat32, kBfloat16 };

inline const Choices<Precision>& precisions() {
  static const Choices<Precision> table(
      {{Precision::kFloat32, "float32"}, {Precision::kBfloat16, "bfloat16"}});
  return table;
}

}  // namespace strata::models
