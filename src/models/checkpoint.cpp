#include "models/checkpoint.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "core/document.h"
#include "core/text.h"
#include "models/tensor_bytes.h"
#include "models/torch.h"
#include "strata/core/error.h"

namespace strata::models {
namespace {

using torch::Tensor;

bool is_float(Dtype dtype) {
  return dtype == Dtype::kF16 || dtype == Dtype::kBF16 || dtype == Dtype::kF32 ||
         dtype == Dtype::kF64;
}

torch::ScalarType scalar_type(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF16:
      return torch::kHalf;
    case Dtype::kBF16:
      return torch::kBFloat16;
    case Dtype::kF64:
      return torch::kDouble;
    default:
      return torch::kFloat;
  }
}

void check_entry(const std::string& path, const TensorEntry& entry, const Parameter& parameter,
                 const std::string& config_file) {
  const std::string what = path + ": the weight \"" + entry.name + "\" has ";
  if (entry.shape != parameter.shape) {
    throw InputError(what + "shape " + shape_text(entry.shape) + ", but " + config_file +
                     " asks for " + shape_text(parameter.shape));
  }
  if (!is_float(entry.dtype)) {
    throw InputError(what + "type " + dtype_name(entry.dtype) +
                     ", but F32, F16, BF16 or F64 is needed");
  }
}

}  // namespace

std::vector<StoredParameter> stored(const std::vector<Parameter>& parameters) {
  std::vector<StoredParameter> all;
  for (const Parameter& parameter : parameters) all.push_back({parameter, {parameter.name}});
  return all;
}

Checkpoint::Checkpoint(const std::filesystem::path& file) : name_(file.string()) {
  files_.push_back(std::make_shared<const SafetensorsFile>(file));
}

Checkpoint Checkpoint::of_folder(const std::filesystem::path& folder) {
  const auto whole = folder / "model.safetensors", index = folder / "model.safetensors.index.json";
  if (std::filesystem::exists(whole) || !std::filesystem::exists(index)) return Checkpoint(whole);
  Checkpoint checkpoint;
  checkpoint.name_ = index.string();
  const Document document = load_json(index);
  ObjectReader reader(document);
  ObjectReader map = reader.object("weight_map", true);
  std::map<std::string, std::shared_ptr<const SafetensorsFile>> shards;
  for (const std::string& weight : map.keys()) {
    const std::string shard = map.text(weight);
    auto& file = shards[shard];
    if (!file) {
      if (shard.find('/') != std::string::npos)
        map.fail(weight, "\"" + shard + "\" is not a file's name");
      if (!std::filesystem::exists(folder / shard))
        map.fail(weight, "the shard \"" + shard + "\" is not in the folder");
      file = std::make_shared<const SafetensorsFile>(folder / shard);
      checkpoint.files_.push_back(file);
    }
    if (!file->find(weight)) map.fail(weight, "the shard \"" + shard + "\" does not hold it");
  }
  if (checkpoint.files_.empty()) reader.fail("weight_map", "it names no weight");
  return checkpoint;
}

Checkpoint::Found Checkpoint::find(const std::string& name) const {
  for (const auto& file : files_) {
    if (const TensorEntry* entry = file->find(name)) return {file, entry};
  }
  return {};
}

Checkpoint::Found Checkpoint::find(const StoredParameter& parameter) const {
  for (const std::string& name : parameter.names) {
    if (const Found found = find(name)) return found;
  }
  return {};
}

void Checkpoint::check(const std::vector<StoredParameter>& parameters,
                       const std::string& config_file) const {
  std::vector<std::string> names;
  for (const StoredParameter& parameter : parameters)
    names.insert(names.end(), parameter.names.begin(), parameter.names.end());

  // Unknown names first: a misspelt weight is both unknown and missing, and only this message can
  // say so.
  const std::set<std::string> known(names.begin(), names.end());
  for (const auto& file : files_) {
    for (const TensorEntry& entry : file->tensors()) {
      if (!entry.name.ends_with("position_ids") && known.count(entry.name) == 0) {
        throw InputError(file->path().string() + ": unknown weight \"" + entry.name + "\"" +
                         did_you_mean(entry.name, names));
      }
    }
  }
  for (const StoredParameter& parameter : parameters) {
    Found first;
    for (const std::string& name : parameter.names) {
      const Found found = find(name);
      if (!found) continue;
      const std::string path = found.file->path().string();
      check_entry(path, *found.entry, parameter.parameter, config_file);
      if (first && (first.entry->dtype != found.entry->dtype || first.bytes() != found.bytes())) {
        throw InputError(path + ": \"" + first.entry->name + "\" and \"" + name +
                         "\" are two names of one weight, but their numbers differ");
      }
      first = found;
    }
    if (!first) {
      throw InputError(name_ + ": the weight \"" + parameter.names.front() + "\" is missing");
    }
  }
}

void read_parameters(const Checkpoint& checkpoint, const std::vector<StoredParameter>& parameters,
                     const c10::Device& device, std::map<std::string, Tensor>& into) {
  for (const StoredParameter& parameter : parameters) {
    const Checkpoint::Found found = checkpoint.find(parameter);
    const auto type = scalar_type(found.entry->dtype);
    const std::string_view bytes = found.bytes();
    // The format does not promise that a tensor is aligned in the file.
    const bool aligned =
        reinterpret_cast<std::uintptr_t>(bytes.data()) % dtype_size(found.entry->dtype) == 0;
    Tensor tensor;
    if (aligned && !bytes.empty()) {
      // from_blob wants memory that may be written to, as a private mapping's may.
      tensor = torch::from_blob(
          const_cast<char*>(bytes.data()), parameter.parameter.shape, [file = found.file](void*) {},
          type);
    } else {
      tensor = torch::empty(parameter.parameter.shape, type);
      std::memcpy(tensor.data_ptr(), bytes.data(), bytes.size());
    }
    into[parameter.parameter.name] = tensor.to(device, torch::kFloat);
  }
}

void write_parameters(const std::filesystem::path& file,
                      const std::vector<StoredParameter>& parameters,
                      const std::map<std::string, Tensor>& from) {
  std::vector<Tensor> tensors;
  std::vector<TensorView> views;
  for (const StoredParameter& parameter : parameters) {
    tensors.push_back(plain(from.at(parameter.parameter.name)));
    for (const std::string& name : parameter.names)
      views.push_back({name, Dtype::kF32, parameter.parameter.shape, bytes_of(tensors.back())});
  }
  write_safetensors(file, views, {{"format", "pt"}});
}

}  // namespace strata::models
