#pragma once
// Checkpoints as torch.save writes them, put together by hand, also wrong ones.

#include <string>
#include <utility>
#include <vector>

#include "support/npz_file.h"

namespace strata::test {

/// A zip of "x/NAME" for each of the entries.
inline std::string torch_zip(const std::vector<std::pair<std::string, std::string>>& entries,
                             bool compress = false, bool zip64 = false) {
  std::vector<NpyFile> files;
  for (const auto& [name, bytes] : entries) files.push_back({"x/" + name, bytes});
  return npz(files, compress, zip64);
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

}  // namespace strata::test
