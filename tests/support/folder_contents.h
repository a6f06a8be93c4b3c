#pragma once
// All that a folder holds, to compare folders that must be equal.

#include <filesystem>
#include <map>
#include <string>

#include "temp_dir.h"

namespace strata::test {

/// Relative path → content.
inline std::map<std::string, std::string> folder_contents(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file())
      files[std::filesystem::relative(entry.path(), folder).string()] = slurp(entry.path());
  return files;
}

}  // namespace strata::test
