#pragma once
/// \file
/// A published CSV table by its columns' names, with errors that name file, line and column.
/// Internal.

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "core/csv.h"

namespace strata::data {

/// \code
/// const CsvTable table(folder / "metadata.csv");
/// const std::size_t dx = table.column("dx");
/// for (std::size_t row = 0; row < table.size(); ++row) use(table.filled(row, dx));
/// \endcode
class CsvTable {
 public:
  /// @throws InputError as read_csv; a file without a row below its columns' names.
  explicit CsvTable(const std::filesystem::path& file);
  /// The same of a text that messages name as `file`.
  CsvTable(const std::string& text, std::string file);

  std::size_t size() const { return rows_.size() - 1; }
  const std::vector<std::string>& columns() const { return rows_.front().fields; }
  bool has_column(const std::string& name) const;
  /// @throws InputError: it is missing, with the nearest that there is; it stands twice.
  std::size_t column(const std::string& name) const;
  const std::string& at(std::size_t row, std::size_t column) const {
    return rows_[row + 1].fields[column];
  }
  /// @throws InputError: the field is empty.
  const std::string& filled(std::size_t row, std::size_t column) const;
  /// The place among `allowed` of the field. @throws InputError: it is none of them.
  std::size_t choice(std::size_t row, std::size_t column,
                     const std::vector<std::string>& allowed) const;

  /// "metadata.csv:7", to begin errors with.
  std::string place(std::size_t row) const;
  [[noreturn]] void fail(std::size_t row, std::size_t column, const std::string& message) const;

 private:
  std::string file_;
  std::vector<CsvRow> rows_;
};

/// The first of `names` that is a file in the folder; empty where none is.
std::filesystem::path first_file(const std::filesystem::path& folder,
                                 const std::vector<std::string>& names);

}  // namespace strata::data
