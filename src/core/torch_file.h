#pragma once
/// \file
/// Checkpoints of PyTorch from 1.6 on (`torch.save`: .pth, .pt, .bin): a zip file that holds a
/// pickle, `data.pkl`, and the storages of tensors, uncompressed. Read strictly and without
/// PyTorch: the pickle is data, of which nothing is imported or called. Internal.

#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/mapped_file.h"
#include "strata/core/safetensors.h"

namespace strata {

/// How a tensor lies in its storage, counted in elements.
struct TorchLayout {
  std::string storage;  ///< its name in the file; tied weights have one
  std::int64_t offset = 0;
  std::vector<std::int64_t> strides;  ///< one an extent, at least 0
  bool contiguous = true;             ///< row-major without gaps
  bool shared = false;                ///< another tensor has this storage, too
};

/// The tensors of a checkpoint that is mapped into memory. Its bytes may be changed there, which
/// leaves the file as it is; tied weights change together. Move-only.
///
/// They are those of the dictionary that was saved or, where that holds a dictionary of tensors as
/// "model", "state_dict", "model_state_dict" or "module", of this one (and so on). A tensor in a
/// dictionary within has the names of both with a dot between. Parameters are tensors. What else
/// stands there or beside (an optimizer's state, numbers, texts, lists of them) is read, and left
/// out.
class TorchFile {
 public:
  /// Reads the pickle and checks every tensor against its storage. Storages are not read, nor are
  /// the zip's checksums. Beside plain values of Python only OrderedDict, `torch._utils`'
  /// `_rebuild_tensor_v2` and `_rebuild_parameter`, and storages of Dtype's ten types may be there.
  /// @throws InputError naming the file and, where there is one, the tensor: no such file, or one
  /// of before PyTorch 1.6, of TorchScript, compressed or big-endian; anything else in the pickle,
  /// by its name; no tensor, or several dictionaries that might be meant; a tensor without a name,
  /// or two of one name; shape, strides or offset that leave the storage, or a storage that is not
  /// as long as it says; more than 100,000 tensors; tensors that are not contiguous, or names, of
  /// which references to a few bytes make much more than the file has.
  explicit TorchFile(const std::filesystem::path& path);
  /// The same of a file's bytes; `name` is what errors begin with.
  TorchFile(std::string bytes, const std::string& name);

  /// In the dictionary's order. `begin` and `end` of an entry mean nothing here.
  const std::vector<TensorEntry>& tensors() const { return tensors_; }
  /// nullptr when there is none of that name.
  const TensorEntry* find(const std::string& name) const;
  /// The numbers of a tensor of this file, row-major: of a contiguous one the file's own bytes,
  /// wherever they begin (PyTorch's at a multiple of 64), else a copy that was made at first.
  std::string_view bytes(const TensorEntry& entry) const;
  const TorchLayout& layout(const TensorEntry& entry) const;
  /// Or the name that was given with the bytes.
  const std::filesystem::path& path() const { return path_; }

 private:
  void read(std::string_view file);

  std::filesystem::path path_;
  std::unique_ptr<const MappedFile> mapping_;
  std::unique_ptr<const std::string> given_;  ///< the bytes, where no file is mapped
  std::vector<TensorEntry> tensors_;
  std::vector<TorchLayout> layouts_;     ///< one a tensor, as are these:
  std::vector<std::string_view> bytes_;  ///< of the file or of `gathered_`
  std::deque<std::string> gathered_;
  std::unordered_map<std::string, std::size_t> index_;
};

}  // namespace strata
