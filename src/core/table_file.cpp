#include "core/table_file.h"

#include <zlib.h>

#include <algorithm>
#include <iostream>
#include <iterator>
#include <set>

#include "core/text.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata {
namespace {

constexpr std::size_t kMostTableBytes = std::size_t{1} << 30;

class Inflater {
 public:
  Inflater() {
    constexpr int kGzip = 16 + MAX_WBITS;
    if (inflateInit2(&stream_, kGzip) != Z_OK) throw WorkError("zlib cannot be used");
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// Files that were put behind one another are one text.
  std::string unpack(const std::string& packed, const std::string& file) {
    std::string text;
    std::vector<unsigned char> buffer(std::size_t{1} << 16);
    std::size_t at = 0;
    int state = Z_OK;
    while (at < packed.size() || state != Z_STREAM_END) {
      if (state == Z_STREAM_END) inflateReset(&stream_);
      const std::size_t part = std::min(packed.size() - at, std::size_t{1} << 20);
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data() + at));
      stream_.avail_in = static_cast<uInt>(part);
      stream_.next_out = buffer.data();
      stream_.avail_out = static_cast<uInt>(buffer.size());
      state = inflate(&stream_, Z_NO_FLUSH);
      const std::size_t made = buffer.size() - stream_.avail_out;
      at += part - stream_.avail_in;
      if ((state != Z_OK && state != Z_STREAM_END) || (made == 0 && part == 0))
        throw InputError(file + ": is gzipped, but damaged or not whole");
      text.append(reinterpret_cast<const char*>(buffer.data()), made);
      if (text.size() > kMostTableBytes) throw InputError(file + ": unpacks to more than 1 GiB");
    }
    return text;
  }

 private:
  z_stream stream_{};
};

/// The character that the header's fields stand between.
char separator_of(const std::string& text) {
  bool quoted = false, tab = false, semicolon = false;
  for (const char c : text) {
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    if (c == ',') return ',';
    tab |= c == '\t';
    semicolon |= c == ';';
    if (c == '\n' && (tab || semicolon)) break;
  }
  return tab ? '\t' : semicolon ? ';' : ',';
}

}  // namespace

std::string read_text(const std::filesystem::path& path) {
  std::string text;
  if (path == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
    if (std::cin.bad()) throw InputError(text_name(path) + ": cannot be read to its end");
  } else {
    text = read_file(path);
  }
  const bool gzipped = text.size() > 2 && text[0] == '\x1f' && text[1] == '\x8b';
  return gzipped ? Inflater().unpack(text, text_name(path)) : text;
}

std::string text_name(const std::filesystem::path& path) {
  return path == "-" ? "standard input" : path.string();
}

std::string text_extension(const std::filesystem::path& path) {
  const std::string extension = lower_case(path.extension().string());
  return extension == ".gz" ? lower_case(path.stem().extension().string()) : extension;
}

bool looks_like_json(const std::string& text) {
  std::size_t first = text.rfind("\xef\xbb\xbf", 0) == 0 ? 3 : 0;
  first = text.find_first_not_of(" \t\r\n", first);
  return first != std::string::npos && text[first] == '{';
}

std::vector<CsvRow> parse_table(const std::string& text, const std::string& file) {
  return parse_csv(text, file, separator_of(text));
}

std::vector<CsvRow> read_table(const std::filesystem::path& path) {
  return parse_table(read_text(path), text_name(path));
}

bool is_header(const std::string& field, const std::string& name) {
  return lower_case(field) == name;
}

void check_table_names(const std::vector<std::string>& names, const std::string& what,
                       const std::string& source) {
  if (names.empty()) throw InputError(source + ": no " + what + "s");
  std::set<std::string> seen;
  for (const std::string& name : names) {
    if (name.empty()) throw InputError(source + ": a " + what + " has no name");
    if (!seen.insert(name).second)
      throw InputError(source + ": the " + what + " \"" + name + "\" stands twice");
  }
}

bool is_index_header(const std::string& field, const std::string& name) {
  return field.empty() || is_header(field, name);
}

}  // namespace strata
