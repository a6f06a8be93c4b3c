#pragma once
/// \file
/// Masks of volumes as files, all of which appear in their folder or none.

#include <filesystem>
#include <string>
#include <vector>

#include "data/volume.h"

namespace strata::cli {

/// Masks are written into a folder of their own, within `folder` or, where that is not there yet,
/// beside it; `commit` moves them, each into the place of one that has its name. Destruction
/// without a commit removes what was written.
class MaskFiles {
 public:
  explicit MaskFiles(std::filesystem::path folder);
  ~MaskFiles();
  MaskFiles(const MaskFiles&) = delete;
  MaskFiles& operator=(const MaskFiles&) = delete;

  /// Where the mask of a volume of this name, a relative path, is going to be.
  std::filesystem::path destination(const std::string& name) const { return folder_ / name; }
  /// @throws WorkError: it cannot be written, or a folder has its place
  void add(const std::string& name, const data::Mask& mask);
  /// @throws WorkError
  void commit();

 private:
  std::filesystem::path folder_, stage_;
  std::vector<std::string> names_;
};

}  // namespace strata::cli
