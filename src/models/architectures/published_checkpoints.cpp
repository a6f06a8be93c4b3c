#include "models/architectures/published_checkpoints.h"

#include <cstring>
#include <set>

#include "core/torch_file.h"
#include "models/architectures/albef.h"
#include "models/architectures/albef_checkpoint.h"
#include "models/architectures/sam.h"
#include "models/architectures/sam_checkpoint.h"
#include "models/checkpoint.h"
#include "models/tensor_bytes.h"
#include "strata/core/error.h"

namespace strata::models {
namespace {

using torch::Tensor;

struct PublishedRow {
  std::string type;
  Weights (*read)(const Architecture& architecture, const std::filesystem::path& folder);
  /// nullptr where the file does not hold it, or needs a config.json to say.
  std::shared_ptr<const Architecture> (*infer)(const std::filesystem::path& folder) = nullptr;
};

// A further one is a file and a row.
const PublishedRow kPublishedCheckpoints[] = {
    {kAlbefType, read_albef_checkpoint},
    {kSamType, read_sam_checkpoint, infer_sam},
};

}  // namespace

std::vector<std::filesystem::path> torch_checkpoints_in(const std::filesystem::path& folder) {
  for (const char* usual : {kWeightsFile, kIndexFile, kTorchWeightsFile, kTorchIndexFile})
    if (std::filesystem::exists(folder / usual)) return {};
  if (!std::filesystem::is_directory(folder)) return {};
  const std::set<std::string> endings = {".pth", ".pt"};
  std::set<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (endings.count(entry.path().extension().string())) found.insert(entry.path());
  return {found.begin(), found.end()};
}

void refuse_several(const std::filesystem::path& folder,
                    const std::vector<std::filesystem::path>& checkpoints) {
  throw InputError(folder.string() + ": \"" + checkpoints[0].filename().string() + "\" and \"" +
                   checkpoints[1].filename().string() +
                   "\" are checkpoints, but only one can be the model's");
}

bool has_published_checkpoint(const std::filesystem::path& folder,
                              const Architecture& architecture) {
  for (const PublishedRow& row : kPublishedCheckpoints)
    if (row.type == architecture.type()) return !torch_checkpoints_in(folder).empty();
  return false;
}

Weights read_published_checkpoint(const Architecture& architecture,
                                  const std::filesystem::path& folder) {
  for (const PublishedRow& row : kPublishedCheckpoints) {
    if (row.type != architecture.type()) continue;
    return row.read(architecture, folder);
  }
  throw std::out_of_range(architecture.type());
}

std::shared_ptr<const Architecture> published_architecture(const std::filesystem::path& folder) {
  const auto files = torch_checkpoints_in(folder);
  if (files.empty()) return nullptr;
  for (const PublishedRow& row : kPublishedCheckpoints) {
    if (!row.infer) continue;
    if (auto found = row.infer(folder)) return found;
  }
  throw InputError(files.front().string() +
                   ": there is no config.json beside it, and its weights are not those of SAM");
}

Weights tensors_of(const TorchFile& file) {
  Weights tensors;
  for (const TensorEntry& entry : file.tensors()) {
    const std::string_view bytes = file.bytes(entry);
    const torch::ScalarType type = scalar_type(entry.dtype);
    const bool aligned =
        reinterpret_cast<std::uintptr_t>(bytes.data()) % dtype_size(entry.dtype) == 0;
    if (aligned && !bytes.empty()) {
      // from_blob wants memory that may be written to; nothing is written to it.
      tensors[entry.name] = torch::from_blob(const_cast<char*>(bytes.data()), entry.shape, type);
    } else {
      tensors[entry.name] = torch::empty(entry.shape, type);
      std::memcpy(tensors[entry.name].data_ptr(), bytes.data(), bytes.size());
    }
  }
  return tensors;
}

}  // namespace strata::models
