#pragma once
/// \file
/// NumPy's `.npz`: a zip file of `.npy` arrays (numpy.lib.format), read strictly and without NumPy.
/// zip and npy are a page of code each on top of zlib, which PNG needs anyway, so that no library
/// is added. Internal.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/zip.h"

namespace strata::data {

/// An array of bytes (dtype "|u1", C order), read-only. Copies share the memory.
class ByteArray {
 public:
  ByteArray(std::vector<std::int64_t> shape, std::shared_ptr<const std::uint8_t> data)
      : shape_(std::move(shape)), data_(std::move(data)) {}
  const std::vector<std::int64_t>& shape() const { return shape_; }
  const std::uint8_t* data() const { return data_.get(); }

 private:
  std::vector<std::int64_t> shape_;
  std::shared_ptr<const std::uint8_t> data_;
};

class NpzFile {
 public:
  /// Reads the zip's directory. @throws InputError: no zip file, damaged, encrypted, or compressed
  /// in another way than deflate.
  explicit NpzFile(const std::filesystem::path& path);

  bool has(const std::string& array) const { return entries_.count(array) > 0; }
  /// From the array's header alone. @throws InputError: no such array (naming those there are),
  /// damaged, another dtype or order, a shape that does not fit the size.
  std::vector<std::int64_t> shape(const std::string& array) const;
  /// The array, unpacked into a temporary file without a name (in $TMPDIR, of its unpacked size)
  /// that is mapped into memory: arrays larger than memory are paged in as they are read.
  /// @throws InputError as `shape`, also where the checksum is wrong; WorkError: a full disk.
  ByteArray read(const std::string& array) const;

 private:
  struct Header {
    std::vector<std::int64_t> shape;
    std::size_t size = 0;  ///< of the header, in bytes
  };
  [[noreturn]] void fail(const std::string& message) const;
  const ZipEntry& entry(const std::string& array) const;
  Header header(const std::string& array) const;
  template <typename Sink>
  void unpack(const std::string& array, std::uint64_t limit, Sink sink) const;

  std::filesystem::path path_;
  std::map<std::string, ZipEntry> entries_;  ///< by the name without ".npy"
};

}  // namespace strata::data
