#pragma once
/// \file
/// One writer a folder.

#include <filesystem>
#include <string>

namespace strata {

/// What the lock's file is called. It is there while somebody writes, and after a kill.
inline constexpr const char* kLockFile = ".strata-lock";

/// Held from construction to destruction: nobody else holds a lock on the folder meanwhile, in this
/// or another process. It is the kernel's, so a process that dies, however it does, leaves
/// none behind. The file in the folder says who holds it and is removed at the end. Where the file
/// system knows no locks (some network ones), a warning says so and work goes on without.
class FolderLock {
 public:
  /// Makes the folder where it is missing.
  /// @throws InputError naming the folder, the process that holds it and since when. @throws
  /// WorkError where the folder or the file cannot be made.
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  std::filesystem::path file_;
  int descriptor_ = -1;
};

/// For a look before long work; nothing is written and nothing held. @throws InputError as above.
void refuse_locked_folder(const std::filesystem::path& folder);

}  // namespace strata
