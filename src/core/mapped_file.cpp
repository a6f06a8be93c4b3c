#include "core/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>

#include "strata/core/error.h"

namespace strata {
namespace {

/// Where files are mapped now: only there do released pages come back as they were.
class Mappings {
 public:
  void add(const char* begin, std::size_t size) {
    const std::lock_guard<std::mutex> lock(mutex_);
    sizes_[begin] = size;
  }
  void remove(const char* begin) {
    const std::lock_guard<std::mutex> lock(mutex_);
    sizes_.erase(begin);
  }
  void release(std::string_view part) {
    // Held meanwhile, so that nothing else is mapped there.
    const std::lock_guard<std::mutex> lock(mutex_);
    auto found = sizes_.upper_bound(part.data());
    if (found == sizes_.begin()) return;
    --found;
    if (part.data() + part.size() > found->first + found->second) return;
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto first = reinterpret_cast<std::uintptr_t>(part.data());
    const std::uintptr_t begin = (first + page - 1) / page * page;
    const std::uintptr_t end = (first + part.size()) / page * page;
    if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }

 private:
  std::mutex mutex_;
  std::map<const char*, std::size_t> sizes_;  // by where they begin
};

Mappings& mappings() {
  static Mappings all;
  return all;
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  const std::string file = path.string();
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw InputError(file + ": cannot be read: " + std::strerror(errno));
  struct stat status {};
  const bool regular = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  if (regular) size_ = static_cast<std::size_t>(status.st_size);
  if (size_ > 0)
    memory_ = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE, descriptor, 0);
  const int error = errno;
  ::close(descriptor);
  if (!regular) throw InputError(file + ": is not a file");
  if (memory_ == MAP_FAILED) throw InputError(file + ": cannot be mapped: " + std::strerror(error));
  if (memory_) mappings().add(static_cast<const char*>(memory_), size_);
}

MappedFile::~MappedFile() {
  if (!memory_) return;
  mappings().remove(static_cast<const char*>(memory_));
  ::munmap(memory_, size_);
}

void release_pages(std::string_view part) {
  mappings().release(part);
}

}  // namespace strata
