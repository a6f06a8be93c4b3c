#pragma once
// Images that Pillow read and resized (tests/reference/images.py), and what compares with them.

#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "temp_dir.h"

namespace strata::test {

inline const nlohmann::json& reference() {
  static const auto json = nlohmann::json::parse(
      slurp(std::filesystem::path(STRATA_SOURCE_DIR) / "tests" / "reference" / "images.json"));
  return json;
}

inline std::string from_hex(const std::string& hex) {
  std::string out;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    out += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return out;
}

}  // namespace strata::test
