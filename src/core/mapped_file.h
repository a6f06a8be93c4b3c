#pragma once
/// \file
/// A file as bytes of memory. Internal.

#include <cstddef>
#include <filesystem>
#include <string_view>

namespace strata {

/// A regular file mapped into memory: its pages are read when they are first looked at. Who changes
/// them changes a copy of the page, never the file.
class MappedFile {
 public:
  /// @throws InputError: it cannot be read or mapped, or is not a file.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::string_view bytes() const { return {static_cast<const char*>(memory_), size_}; }

 private:
  void* memory_ = nullptr;  ///< none of an empty file
  std::size_t size_ = 0;
};

}  // namespace strata
