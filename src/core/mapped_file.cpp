#include "core/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "strata/core/error.h"

namespace strata {

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
}

MappedFile::~MappedFile() {
  if (memory_) ::munmap(memory_, size_);
}

}  // namespace strata
