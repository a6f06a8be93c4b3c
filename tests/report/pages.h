#pragma once
// What the tests of the report read out of its pages, and the run that they are about.

#include <filesystem>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "catch.h"
#include "report/report.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "synthetic_runs.h"
#include "temp_dir.h"

namespace strata::test {

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// The cells of a table's body, row by row, still escaped.
inline std::vector<std::vector<std::string>> table(const std::string& page, const std::string& id) {
  const auto begin = page.find("<table id=\"" + id + "\"");
  REQUIRE(begin != std::string::npos);
  const std::string body = page.substr(begin, page.find("</table>", begin) - begin);
  std::vector<std::vector<std::string>> rows;
  const std::regex row("<tr[^>]*>(<td.*)</tr>"), cell("<td[^>]*>([^<]*)</td>");
  for (std::sregex_iterator r(body.begin(), body.end(), row), end; r != end; ++r) {
    const std::string cells = (*r)[1];
    rows.emplace_back();
    for (std::sregex_iterator c(cells.begin(), cells.end(), cell); c != end; ++c) {
      rows.back().push_back((*c)[1]);
    }
  }
  return rows;
}

/// One figure of a page.
inline std::string figure_of(const std::string& page, const std::string& id) {
  const auto begin = page.find("<figure id=\"" + id + "\"");
  REQUIRE(begin != std::string::npos);
  return page.substr(begin, page.find("</figure>", begin) - begin);
}

inline std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

inline std::multiset<std::string> ids(const std::string& page) {
  std::multiset<std::string> found;
  const std::regex id("\\sid=[\"']([^\"']*)[\"']");
  for (std::sregex_iterator i(page.begin(), page.end(), id), end; i != end; ++i) {
    found.insert((*i)[1]);
  }
  return found;
}

/// A small run: quick to draw, and every number in it is easily recomputed.
inline SyntheticRun small() {
  SyntheticRun run;
  run.rounds = 2;
  run.budget = 2;
  run.clients = {"north", "south", "west"};
  run.units = {"block.0", "block.1", "block.2", "block.3"};
  return run;
}

inline std::string message_of(const std::filesystem::path& folder) {
  try {
    report::write_report(folder);
  } catch (const InputError& error) {
    CHECK_FALSE(std::filesystem::exists(folder / "report.html"));
    return error.what();
  }
  return "no InputError";
}

inline void replace_in(const std::filesystem::path& file, const std::string& from,
                       const std::string& to) {
  std::string text = slurp(file);
  REQUIRE(contains(text, from));
  text.replace(text.find(from), from.size(), to);
  write_file(file, text);
}

}  // namespace strata::test
