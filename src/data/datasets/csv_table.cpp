#include "data/datasets/csv_table.h"

#include <algorithm>

#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::data {

CsvTable::CsvTable(const std::filesystem::path& file) : CsvTable(read_file(file), file.string()) {}

CsvTable::CsvTable(const std::string& text, std::string file)
    : file_(std::move(file)), rows_(parse_csv(text, file_)) {
  if (rows_.size() < 2) throw InputError(file_ + ": no row below the columns' names");
}

bool CsvTable::has_column(const std::string& name) const {
  return std::find(columns().begin(), columns().end(), name) != columns().end();
}

std::size_t CsvTable::column(const std::string& name) const {
  const auto found = std::find(columns().begin(), columns().end(), name);
  if (found == columns().end())
    throw InputError(file_ + ": the column \"" + name + "\" is missing" +
                     did_you_mean(name, columns()));
  if (std::find(found + 1, columns().end(), name) != columns().end())
    throw InputError(file_ + ": the column \"" + name + "\" stands twice");
  return static_cast<std::size_t>(found - columns().begin());
}

const std::string& CsvTable::filled(std::size_t row, std::size_t column) const {
  const std::string& text = at(row, column);
  if (text.empty()) fail(row, column, "the field is empty");
  return text;
}

std::size_t CsvTable::choice(std::size_t row, std::size_t column,
                             const std::vector<std::string>& allowed) const {
  const std::string& text = at(row, column);
  const auto found = std::find(allowed.begin(), allowed.end(), text);
  if (found == allowed.end())
    fail(row, column,
         "\"" + text + "\" is not one of " + quoted_list(allowed) + did_you_mean(text, allowed));
  return static_cast<std::size_t>(found - allowed.begin());
}

std::string CsvTable::place(std::size_t row) const {
  return file_ + ":" + std::to_string(rows_[row + 1].line);
}

void CsvTable::fail(std::size_t row, std::size_t column, const std::string& message) const {
  throw InputError(place(row) + ": " + columns()[column] + ": " + message);
}

std::filesystem::path first_file(const std::filesystem::path& folder,
                                 const std::vector<std::string>& names) {
  for (const std::string& name : names)
    if (std::filesystem::is_regular_file(folder / name)) return folder / name;
  return {};
}

}  // namespace strata::data
