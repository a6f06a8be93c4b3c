#include "cli/mask_files.h"

#include <unistd.h>

#include "cli/output_files.h"
#include "data/nifti.h"
#include "strata/core/error.h"

namespace strata::cli {
namespace {

namespace fs = std::filesystem;

/// On the same file system as the folder, so that files can be moved into it.
fs::path stage_of(const fs::path& folder) {
  const std::string mark = ".strata-tmp-" + std::to_string(::getpid());
  std::error_code ignored;
  if (fs::exists(folder, ignored)) return folder / mark;
  const fs::path plain = folder.has_filename() ? folder : folder.parent_path();
  return plain.string() + mark;
}

void make_parent(const fs::path& file) {
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  if (error) throw WorkError(file.parent_path().string() + ": cannot be made: " + error.message());
}

}  // namespace

MaskFiles::MaskFiles(fs::path folder) : folder_(std::move(folder)), stage_(stage_of(folder_)) {}

MaskFiles::~MaskFiles() {
  std::error_code ignored;
  fs::remove_all(stage_, ignored);
}

void MaskFiles::add(const std::string& name, const data::Mask& mask) {
  check_writable(destination(name));
  make_parent(stage_ / name);
  data::write_nifti(stage_ / name, mask);
  names_.push_back(name);
}

void MaskFiles::commit() {
  for (const std::string& name : names_) {
    const fs::path file = destination(name);
    make_parent(file);
    std::error_code error;
    fs::rename(stage_ / name, file, error);
    if (error) throw WorkError(file.string() + ": cannot be written: " + error.message());
  }
  names_.clear();
}

}  // namespace strata::cli
