#include "strata/core/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "strata/core/error.h"

namespace strata {
namespace {

[[noreturn]] void fail_to_write(const std::filesystem::path& path) {
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

/// A name beside `destination` that no other file of this or another process has.
std::filesystem::path temporary_name(const std::filesystem::path& destination) {
  static std::atomic<int> counter{0};
  const std::string suffix = ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
  std::string name = destination.filename().string();
  const std::size_t most = NAME_MAX - suffix.size();
  if (name.size() > most) {
    // Not within a character, which some file systems refuse.
    std::size_t end = most;
    while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xC0) == 0x80) --end;
    name.resize(end);
  }
  return destination.parent_path() / (name + suffix);
}

}  // namespace

std::filesystem::path write_target(const std::filesystem::path& path) {
  constexpr int kMostLinks = 40;  // as Linux
  std::filesystem::path target = path;
  for (int i = 0; i <= kMostLinks; ++i) {
    std::error_code no_link;
    const auto next = std::filesystem::read_symlink(target, no_link);
    if (no_link) return target;
    target = target.parent_path() / next;
  }
  errno = ELOOP;
  fail_to_write(path);
}

std::filesystem::path temporary_folder() {
  std::error_code error;
  auto folder = std::filesystem::temp_directory_path(error);
  if (!error) return folder;
  // The variables and the order that the library goes by.
  for (const char* name : {"TMPDIR", "TMP", "TEMP", "TEMPDIR"}) {
    if (const char* value = std::getenv(name))
      throw WorkError(std::string(name) + "=" + value +
                      ": there is no such folder for temporary files");
  }
  throw WorkError("/tmp: there is no such folder for temporary files");
}

AtomicFile::AtomicFile(std::filesystem::path destination) : destination_(std::move(destination)) {
  std::error_code error;
  // The rename would find out about a folder only after everything has been written, and other
  // files renamed; and root's would put a plain file in the place of /dev/null.
  if (std::filesystem::exists(destination_, error) &&
      !std::filesystem::is_regular_file(destination_, error)) {
    throw WorkError(destination_.string() + ": cannot be written: " +
                    (std::filesystem::is_directory(destination_, error) ? "is a folder"
                                                                        : "is no regular file"));
  }
  destination_ = write_target(destination_);
  if (destination_.has_parent_path()) {
    std::filesystem::create_directories(destination_.parent_path(), error);
    if (error)
      throw WorkError(destination_.parent_path().string() + ": cannot be made: " + error.message());
  }
  temporary_ = temporary_name(destination_);
  errno = 0;
  stream_.open(temporary_, std::ios::binary | std::ios::trunc);
  if (!stream_) fail_to_write(destination_);
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
  if (!stream_) fail_to_write(destination_);
  errno = 0;
  stream_.flush();
  if (!stream_) fail_to_write(destination_);
  stream_.close();
  if (!stream_) fail_to_write(destination_);
  if (flush_to_disk && !sync_path(temporary_, O_RDONLY)) fail_to_write(destination_);
  errno = 0;
  if (std::rename(temporary_.c_str(), destination_.c_str()) != 0) fail_to_write(destination_);
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
