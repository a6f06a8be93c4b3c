#pragma once
/// \file
/// Tables and texts as people have them: CSV, TSV, ';' between the fields, gzipped, or on standard
/// input.

#include <filesystem>
#include <string>
#include <vector>

#include "core/csv.h"

namespace strata {

/// The content of a file, unpacked where it is gzipped (whatever its name), at most 1 GiB of it; of
/// standard input where `path` is "-". @throws InputError: unreadable, a gzip file that is damaged
/// or larger.
std::string read_text(const std::filesystem::path& path);

/// How messages name the file.
std::string text_name(const std::filesystem::path& path);

/// ".csv" of a.CSV and of a.csv.gz: the ending, without ".gz", in small letters.
std::string text_extension(const std::filesystem::path& path);

/// Whether the text begins as a JSON object does.
bool looks_like_json(const std::string& text);

/// Rows of a table. Between the fields is what the header has outside of quotes: a comma, or else a
/// tab, or else a semicolon. @throws InputError as read_csv.
std::vector<CsvRow> parse_table(const std::string& text, const std::string& file);
std::vector<CsvRow> read_table(const std::filesystem::path& path);

/// Refuses a table without names, an empty name and one that stands twice: `what` they are is in
/// the singular, such as "client". @throws InputError, which begins with `source`
void check_table_names(const std::vector<std::string>& names, const std::string& what,
                       const std::string& source);

/// Whether a header's field is `name`, in small or capital letters, or nothing, as pandas writes
/// for an index without a name.
bool is_index_header(const std::string& field, const std::string& name);
/// The same without the second.
bool is_header(const std::string& field, const std::string& name);

}  // namespace strata
