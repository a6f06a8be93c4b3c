#pragma once
/// \file
/// Checkpoints that torch.load reads (`weights_only=True` included) and TorchFile, as torch.save
/// writes them from PyTorch 1.6 on: a zip file of stored entries that begin at multiples of 64
/// bytes, with a pickle of protocol 2. Internal.

#include <filesystem>
#include <string>
#include <vector>

#include "strata/core/safetensors.h"

namespace strata {

/// A dictionary of tensors by their names and, with a `key`, a dictionary that holds it under this
/// key, as programs save it beside an optimizer's state. Each tensor has a storage of its own. The
/// same tensors give the same bytes. Whole or not at all.
/// @throws InputError: two tensors of one name, or more than the 4 GiB of a zip file without zip64;
/// WorkError
void write_torch_file(const std::filesystem::path& path, const std::vector<TensorView>& tensors,
                      const std::string& key = "");

}  // namespace strata
