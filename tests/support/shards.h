#pragma once
/// \file
/// A model's weights in shards, as transformers saves larger models.

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/document.h"
#include "strata/core/safetensors.h"

namespace strata::test {

inline const std::string kFirstShard = "model-00001-of-00002.safetensors";
inline const std::string kSecondShard = "model-00002-of-00002.safetensors";
inline const std::string kShardIndex = "model.safetensors.index.json";

/// The tensors of one file in two shards, in turns, and their index.
inline void write_shards(const std::filesystem::path& from, const std::filesystem::path& folder) {
  const SafetensorsFile file(from);
  const std::string names[2] = {kFirstShard, kSecondShard};
  std::vector<TensorView> shards[2];
  Json map = Json::object();
  std::size_t next = 0;
  for (const TensorEntry& entry : file.tensors()) {
    const std::size_t shard = next++ % 2;
    shards[shard].push_back({entry.name, entry.dtype, entry.shape, file.bytes(entry)});
    map[entry.name] = names[shard];
  }
  for (const int shard : {0, 1}) write_safetensors(folder / names[shard], shards[shard]);
  std::ofstream(folder / kShardIndex)
      << Json{{"metadata", {{"total_size", 1}}}, {"weight_map", map}}.dump();
}

/// Takes the last eight bytes of a file away, and says how many bytes of tensors are left.
inline std::uint64_t cut_off(const std::filesystem::path& file) {
  std::uint64_t bytes = 0;
  {
    const SafetensorsFile whole(file);
    for (const TensorEntry& entry : whole.tensors()) bytes += whole.bytes(entry).size();
  }
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 8);
  return bytes - 8;
}

}  // namespace strata::test
