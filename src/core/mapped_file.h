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

/// The memory of the pages that lie wholly in `part` goes back to the system, which reads them from
/// their file again when they are next looked at. Changes to them are lost. Nothing is done where
/// `part` is not the bytes of a MappedFile. May be called by several threads, also while others
/// read the same bytes. O(log mapped files) and a system call.
void release_pages(std::string_view part);

}  // namespace strata
