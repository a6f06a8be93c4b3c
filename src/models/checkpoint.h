#pragma once
/// \file
/// Weights in files: one model.safetensors, or the shards that model.safetensors.index.json names,
/// or what older versions of transformers wrote in place of these with PyTorch.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/layer.h"
#include "models/tensor_file.h"

namespace at {
class Tensor;
}
namespace c10 {
struct Device;
}

namespace strata::models {

/// What a folder's weights are in, unless they are in shards, and what then names these.
inline constexpr const char* kWeightsFile = "model.safetensors";
inline constexpr const char* kIndexFile = "model.safetensors.index.json";
/// What they were called before there were safetensors. They are read, and never written.
inline constexpr const char* kTorchWeightsFile = "pytorch_model.bin";
inline constexpr const char* kTorchIndexFile = "pytorch_model.bin.index.json";

/// A parameter, or buffer, under one or several names, of which a file holds one or all, or within
/// a tensor that others share, which is then read and written as a whole.
struct StoredParameter {
  Parameter parameter;
  std::vector<std::string> names;
  Share share = {};
};
/// Each under its own name.
std::vector<StoredParameter> stored(const std::vector<Parameter>& parameters);
/// The parameters of layers, and after those of each its buffers: under their own names, or within
/// the tensors that files have alone (Share::only), as files are written.
std::vector<StoredParameter> stored(const std::vector<Layer>& layers);
/// The same, to be read under their own names or those of Layer::renamed and Layer::aliases, or
/// where Layer::share says.
std::vector<StoredParameter> readable(const std::vector<Layer>& layers);

/// The tensors of a checkpoint, mapped.
class Checkpoint {
 public:
  /// One file of safetensors.
  explicit Checkpoint(const std::filesystem::path& file);
  /// That of a model folder: model.safetensors or, where there is none, the shards of
  /// model.safetensors.index.json, or pytorch_model.bin, or the shards of
  /// pytorch_model.bin.index.json. @throws InputError: none of these, a shard that is not there or
  /// is called otherwise than transformers calls it, a tensor that the index places in another
  /// shard than the one that holds it, or that no shard holds. Where none of the folder's tensors
  /// is one of the `lent` ones, these are found in their own folder, if that is there.
  static Checkpoint of_folder(const std::filesystem::path& folder,
                              const std::optional<LentWeights>& lent = {});

  struct Found {
    std::shared_ptr<const TensorFile> file = nullptr;
    const TensorEntry* entry = nullptr;
    Share share = {};   ///< of the entry's rows, where it has other parameters', too
    bool lent = false;  ///< in a file of another folder, under another name
    explicit operator bool() const { return entry != nullptr; }
    std::string_view bytes() const { return file->bytes(*entry); }
  };
  Found find(const std::string& name) const;
  /// Under whichever of its names it has, or else within the tensor that it shares.
  Found find(const StoredParameter& parameter) const;
  /// What messages call it: the file, or the index.
  const std::string& name() const { return name_; }
  const std::vector<std::shared_ptr<const TensorFile>>& files() const { return files_; }
  /// The index as it stands in its file; empty of one file.
  const std::string& index() const { return index_; }
  /// The folder's config.json as it stands; empty where there is none.
  const std::string& config() const { return config_; }
  /// Of all tensors in the files, also of another folder's.
  std::uint64_t byte_count() const;

  /// Exactly `parameters` and what begins with one of `passed_over`, each in its shape and in a
  /// float type or in 4 bits (nf4.h) with its parts, counters in int64, which may be absent; under
  /// several names it must be one. `…position_ids` buffers, which older transformers wrote, are let
  /// pass. `config_file` is what asks for the shapes. @throws InputError naming the file and the
  /// missing, misshapen or unknown weight, and the folder that lent ones are looked for in
  void check(const std::vector<StoredParameter>& parameters, const std::string& config_file,
             const std::vector<std::string>& passed_over = {}) const;

 private:
  Checkpoint() = default;
  Checkpoint(const std::filesystem::path& file, FileFormat format);
  void read_index(const std::filesystem::path& index, FileFormat format);
  void borrow(const LentWeights& lent);
  Found find_lent(const std::string& name) const;
  [[noreturn]] void missing(const std::string& name) const;
  std::string name_, index_, config_;
  std::vector<std::shared_ptr<const TensorFile>> files_;
  std::optional<LentWeights> lent_;  ///< none where the folder's own files have them
  std::vector<std::shared_ptr<const TensorFile>> lent_files_;
};

/// In which type parameters are held.
enum class Numbers : std::uint8_t {
  kFloat32,
  kAsStored  ///< short types (short_weights.h) as the file has them, others as float32
};

/// The parameters of a checked checkpoint, into a map by name. On the CPU those whose type stays
/// are the file's mapped pages, which the tensors keep: they take no memory of their own until they
/// are changed, and processes that read one file share it.
void read_parameters(const Checkpoint& checkpoint, const std::vector<StoredParameter>& parameters,
                     Numbers numbers, const c10::Device& device,
                     std::map<std::string, at::Tensor>& into);
/// As float32 (counters: int64), under all names, and tensors that are shared as a whole, where the
/// first of their parts stands.
void write_parameters(const std::filesystem::path& file,
                      const std::vector<StoredParameter>& parameters,
                      const std::map<std::string, at::Tensor>& from);

/// Under which names a checkpoint is written again.
enum class Names : std::uint8_t {
  kOfFiles,
  kOfParameters,
  kLast  ///< as kOfFiles, but what the files do not hold is written under its last name
};

/// Writes into a folder what `source` holds, into files of its files' names, each with its tensors
/// in their order and its metadata, and the index. Bytes are copied, also of `…position_ids`, but
/// for parameters whose numbers or shape are no longer those of `source`: they are float32, as are
/// parameters that it does not hold, which stand last in the last file. Other tensors are left out.
/// Counters that it does not hold are not written. Only where a type of more bytes would then begin
/// at an address that it must not (that is no multiple of them), the wider types stand first, as in
/// the files of the reference implementation. Of PyTorch's files the tensors' bytes are copied
/// likewise, row by row, into safetensors of the names that transformers gives to these. Lent
/// weights stand behind all others, byte for byte, too, so that the folder needs no other. A file
/// that the folder had in place of these (one for shards, or the other way round) is removed.
/// Returns the type that the parameters have, as config.json calls it; "float32" where they have
/// several.
std::string write_like(const Checkpoint& source, const std::filesystem::path& folder,
                       const std::vector<StoredParameter>& parameters,
                       const std::map<std::string, at::Tensor>& from,
                       Names names = Names::kOfFiles);

}  // namespace strata::models
