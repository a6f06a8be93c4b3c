#pragma once
/// \file
/// Weights as authors published them with torch.save (.pth, .pt), where transformers' names and
/// layout are other ones, or where transformers has no such model. The one list of those that are
/// read. LibTorch's types do not show.

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/architecture.h"

namespace at {
class Tensor;
}

namespace strata {
class TorchFile;
}

namespace strata::models {

/// The .pth and .pt files in a folder, sorted, where none of the files is there that transformers
/// has for weights.
std::vector<std::filesystem::path> torch_checkpoints_in(const std::filesystem::path& folder);
/// Says that two of them cannot both be the model's. @throws InputError
[[noreturn]] void refuse_several(const std::filesystem::path& folder,
                                 const std::vector<std::filesystem::path>& checkpoints);

/// Whether a model folder's weights are such a checkpoint of this architecture.
bool has_published_checkpoint(const std::filesystem::path& folder,
                              const Architecture& architecture);
/// All parameters and buffers of the architecture by their own names, in float32, each with memory
/// of its own. @throws InputError naming the file and the weight
std::map<std::string, at::Tensor> read_published_checkpoint(const Architecture& architecture,
                                                            const std::filesystem::path& folder);
/// What a folder without a config.json must be, by the names and shapes in its checkpoint; nullptr
/// where it has none. @throws InputError: a checkpoint that is no known one
std::shared_ptr<const Architecture> published_architecture(const std::filesystem::path& folder);

/// A checkpoint's tensors by their names, which share its memory where they can.
std::map<std::string, at::Tensor> tensors_of(const TorchFile& file);

}  // namespace strata::models
