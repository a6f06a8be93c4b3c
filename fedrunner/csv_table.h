#pragma once
/// \file
/// CSV files of run folders. Internal.

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "core/csv.h"
#include "core/text.h"
#include "strata/core/error.h"

namespace strata::fedrunner {

/// A CSV file with a fixed header, and its fields with the place of an error.
class CsvTable {
 public:
  explicit CsvTable(const std::filesystem::path& path) : path_(path), lines_(read_csv(path)) {}
  const std::vector<std::string>& header() const { return lines_.front().fields; }
  [[noreturn]] void refuse_header(const std::string& wanted) const {
    fail(0, "the header is \"" + joined(header(), ",") + "\", not \"" + wanted + "\"");
  }
  std::size_t count() const { return lines_.size() - 1; }
  /// Rows count from 1.
  const std::string& text(std::size_t row, std::size_t column) const {
    return lines_[row].fields[column];
  }
  std::int64_t integer(std::size_t row, std::size_t column) const {
    std::int64_t value = 0;
    if (!parse_integer(text(row, column), value) || value < 0)
      refuse(row, column, "is not a whole number ≥ 0");
    return value;
  }
  /// NaN where the field is empty.
  double number(std::size_t row, std::size_t column) const {
    const auto& field = text(row, column);
    double value = std::numeric_limits<double>::quiet_NaN();
    if (!field.empty() && !parse_double(field, value)) refuse(row, column, "is not a number");
    return value;
  }
  [[noreturn]] void refuse(std::size_t row, std::size_t column, const std::string& why) const {
    fail(row, text(0, column) + ": \"" + text(row, column) + "\" " + why);
  }

 private:
  [[noreturn]] void fail(std::size_t row, const std::string& message) const {
    throw InputError(path_.string() + ":" + std::to_string(lines_[row].line) + ": " + message);
  }
  std::filesystem::path path_;
  std::vector<CsvRow> lines_;
};

}  // namespace strata::fedrunner
