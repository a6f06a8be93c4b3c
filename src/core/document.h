#pragma once
/// \file
/// Strict reading of JSON and YAML files: every key is known, typed and in range, or the user gets
/// one line that names the file, the line or key, what was found and what is allowed. Internal
/// (nlohmann's types show).

#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace strata {

using Json = nlohmann::ordered_json;

/// A parsed file. YAML scalars are typed as in YAML 1.2's core schema; quoted ones are strings.
struct Document {
  std::string file;
  Json root;
  std::map<std::string, int> lines;                  ///< "run.rounds" → line (YAML only)
  std::map<std::string, std::string> assigned = {};  ///< "run.rounds" → "--set run.rounds=10"
};

/// The only readers of JSON and YAML in Strata. Time and memory are linear in the file's size:
/// lists and mappings nested more than 200 deep are refused, and of YAML, where an alias counts as
/// all that it stands for, more than 1,000,000 values or 64 MiB of keys and texts.
/// @throws InputError with file and line: unreadable, not parseable, too large, a duplicate key, a
/// second YAML document.
Document load_json(const std::filesystem::path& path);
Document load_yaml(const std::filesystem::path& path);
/// Parses `text` as if read from `file`; errors name `only_line` where it is not 0, for files of
/// one JSON value a line.
Document parse_json(const std::string& text, const std::string& file, std::int64_t only_line = 0);
Document parse_yaml(const std::string& text, const std::string& file);
/// Reads a file of one JSON value a line, blank lines left out: gives `use` each as a document
/// whose `file` is "FILE:LINE", which errors then begin with. @throws InputError
void for_each_json_line(const std::filesystem::path& path,
                        const std::function<void(const Document&)>& use);

/// The value as JSON for a message: at most about 60 bytes, then "…".
std::string excerpt(const Json& value);

/// `--set run.rounds=10`: replaces or adds the value at a dotted key; the value is YAML.
/// @throws InputError when there is no '=' or a parent is not a mapping.
void set_value(Document& document, const std::string& assignment);

/// Replaces `${data.folder}` in texts by the text, number or boolean at that dotted key, as
/// OmegaConf does; references in the value found are followed. @throws InputError with file, line
/// and key: no such key (with the nearest), a mapping or list, no `}`, a circle, more than 200
/// references in a row, more than 1 MiB inserted into the document.
void resolve_references(Document& document);

/// JSON has no NaN and no infinity: null stands for them.
Json number_or_null(double value);

/// A mapping being read. Ask for every key it may have, then call `finish()`, which refuses the
/// rest and names the nearest key that was asked for.
class ObjectReader {
 public:
  /// The root of a document, which must be a mapping. The document must outlive the reader.
  explicit ObjectReader(const Document& document);

  bool has(const std::string& key);
  /// Required and optional scalars. Integers accept whole numbers only. @throws InputError
  std::string text(const std::string& key);
  std::string text(const std::string& key, const std::string& fallback);
  /// A text that is not "". @throws InputError
  std::string filled_text(const std::string& key);
  /// A text, or a number as it stands in the file. @throws InputError
  std::string text_or_number(const std::string& key);
  /// One of `allowed`; anything else is an error that names the nearest.
  std::string choice(const std::string& key, const std::vector<std::string>& allowed,
                     const std::optional<std::string>& fallback = {});
  std::int64_t integer(const std::string& key, std::int64_t low, std::int64_t high,
                       const std::optional<std::int64_t>& fallback = {});
  double number(const std::string& key, double low, double high,
                const std::optional<double>& fallback = {});
  bool boolean(const std::string& key, bool fallback);
  /// A seed of random numbers: any whole number from 0 to 2⁶⁴ - 1.
  std::uint64_t seed(const std::string& key, const std::optional<std::uint64_t>& fallback = {});
  std::vector<std::string> texts(const std::string& key,
                                 const std::optional<std::vector<std::string>>& fallback = {});
  /// `at_least` texts or more, none of them "". @throws InputError
  std::vector<std::string> filled_texts(const std::string& key, std::size_t at_least = 1);
  /// A nested mapping; an empty one when absent and not `required`.
  ObjectReader object(const std::string& key, bool required = false);
  /// The elements of a list of mappings (or of scalars, through `raw`).
  std::vector<ObjectReader> objects(const std::string& key);
  /// The value itself (null when absent), for shapes that the calls above do not cover.
  const Json& raw(const std::string& key);
  /// This mapping as it stands, and the file that it is in.
  const Json& whole() const { return *node_; }
  const std::string& file() const { return document_->file; }
  /// All keys of this mapping, marking them as known: for mappings from names.
  std::vector<std::string> keys();
  /// `version` must be there and be `expected`.
  void version(int expected);

  /// @throws InputError if there is a key nobody asked for.
  void finish();

  /// "FILE", or of a record "FILE: record 3": what is wrong with it as a whole begins so.
  const std::string& place() const { return place_; }
  /// `file:line: key`, to begin an error message with. A key without a line of its own has that of
  /// the nearest mapping or list around it, a key of the top level none; what `set_value` gave has
  /// its assignment in place of the line.
  std::string where(const std::string& key) const;
  /// @throws InputError `where(key): message`
  [[noreturn]] void fail(const std::string& key, const std::string& message) const;
  /// @throws InputError: the key is missing, `expected` ("a text") was expected; names a key like
  /// it that is there and that nobody has asked for.
  [[noreturn]] void missing(const std::string& key, const std::string& expected) const;

 private:
  friend std::vector<ObjectReader> read_records(const Document& document);
  ObjectReader(const Document* document, const Json* node, std::string path, std::string place);
  const Json* get(const std::string& key);
  const Document* document_;
  const Json* node_;
  std::string path_;                      // from `place_`
  std::string place_;                     // the document's file, or one of its records
  std::vector<std::string> known_;        // asked for, in that order
  std::unordered_set<std::string> seen_;  // the same
  std::unordered_map<std::string, const Json*> index_;  // of a mapping with many keys
};

/// The elements of a document that is a list of mappings, as files without a schema have them:
/// errors begin with "FILE: record N" (from 1). @throws InputError: no list, an empty one, an
/// element that is no mapping.
std::vector<ObjectReader> read_records(const Document& document);

}  // namespace strata
