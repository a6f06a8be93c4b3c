#pragma once
/// \file
/// A model whose methods' weights are computed into its own: a plain model that computes the same.

#include <string>

#include "models/model.h"

namespace strata::peft {

/// What the methods do at each layer must be linear in its input: then the layer has another weight
/// and bias, which are found from what it makes of unit vectors, in double. So fold LoRA (DoRA,
/// too), VeRA, LoHa, LoKr, OFT, IA³, TSA and SSF; adapters, AdaptFormer and prompts do not. The
/// merged weights are float32, all others stay as they are. Multiply-adds: in (in + out) times a
/// layer's own columns; a convolution takes as many small images as its weight has columns.
/// @throws InputError beginning with `where`: the model has no methods, one of them does not fold,
/// or a shift has no bias to go to
models::Model merged(const models::Model& model, const std::string& where);

}  // namespace strata::peft
