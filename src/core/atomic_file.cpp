#include "strata/core/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <vector>

#include "strata/core/error.h"

namespace strata {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path) {
  const int error = errno;
  throw WorkError(path.string() +
                  ": cannot be written: " + (error ? std::strerror(error) : "unknown error"));
}

/// Some disks say only here that they are full. False with errno set; file systems without fsync
/// count as done.
bool sync_path(const std::filesystem::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags);
  if (descriptor < 0) return false;
  const bool done =
      ::fsync(descriptor) == 0 || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP;
  const int error = errno;
  ::close(descriptor);
  errno = error;
  return done;
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path destination) : destination_(std::move(destination)) {
  static std::atomic<int> counter{0};
  std::error_code error;
  // The rename would find out about a folder only after everything has been written, and other
  // files renamed; and root's would put a plain file in the place of /dev/null.
  if (std::filesystem::exists(destination_, error) &&
      !std::filesystem::is_regular_file(destination_, error)) {
    throw WorkError(destination_.string() + ": cannot be written: " +
                    (std::filesystem::is_directory(destination_, error) ? "is a folder"
                                                                        : "is no regular file"));
  }
  // A symbolic link stays one: what it leads to is replaced.
  if (std::filesystem::is_symlink(destination_, error)) {
    auto target = std::filesystem::canonical(destination_, error);
    if (!error) destination_ = std::move(target);
  }
  if (destination_.has_parent_path()) {
    std::filesystem::create_directories(destination_.parent_path(), error);
    if (error)
      throw WorkError(destination_.parent_path().string() + ": cannot be made: " + error.message());
  }
  temporary_ = destination_;
  temporary_ += ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
  errno = 0;
  stream_.open(temporary_, std::ios::binary | std::ios::trunc);
  if (!stream_) fail(destination_);
  errno = 0;
}

AtomicFile::~AtomicFile() {
  if (committed_) return;
  stream_.close();
  std::error_code ignored;
  std::filesystem::remove(temporary_, ignored);
}

void AtomicFile::commit(bool flush_to_disk) {
  // A write that failed has set errno already.
  if (!stream_) fail(destination_);
  errno = 0;
  stream_.flush();
  if (!stream_) fail(destination_);
  stream_.close();
  if (!stream_) fail(destination_);
  if (flush_to_disk && !sync_path(temporary_, O_RDONLY)) fail(destination_);
  errno = 0;
  if (std::rename(temporary_.c_str(), destination_.c_str()) != 0) fail(destination_);
  committed_ = true;
  if (!flush_to_disk) return;
  // Without this the rename itself may be lost in a power failure.
  sync_path(destination_.has_parent_path() ? destination_.parent_path() : ".",
            O_RDONLY | O_DIRECTORY);
}

void write_file(const std::filesystem::path& destination, std::string_view content,
                bool flush_to_disk) {
  AtomicFile file(destination);
  file.stream().write(content.data(), static_cast<std::streamsize>(content.size()));
  file.commit(flush_to_disk);
}

std::string read_file(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error))
    throw InputError(path.string() + ": is a folder, not a file");
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in)
    throw InputError(path.string() + ": cannot be read: " + std::strerror(errno ? errno : ENOENT));
  std::string content;
  std::vector<char> buffer(std::size_t{1} << 16);
  do {
    in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    content.append(buffer.data(), static_cast<std::size_t>(in.gcount()));
  } while (in);
  if (in.bad()) throw InputError(path.string() + ": cannot be read to its end");
  return content;
}

}  // namespace strata
