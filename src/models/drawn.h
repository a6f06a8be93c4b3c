#pragma once
/// \file
/// Fresh numbers of parameters. Internal.

#include <cstdint>

#include "models/layer.h"
#include "models/torch.h"

namespace strata::models {

/// Those of a parameter or buffer as its Init says, on the CPU: they follow from the seed and its
/// name alone. @throws std::logic_error: they are the model's own (Init::Kind::kRowNorms)
torch::Tensor drawn(const Parameter& parameter, std::uint64_t seed);

}  // namespace strata::models
