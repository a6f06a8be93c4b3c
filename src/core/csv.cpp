#include "core/csv.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata {

bool is_utf8(const std::string& text) {
  try {
    nlohmann::json(text).dump();
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
  return true;
}

std::vector<CsvRow> read_csv(const std::filesystem::path& path) {
  return parse_csv(read_file(path), path.string());
}

std::vector<CsvRow> parse_csv(const std::string& text, const std::string& file, char separator) {
  const auto fail = [&](int line, const std::string& message) {
    throw InputError(file + ":" + std::to_string(line) + ": " + message);
  };
  std::vector<CsvRow> rows;
  std::size_t at = text.rfind("\xef\xbb\xbf", 0) == 0 ? 3 : 0;
  int line = 1;
  while (at < text.size()) {
    CsvRow row{line, {}};
    bool blank = true;
    for (bool row_ends = false; !row_ends;) {
      std::string field;
      if (at < text.size() && text[at] == '"') {
        blank = false;
        const int opened = line;
        for (++at;; ++at) {
          if (at >= text.size()) fail(opened, "a quote is opened and never closed");
          if (text[at] == '"') {
            if (at + 1 >= text.size() || text[at + 1] != '"') break;
            ++at;
          }
          line += text[at] == '\n';
          field += text[at];
        }
        ++at;
        if (at < text.size() && text[at] != separator && text[at] != '\n' && text[at] != '\r')
          fail(line, "text follows a closing quote");
      } else {
        while (at < text.size() && text[at] != separator && text[at] != '\n' && text[at] != '\r')
          field += text[at++];
      }
      if (!is_utf8(field)) fail(row.line, "a field is not valid UTF-8");
      blank = blank && field.empty();
      row.fields.push_back(std::move(field));
      if (at < text.size() && text[at] == separator) {
        blank = false;
        ++at;
        continue;
      }
      if (at < text.size() && text[at] == '\r') ++at;
      if (at < text.size() && text[at] == '\n') ++at;
      ++line;
      row_ends = true;
    }
    if (blank) continue;
    if (!rows.empty() && row.fields.size() != rows[0].fields.size())
      fail(row.line, std::to_string(row.fields.size()) + " fields, but the header has " +
                         std::to_string(rows[0].fields.size()));
    rows.push_back(std::move(row));
  }
  if (rows.empty()) throw InputError(file + ": is empty; a header line was expected");
  return rows;
}

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  if (text.size() > 1 && text.front() == '+' && text[1] != '-') text.remove_prefix(1);
  return text;
}

}  // namespace

bool parse_double(std::string_view text, double& value) {
  text = trimmed(text);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || end != text.data() + text.size()) return false;
  if (error != std::errc::result_out_of_range) return error == std::errc();
  // Too small a number is 0, as in JSON and wherever else numbers are read; too great a one is
  // none.
  const double nearest = std::strtod(std::string(text).c_str(), nullptr);
  if (std::isinf(nearest)) return false;
  value = nearest;
  return true;
}

bool parse_integer(std::string_view text, std::int64_t& value) {
  text = trimmed(text);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

std::string format_double(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  return std::string(buffer, end);
}

}  // namespace strata
