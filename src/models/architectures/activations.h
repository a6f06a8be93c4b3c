#pragma once
/// \file
/// Activation functions by the names that configurations have for them.

#include <string>

#include "core/document.h"
#include "models/pass.h"

namespace strata::models {

/// `key`: gelu, gelu_new, gelu_pytorch_tanh, quick_gelu, relu, silu or swish, tanh.
/// @throws InputError with the nearest name
Activation read_activation(ObjectReader& reader, const std::string& key, Activation fallback);

/// The first of these for it.
std::string activation_name(Activation activation);

}  // namespace strata::models
