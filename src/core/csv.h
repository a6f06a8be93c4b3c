#pragma once
/// \file
/// CSV as RFC 4180 has it: quotes, doubled quotes, commas and line breaks inside quotes; CR LF or
/// LF; an optional UTF-8 byte-order mark.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace strata {

struct CsvRow {
  int line = 0;  ///< where the row starts, from 1
  std::vector<std::string> fields;
};

/// Blank lines are skipped. @throws InputError with file and line: unreadable, an unclosed quote, a
/// field that is not UTF-8, a row whose number of fields differs from the first's, no row at all.
std::vector<CsvRow> read_csv(const std::filesystem::path& path);
/// Likewise of a text, which messages name as `file`, with another character between the fields.
std::vector<CsvRow> parse_csv(const std::string& text, const std::string& file,
                              char separator = ',');
/// What becomes part of a JSON file must be: names, questions, answers.
bool is_utf8(const std::string& text);
/// The field, quoted if it must be.
std::string csv_field(std::string_view text);
/// A finite or non-finite double as text; false if the whole field is no number.
/// Locale-independent.
bool parse_double(std::string_view text, double& value);
bool parse_integer(std::string_view text, std::int64_t& value);
/// The shortest text that reads back as the same double.
std::string format_double(double value);

}  // namespace strata
