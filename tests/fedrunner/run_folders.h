#pragma once
// Run folders that must be equal.

#include <filesystem>
#include <map>
#include <sstream>
#include <string>

#include "catch.h"
#include "temp_dir.h"

namespace strata::test {

/// metrics.csv without its last two columns, which are measured.
inline std::string reproducible(const std::filesystem::path& metrics) {
  std::istringstream in(slurp(metrics));
  std::string out;
  for (std::string line; std::getline(in, line);) {
    for (int i = 0; i < 2; ++i) line.erase(line.rfind(','));
    out += line + '\n';
  }
  return out;
}

/// Path → content of all that two equal runs, or experiments, must share.
inline std::map<std::string, std::string> contents(const std::filesystem::path& run) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(run)) {
    const auto name = std::filesystem::relative(entry.path(), run).string();
    const auto file = entry.path().filename();
    if (!entry.is_regular_file() || file == "run.json" || file == "run.log") continue;
    files[name] = file == "metrics.csv" ? reproducible(entry.path()) : slurp(entry.path());
  }
  return files;
}

inline void check_same(const std::filesystem::path& a, const std::filesystem::path& b) {
  const auto left = contents(a), right = contents(b);
  for (const auto& [name, content] : left) {
    INFO(name);
    REQUIRE(right.count(name) == 1);
    CHECK((right.at(name) == content));
  }
  CHECK(left.size() == right.size());
}

}  // namespace strata::test
