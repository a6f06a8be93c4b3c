#pragma once
/// \file
/// A unit: a selectable group of parameters, and what it costs.

#include <cstdint>
#include <string>
#include <vector>

namespace strata {

/// A selectable group of parameters: the embeddings, a transformer block, the head.
struct Unit {
  std::string name;                     ///< e.g. "block.3"; unique in a model
  std::vector<std::string> parameters;  ///< weight names as in model.safetensors
  std::int64_t parameter_count = 0;
  std::int64_t bytes = 0;    ///< on the wire, one way, at the checkpoint's precision
  double forward_flops = 0;  ///< for one sample; a multiply-add counts as 2
  double activation_bytes =
      0;  ///< kept for the backward pass of one sample when the unit is trained
};

}  // namespace strata
