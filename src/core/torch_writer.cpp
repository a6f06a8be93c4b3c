#include "core/torch_writer.h"

#include <zlib.h>

#include <cstdint>
#include <limits>
#include <set>
#include <stdexcept>

#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata {
namespace {

std::string little_bytes(std::uint64_t number, int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes += static_cast<char>(number >> (8 * i) & 0xff);
  return bytes;
}

// The pickle ------------------------------------------------------------------------------------

std::string storage_class(Dtype dtype) {
  switch (dtype) {
    case Dtype::kBool:
      return "Bool";
    case Dtype::kU8:
      return "Byte";
    case Dtype::kI8:
      return "Char";
    case Dtype::kI16:
      return "Short";
    case Dtype::kI32:
      return "Int";
    case Dtype::kI64:
      return "Long";
    case Dtype::kF16:
      return "Half";
    case Dtype::kBF16:
      return "BFloat16";
    case Dtype::kF32:
      return "Float";
    case Dtype::kF64:
      return "Double";
  }
  throw std::logic_error("a type without a storage");
}

/// Opcodes of protocol 2, by their names in Python's pickletools.
std::string pickled(const std::string& text) {  // BINUNICODE
  return "X" + little_bytes(text.size(), 4) + text;
}
std::string pickled(std::int64_t number) {  // LONG1
  return "\x8a\x08" + little_bytes(static_cast<std::uint64_t>(number), 8);
}
std::string pickled(const std::vector<std::int64_t>& numbers) {  // MARK … TUPLE
  std::string text = "(";
  for (const std::int64_t number : numbers) text += pickled(number);
  return text + "t";
}
std::string pickled_global(const std::string& module, const std::string& name) {  // GLOBAL
  return "c" + module + "\n" + name + "\n";
}

/// _rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())
std::string pickled(const TensorView& tensor, const std::string& storage) {
  std::vector<std::int64_t> strides(tensor.shape.size(), 1);
  for (std::size_t i = strides.size(); i-- > 1;) strides[i - 1] = strides[i] * tensor.shape[i];
  const auto count = static_cast<std::int64_t>(tensor.bytes.size() / dtype_size(tensor.dtype));
  const std::string place = "(" + pickled("storage") +
                            pickled_global("torch", storage_class(tensor.dtype) + "Storage") +
                            pickled(storage) + pickled("cpu") + pickled(count) + "tQ";
  return pickled_global("torch._utils", "_rebuild_tensor_v2") + "(" + place + pickled(0) +
         pickled(tensor.shape) + pickled(strides) + "\x89" +
         pickled_global("collections", "OrderedDict") + ")RtR";
}

std::string pickle_of(const std::vector<TensorView>& tensors, const std::string& key) {
  std::string dictionary = "}(";  // EMPTY_DICT MARK … SETITEMS
  for (std::size_t i = 0; i < tensors.size(); ++i)
    dictionary += pickled(tensors[i].name) + pickled(tensors[i], std::to_string(i));
  dictionary += "u";
  if (!key.empty()) dictionary = "}" + pickled(key) + dictionary + "s";
  return "\x80\x02" + dictionary + ".";
}

// The zip file ----------------------------------------------------------------------------------

/// PKWARE's APPNOTE 6.3, sections 4.3.7, 4.3.12 and 4.3.16.
class StoredZip {
 public:
  explicit StoredZip(const std::filesystem::path& path) : file_(path) {}

  void add(const std::string& name, std::string_view bytes) {
    constexpr std::uint64_t kAlignment = 64, kHeader = 30, kExtraHead = 4;
    const std::uint64_t begin = offset_ + kHeader + name.size() + kExtraHead;
    const std::uint64_t padding = (kAlignment - begin % kAlignment) % kAlignment;
    // PyTorch's own kind of extra field, "FB", which nothing reads.
    const std::string extra =
        "FB" + little_bytes(padding, 2) + std::string(static_cast<std::size_t>(padding), 'Z');
    const std::string entry = described(bytes) + little_bytes(name.size(), 2);
    const std::string head = "PK\3\4" + entry + little_bytes(extra.size(), 2) + name + extra;
    directory_ += "PK\1\2" + little_bytes(kVersion, 2) + entry + std::string(12, '\0') +
                  little_bytes(offset_, 4) + name;
    write(head);
    write(bytes);
    ++count_;
  }
  void commit() {
    const std::uint64_t begin = offset_;
    write(directory_);
    write("PK\5\6" + little_bytes(0, 4) + little_bytes(count_, 2) + little_bytes(count_, 2) +
          little_bytes(directory_.size(), 4) + little_bytes(begin, 4) + little_bytes(0, 2));
    file_.commit();
  }

 private:
  static constexpr std::uint64_t kVersion = 20;  // 2.0

  /// What both headers say of an entry, from the version needed to the size: stored, of the first
  /// day that there is.
  static std::string described(std::string_view bytes) {
    constexpr std::uint64_t kFirstDay = 0x21;
    return little_bytes(kVersion, 2) + little_bytes(0, 6) + little_bytes(kFirstDay, 2) +
           little_bytes(checksum(bytes), 4) + little_bytes(bytes.size(), 4) +
           little_bytes(bytes.size(), 4);
  }
  static std::uint64_t checksum(std::string_view bytes) {
    return crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  }
  void write(std::string_view bytes) {
    file_.stream().write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    offset_ += bytes.size();
  }

  AtomicFile file_;
  std::string directory_;
  std::uint64_t offset_ = 0, count_ = 0;
};

void check_tensors(const std::filesystem::path& path, const std::vector<TensorView>& tensors) {
  constexpr std::uint64_t kOfEntry = 1024;  // headers, padding and the pickle's share, at most
  constexpr std::uint64_t kMostEntries = 65000;
  std::set<std::string> names;
  std::uint64_t size = 0;
  for (const TensorView& tensor : tensors) {
    size += tensor.bytes.size() + kOfEntry + 2 * tensor.name.size();
    if (!names.insert(tensor.name).second)
      throw InputError(path.string() + ": two tensors are called \"" + tensor.name + "\"");
  }
  if (size > std::numeric_limits<std::uint32_t>::max() || tensors.size() > kMostEntries)
    throw InputError(path.string() + ": " + std::to_string(tensors.size()) + " tensors of " +
                     std::to_string(size) + " bytes are more than the 4 GiB of such a file");
}

}  // namespace

void write_torch_file(const std::filesystem::path& path, const std::vector<TensorView>& tensors,
                      const std::string& key) {
  check_tensors(path, tensors);
  const std::string top = "archive/";
  StoredZip zip(path);
  zip.add(top + "data.pkl", pickle_of(tensors, key));
  zip.add(top + "byteorder", "little");
  for (std::size_t i = 0; i < tensors.size(); ++i)
    zip.add(top + "data/" + std::to_string(i), tensors[i].bytes);
  zip.add(top + "version", "3\n");
  zip.commit();
}

}  // namespace strata
