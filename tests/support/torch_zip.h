#pragma once
// Checkpoints as torch.save writes them, put together by hand, also wrong ones.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "strata/core/safetensors.h"
#include "support/npz_file.h"

namespace strata::test {

/// A zip of "x/NAME" for each of the entries.
inline std::string torch_zip(const std::vector<std::pair<std::string, std::string>>& entries,
                             bool compress = false, bool zip64 = false) {
  std::vector<NpyFile> files;
  for (const auto& [name, bytes] : entries) files.push_back({"x/" + name, bytes});
  return npz(files, compress, zip64, -1, 0, 64);
}

// Pieces of a pickle.
inline std::string pickled_text(const std::string& text) {
  return "X" + little(text.size(), 4) + text;
}
/// LONG1 of 8 bytes.
inline std::string pickled_number(std::int64_t number) {
  return "\x8a\x08" + little(static_cast<std::uint64_t>(number), 8);
}
inline std::string pickled_tuple(const std::vector<std::int64_t>& numbers) {
  std::string out = "(";
  for (const std::int64_t number : numbers) out += pickled_number(number);
  return out + "t";
}

/// A tensor's call, each part of which can be another pickle.
struct PickledTensor {
  std::string type = "ctorch\nFloatStorage\n";
  std::string key = pickled_text("0");
  std::string stored = pickled_number(6);
  std::string offset = pickled_number(0);
  std::string shape = pickled_tuple({2, 3});
  std::string strides = pickled_tuple({3, 1});
  std::string hooks = "ccollections\nOrderedDict\n)R";
  std::string end = "";

  std::string storage() const {
    return "(" + pickled_text("storage") + type + key + pickled_text("cpu") + stored + "tQ";
  }
  std::string text() const {
    return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage() + offset + shape + strides + "\x89" +
           hooks + end + "tR";
  }
};

/// A dictionary of pickled values.
inline std::string pickled_dictionary(
    const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string out = "}(";
  for (const auto& [key, value] : entries) out += pickled_text(key) + value;
  return out + "u";
}

/// The file of a pickle, with a storage "0" of six floats.
inline std::string torch_file(const std::string& pickle) {
  return torch_zip({{"data.pkl", "\x80\x02" + pickle + "."}, {"data/0", std::string(24, '\1')}});
}

inline std::string storage_name(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF16:
      return "Half";
    case Dtype::kBF16:
      return "BFloat16";
    case Dtype::kI64:
      return "Long";
    case Dtype::kU8:
      return "Byte";
    default:
      return "Float";
  }
}

/// Tensors as torch.save writes a dictionary of them, with those called `tied` in one storage.
inline std::string torch_file(const std::vector<TensorView>& tensors,
                              const std::vector<std::string>& tied = {}) {
  std::vector<std::pair<std::string, std::string>> storages, values;
  std::string tied_key;
  for (const TensorView& tensor : tensors) {
    const bool is_tied = std::find(tied.begin(), tied.end(), tensor.name) != tied.end();
    std::string key = std::to_string(storages.size());
    if (is_tied && !tied_key.empty()) {
      key = tied_key;
    } else {
      storages.emplace_back("data/" + key, tensor.bytes);
      if (is_tied) tied_key = key;
    }
    std::vector<std::int64_t> strides(tensor.shape.size(), 1);
    for (std::size_t i = strides.size(); i-- > 1;) strides[i - 1] = strides[i] * tensor.shape[i];
    const auto count = tensor.bytes.size() / dtype_size(tensor.dtype);
    values.emplace_back(tensor.name,
                        PickledTensor{.type = "ctorch\n" + storage_name(tensor.dtype) + "Storage\n",
                                      .key = pickled_text(key),
                                      .stored = pickled_number(static_cast<std::int64_t>(count)),
                                      .shape = pickled_tuple(tensor.shape),
                                      .strides = pickled_tuple(strides)}
                            .text());
  }
  storages.insert(storages.begin(), {"data.pkl", "\x80\x02" + pickled_dictionary(values) + "."});
  return torch_zip(storages);
}

}  // namespace strata::test
