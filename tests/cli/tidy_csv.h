#pragma once
// What `pandas.read_csv` without options takes for a table of numbers.

#include <set>
#include <string>

#include "catch.h"
#include "command.h"
#include "core/csv.h"

namespace strata::test {

/// The columns of names in Strata's CSV files; all others hold numbers, or nothing.
inline const std::set<std::string>& text_columns() {
  static const std::set<std::string> columns = {"algorithm", "backbone", "best",   "class",
                                                "client",    "instance", "method", "metric",
                                                "start",     "status",   "unit"};
  return columns;
}

/// One header line of names, each once; rows of as many fields; numbers in every column but those
/// of names and `also_text`. pandas takes an empty field, nan and inf for numbers. Gives how
/// many rows there are.
inline std::size_t check_tidy(const std::filesystem::path& file,
                              const std::set<std::string>& also_text = {}) {
  INFO(file.string());
  const auto rows = parse_csv(slurp(file), file.string());
  REQUIRE_FALSE(rows.empty());
  const auto& header = rows.front().fields;
  CHECK(rows.front().line == 1);
  CHECK(std::set<std::string>(header.begin(), header.end()).size() == header.size());
  for (const auto& name : header) CHECK_FALSE(name.empty());
  for (std::size_t r = 1; r < rows.size(); ++r) {
    INFO("line " << rows[r].line);
    CHECK(rows[r].fields.size() == header.size());
    CHECK(rows[r].line > rows[r - 1].line);
    for (std::size_t c = 0; c < rows[r].fields.size() && c < header.size(); ++c) {
      const std::string& field = rows[r].fields[c];
      if (text_columns().count(header[c]) || also_text.count(header[c]) || field.empty()) continue;
      INFO(header[c] << ": \"" << field << "\"");
      double value = 0;
      CHECK((parse_double(field, value) || field == "nan" || field == "inf"));
    }
  }
  return rows.size() - 1;
}

/// Every CSV file in the folder and those in it, of which at least `least` have rows.
inline void check_all_tidy(const std::filesystem::path& folder, int least) {
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".csv") continue;
    files += check_tidy(entry.path()) > 0;
  }
  CHECK(files >= least);
}

}  // namespace strata::test
