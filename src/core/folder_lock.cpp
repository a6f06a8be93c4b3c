#include "core/folder_lock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "core/console.h"
#include "strata/core/error.h"

namespace strata {
namespace {

/// "process 4711 since 2026-11-28 10:23:54 UTC".
std::string this_process() {
  char since[32];
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::strftime(since, sizeof since, "%Y-%m-%d %H:%M:%S UTC", &utc);
  return "process " + std::to_string(::getpid()) + " since " + since;
}

[[noreturn]] void refuse(const std::filesystem::path& folder, int descriptor) {
  char text[128];
  const ssize_t size = ::pread(descriptor, text, sizeof text, 0);
  // Its holder may not have come to writing it.
  std::string holder = size > 0 ? std::string(text, static_cast<std::size_t>(size)) : "";
  while (!holder.empty() && holder.back() == '\n') holder.pop_back();
  ::close(descriptor);
  throw InputError(folder.string() + ": " + (holder.empty() ? "another process" : holder) +
                   " writes into this folder; wait for it, or choose another --out");
}

[[noreturn]] void fail_to_lock(const std::filesystem::path& file) {
  throw WorkError(file.string() + ": cannot be written: " + std::strerror(errno));
}

/// Whether the path still leads to what is open: the last holder removes its file.
bool is_current(const std::filesystem::path& file, int descriptor) {
  struct stat open_one {
  }, named{};
  return ::fstat(descriptor, &open_one) == 0 && ::stat(file.c_str(), &named) == 0 &&
         open_one.st_dev == named.st_dev && open_one.st_ino == named.st_ino;
}

/// The whole file, for one writer. Of the open file, not of the process (as fcntl's older locks
/// are), so that two of one process exclude each other, too, and that a look takes nothing.
struct flock whole_file() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

bool is_held(int error) {
  return error == EAGAIN || error == EACCES;
}

}  // namespace

FolderLock::FolderLock(const std::filesystem::path& folder) : file_(folder / kLockFile) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw WorkError(folder.string() + ": cannot be made: " + error.message());
  for (;;) {
    descriptor_ = ::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (descriptor_ < 0) fail_to_lock(file_);
    struct flock lock = whole_file();
    if (::fcntl(descriptor_, F_OFD_SETLK, &lock) != 0) {
      if (is_held(errno)) refuse(folder, descriptor_);
      log_warning(file_.string() + ": cannot be locked (" + std::strerror(errno) +
                  "): nothing keeps a second process out of the folder");
      break;
    }
    if (is_current(file_, descriptor_)) break;
    ::close(descriptor_);
  }
  const std::string holder = this_process() + "\n";
  if (::ftruncate(descriptor_, 0) != 0 || ::pwrite(descriptor_, holder.data(), holder.size(), 0) !=
                                              static_cast<ssize_t>(holder.size())) {
    // A full disk: the lock holds without a name, and what is written next says what is wrong.
  }
}

FolderLock::~FolderLock() {
  // Before it is let go: afterwards it may be another's.
  ::unlink(file_.c_str());
  ::close(descriptor_);
}

void refuse_locked_folder(const std::filesystem::path& folder) {
  const int descriptor = ::open((folder / kLockFile).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (descriptor < 0) return;
  struct flock lock = whole_file();
  if (::fcntl(descriptor, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
    refuse(folder, descriptor);
  ::close(descriptor);
}

}  // namespace strata
