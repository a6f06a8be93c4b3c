#include "fedrunner/staged_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/folder_lock.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::fedrunner {
namespace {

namespace fs = std::filesystem;

const std::string kMark = ".strata-tmp-";
/// In a stage whose files are being moved: their names.
constexpr const char* kMoving = ".moving";

/// "models/foundation" of "models/foundation/".
fs::path without_slash(const fs::path& path) {
  return path.has_filename() ? path : path.parent_path();
}

[[noreturn]] void fail(const fs::path& path, const char* what) {
  throw WorkError(path.string() + ": cannot be " + what + ": " + std::strerror(errno));
}

[[noreturn]] void refuse_written(const fs::path& destination) {
  throw InputError(destination.string() +
                   ": another process has written it meanwhile; choose another --out");
}

void sync_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);  // file systems without it have nothing to lose here
  ::close(descriptor);
}

/// The stage opened and locked, or -1 where another process has it or it is gone.
int lock_stage(const fs::path& stage) {
  const int descriptor = ::open(stage.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (descriptor < 0) return -1;
  struct stat locked {
  }, named{};
  if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0 && ::fstat(descriptor, &locked) == 0 &&
      ::stat(stage.c_str(), &named) == 0 && locked.st_ino == named.st_ino)
    return descriptor;
  ::close(descriptor);
  return -1;
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  return names;
}

/// Takes back what was moved before a kill, unless all was.
void undo_moves(const fs::path& stage, const fs::path& destination, const std::string& last) {
  if (!fs::exists(stage / kMoving) || !fs::exists(stage / last)) return;
  std::string name;
  for (const char c : read_file(stage / kMoving)) {
    if (c != '\n') {
      name += c;
      continue;
    }
    std::error_code ignored;
    if (!fs::exists(stage / name)) fs::remove_all(destination / name, ignored);
    name.clear();
  }
}

/// Whether it is called `begin`, the mark and two numbers.
bool is_stage(const std::string& name, const std::string& begin) {
  const std::string start = begin + kMark;
  return name.rfind(start, 0) == 0 &&
         name.find_first_not_of("0123456789-", start.size()) == std::string::npos;
}

bool remove_stages(const fs::path& folder, const std::string& begin, const fs::path& destination,
                   const std::string& last) {
  std::error_code error;
  bool found = false;
  std::vector<fs::path> stages;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const auto name = entry.path().filename().string();
    if (is_stage(name, begin) && entry.is_directory(error)) stages.push_back(entry.path());
  }
  for (const auto& stage : stages) {
    const int descriptor = lock_stage(stage);
    if (descriptor < 0) continue;
    undo_moves(stage, destination, last);
    fs::remove_all(stage, error);
    ::close(descriptor);
    found = true;
  }
  return found;
}

// A stage within its destination; beside it, it has the destination's name.
const std::string kInside = ".model";

}  // namespace

StagedFolder::StagedFolder(fs::path destination, std::string last)
    : destination_(without_slash(destination)), last_(std::move(last)) {
  std::error_code error;
  inside_ = fs::exists(destination_, error);
  const fs::path base = inside_ ? destination_ / kInside : destination_;
  if (base.has_parent_path()) {
    fs::create_directories(base.parent_path(), error);
    if (error)
      throw WorkError(base.parent_path().string() + ": cannot be made: " + error.message());
  }
  for (int number = 0; descriptor_ < 0; ++number) {
    stage_ = base;
    stage_ += kMark + std::to_string(::getpid()) + "-" + std::to_string(number);
    // Who looks for stale ones may find it before it is locked: then there is another number.
    if (::mkdir(stage_.c_str(), 0777) == 0) {
      descriptor_ = lock_stage(stage_);
    } else if (errno != EEXIST) {
      fail(stage_, "made");
    }
  }
}

StagedFolder::~StagedFolder() {
  std::error_code ignored;
  try {
    undo_moves(stage_, destination_, last_);
  } catch (const std::exception&) {
    // The list cannot be read: what was moved stays, without the file that calls it whole.
  }
  fs::remove_all(stage_, ignored);
  ::close(descriptor_);
}

void StagedFolder::commit() {
  if (!inside_) {
    if (std::rename(stage_.c_str(), destination_.c_str()) != 0) {
      if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR) refuse_written(destination_);
      fail(destination_, "made");
    }
    sync_folder(destination_.has_parent_path() ? destination_.parent_path() : ".");
    return;
  }
  const FolderLock lock(destination_);
  if (fs::exists(destination_ / last_)) refuse_written(destination_);
  std::string list;
  const auto names = names_in(stage_);
  for (const auto& name : names) list += name + "\n";
  write_file(stage_ / kMoving, list);
  const auto move = [&](const std::string& name) {
    if (std::rename((stage_ / name).c_str(), (destination_ / name).c_str()) != 0)
      fail(destination_ / name, "written");
  };
  for (const auto& name : names) {
    if (name != last_) move(name);
  }
  move(last_);
  sync_folder(destination_);
}

bool remove_stale_stages(const fs::path& destination, const std::string& last) {
  const auto place = without_slash(destination);
  const auto parent = place.has_parent_path() ? place.parent_path() : fs::path(".");
  const bool beside = remove_stages(parent, place.filename().string(), place, last);
  return remove_stages(place, kInside, place, last) || beside;
}

}  // namespace strata::fedrunner
