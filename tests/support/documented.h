#pragma once
// Tables that a program knows and a page of docs/ holds.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "catch.h"
#include "temp_dir.h"

namespace strata::test {

/// That the page has `text` between its marks for `what` the test of that name has written there;
/// with STRATA_WRITE_DOCS=1 it writes it.
inline void check_documented(const std::string& page, const std::string& what,
                             const std::string& test, const std::string& text) {
  const auto file = std::filesystem::path(STRATA_SOURCE_DIR) / page;
  const std::string begin = "<!-- " + what + ", written by the test " + test + " -->\n";
  std::string docs = slurp(file);
  REQUIRE(docs.find(begin) != std::string::npos);
  const auto first = docs.find(begin) + begin.size();
  const auto last = docs.find("<!-- The end of the keys -->\n");
  REQUIRE(last != std::string::npos);
  const std::string expected = "\n" + text + "\n";
  if (std::getenv("STRATA_WRITE_DOCS")) {
    docs.replace(first, last - first, expected);
    std::ofstream(file, std::ios::binary) << docs;
  } else {
    INFO("STRATA_WRITE_DOCS=1 ctest -R " + test + " writes " + page);
    CHECK(docs.substr(first, last - first) == expected);
  }
}

}  // namespace strata::test
