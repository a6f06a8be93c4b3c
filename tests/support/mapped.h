#pragma once
/// \file
/// What of this process's memory is a file.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace strata::test {

/// Whether a file is mapped there into this process.
inline bool is_mapped(const void* address, const std::filesystem::path& file) {
  std::ifstream maps("/proc/self/maps");
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  for (std::string line; std::getline(maps, line);) {
    if (line.find(file.string()) == std::string::npos) continue;
    std::uintptr_t begin = 0, end = 0;
    char dash = 0;
    std::istringstream(line) >> std::hex >> begin >> dash >> end;
    if (begin <= at && at < end) return true;
  }
  return false;
}

}  // namespace strata::test
