#pragma once
/// \file
/// The safetensors format (https://github.com/huggingface/safetensors): an 8-byte little-endian
/// header length N, N bytes of JSON {name: {"dtype", "shape", "data_offsets": [begin, end]},
/// "__metadata__": {…}}, then the data. Nothing in the file is trusted before it is checked.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace strata {

class MappedFile;

/// Element types of the format that Strata reads and writes.
enum class Dtype { kBool, kU8, kI8, kI16, kI32, kI64, kF16, kBF16, kF32, kF64 };
std::size_t dtype_size(Dtype dtype);
const char* dtype_name(Dtype dtype);  ///< "F32", …

struct TensorEntry {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;  ///< bytes, relative to the data section
  std::int64_t element_count() const;
  /// dtype × shape.
  std::uint64_t byte_count() const {
    return static_cast<std::uint64_t>(element_count()) * dtype_size(dtype);
  }
};

/// A checkpoint mapped into memory. Its bytes may be changed there, which leaves the file as it is.
/// Move-only.
/// \code
/// const float bias[] = {1, 2, 3};
/// write_safetensors("model.safetensors", {{"head.bias", Dtype::kF32, {3},
///                                          {reinterpret_cast<const char*>(bias), sizeof bias}}});
/// const SafetensorsFile file("model.safetensors");
/// const TensorEntry* entry = file.find("head.bias");
/// assert(entry && entry->element_count() == 3);
/// assert(std::memcmp(file.bytes(*entry).data(), bias, sizeof bias) == 0);
/// \endcode
class SafetensorsFile {
 public:
  /// Maps the file and checks it: the header's length fits the file and is at most 100 MB, the
  /// header is one JSON object with no duplicate name, each dtype is known, shapes are non-negative
  /// and their product does not overflow, offsets are ordered, inside the data, sized as dtype ×
  /// shape says, and cover the data without gap or overlap.
  /// @throws InputError naming the file, the tensor, what was found and what is allowed.
  explicit SafetensorsFile(const std::filesystem::path& path);
  /// The same of a file's bytes, as messages bring them; `name` is what errors begin with.
  /// \code
  /// const float bias[] = {1, 2};
  /// const std::string sent = safetensors_bytes(
  ///     {{"bias", Dtype::kF32, {2}, {reinterpret_cast<const char*>(bias), sizeof bias}}});
  /// const SafetensorsFile received(sent, "the reply of client ct");
  /// assert(received.find("bias")->element_count() == 2);
  /// \endcode
  SafetensorsFile(std::string bytes, const std::string& name);
  ~SafetensorsFile();
  SafetensorsFile(SafetensorsFile&&) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&&) noexcept;

  const std::vector<TensorEntry>& tensors() const { return tensors_; }  ///< by offset
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// nullptr when there is none of that name. O(log n).
  const TensorEntry* find(const std::string& name) const;
  /// The bytes of a tensor of this file.
  std::string_view bytes(const TensorEntry& entry) const;
  /// Or the name that was given with the bytes.
  const std::filesystem::path& path() const { return path_; }

 private:
  void read(const char* bytes, std::size_t size);

  std::filesystem::path path_;
  std::vector<TensorEntry> tensors_;
  std::map<std::string, std::size_t> index_;
  std::map<std::string, std::string> metadata_;
  const char* data_ = nullptr;  ///< start of the data section
  std::unique_ptr<const MappedFile> mapping_;
  std::unique_ptr<const std::string> given_;  ///< the bytes, where no file is mapped
};

/// A tensor to be written; `bytes` must hold dtype × shape bytes, little-endian, row-major.
struct TensorView {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<std::int64_t> shape;
  std::string_view bytes;
};

/// Writes tensors in the given order after a header padded to 8 bytes, as the reference
/// implementation does. The same tensors and metadata give the same bytes. Whole or not at all.
/// @throws WorkError
void write_safetensors(const std::filesystem::path& path, const std::vector<TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata = {});
/// What write_safetensors writes.
std::string safetensors_bytes(const std::vector<TensorView>& tensors,
                              const std::map<std::string, std::string>& metadata = {});
/// The same for tensors that are not all in memory at once: `bytes(i)` is asked for those of tensor
/// i, in turn, and what it returns is used before it is asked again. Of an entry its name, type and
/// shape count.
void write_safetensors(const std::filesystem::path& path, const std::vector<TensorEntry>& tensors,
                       const std::function<std::string_view(std::size_t)>& bytes,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace strata
