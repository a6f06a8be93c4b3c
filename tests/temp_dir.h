#pragma once
// A fresh folder for one test, removed afterwards; and the shared real data, where there is any.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

namespace strata::test {

class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "strata-test-XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp failed");
    path_ = pattern;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  std::filesystem::path write(const std::string& name, const std::string& content) const {
    const auto file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
    return file;
  }

 private:
  std::filesystem::path path_;
};

inline std::string slurp(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

/// ../shared/data/NAME beside the checkout (or $STRATA_SHARED_DATA/NAME); empty, with a loud line,
/// where it is absent.
inline std::filesystem::path shared_data(const std::string& name) {
  const char* set = std::getenv("STRATA_SHARED_DATA");
  const auto base = set ? std::filesystem::path(set)
                        : std::filesystem::path(STRATA_SOURCE_DIR) / ".." / "shared" / "data";
  if (std::filesystem::exists(base / name)) return base / name;
  std::cerr << "SKIPPED: the real data '" << name << "' is not at " << base << "\n";
  return {};
}

}  // namespace strata::test
