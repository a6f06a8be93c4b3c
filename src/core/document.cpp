#include "core/document.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <sstream>
#include <unordered_set>

#include "core/csv.h"
#include "core/yaml_document.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata {
namespace {

/// Of what `${…}` inserts into the texts of a file, which doubles with every text as easily.
constexpr std::size_t kMostInserted = std::size_t{1} << 20;

std::string join(const std::string& path, const std::string& key) {
  return path.empty() ? key : path + "." + key;
}

/// Where the value at `path` comes from: its own line, or that of the nearest mapping or list
/// around it; an assignment stands for all below it.
std::string origin(const Document& document, std::string path, const std::string& place) {
  while (!path.empty()) {
    const auto assigned = document.assigned.find(path);
    if (assigned != document.assigned.end()) return document.file + ", " + assigned->second;
    const auto line = document.lines.find(path);
    if (line != document.lines.end()) return document.file + ":" + std::to_string(line->second);
    const auto last = path.find_last_of(".[");
    path.resize(last == std::string::npos ? 0 : last);
  }
  return place;
}

const char* type_name(const Json& value) {
  if (value.is_null()) return "nothing";
  if (value.is_boolean()) return "a boolean";
  if (value.is_number()) return "a number";
  if (value.is_string()) return "a text";
  return value.is_array() ? "a list" : "a mapping";
}

std::string shown(const Json& value) {
  return value.is_structured() || value.is_null() ? type_name(value) : excerpt(value);
}

/// Where the character at `end` begins, so that a text can be cut before it.
std::size_t character_start(const std::string& text, std::size_t end) {
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return end;
}

/// Adds `value` as JSON until `most` bytes are there; what follows is not looked at.
void add_excerpt(const Json& value, std::size_t most, std::string& out) {
  if (out.size() > most) return;
  if (value.is_structured()) {
    out += value.is_array() ? '[' : '{';
    const char* comma = "";
    for (const auto& [key, element] : value.items()) {
      out += comma;
      comma = ",";
      if (value.is_object()) {
        add_excerpt(key, most, out);
        out += ':';
      }
      add_excerpt(element, most, out);
      if (out.size() > most) return;
    }
    out += value.is_array() ? ']' : '}';
  } else if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    const Json part = text.size() > most ? text.substr(0, character_start(text, most)) + "…" : text;
    out += part.dump(-1, ' ', false, Json::error_handler_t::replace);
  } else if (value.is_number_float() && !std::isfinite(value.get<double>())) {
    // JSON has no such numbers, and nlohmann writes null.
    const auto number = value.get<double>();
    out += std::isnan(number) ? ".nan" : number < 0 ? "-.inf" : ".inf";
  } else {
    out += value.dump();
  }
}

/// The line in which a container is opened within kMostLevels others.
std::int64_t too_deep_line(const std::string& text) {
  std::int64_t line = 1;
  int level = 0;
  bool in_text = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    line += c == '\n';
    if (c == '"') in_text = !in_text;
    if (in_text) {
      i += c == '\\';
    } else if (c == '[' || c == '{') {
      if (++level > kMostLevels) break;
    } else if (c == ']' || c == '}') {
      --level;
    }
  }
  return line;
}

/// Builds the value of a JSON text. Not nlohmann's own builder, which searches every object for
/// each key that it adds, and copies all below an object whenever the object's memory grows.
class JsonBuilder final : public nlohmann::json_sax<Json> {
 public:
  Json root;
  std::string duplicate;  ///< the first key that stands twice in its object
  bool too_deep = false;
  std::size_t error_byte = 0;
  std::string out_of_range;

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(); }
  bool start_array(std::size_t) override { return open(); }

  bool key(string_t& key) override {
    Level& level = open_.back();
    if (!level.seen.insert(key).second && duplicate.empty()) duplicate = key;
    level.keys.push_back(std::move(key));
    return true;
  }

  bool end_object() override {
    Level level = std::move(open_.back());
    open_.pop_back();
    Json::object_t object;
    object.reserve(level.keys.size());
    for (std::size_t i = 0; i < level.keys.size(); ++i)
      object.emplace_back(std::move(level.keys[i]), std::move(level.values[i]));
    return add(std::move(object));
  }

  bool end_array() override {
    Json::array_t values = std::move(open_.back().values);
    open_.pop_back();
    return add(std::move(values));
  }

  bool parse_error(std::size_t position, const std::string&,
                   const Json::exception& error) override {
    error_byte = position;
    constexpr int kOutOfRange = 406;
    // nlohmann's message quotes the number.
    if (error.id == kOutOfRange) out_of_range = error.what();
    return false;
  }

 private:
  struct Level {
    std::vector<std::string> keys;  ///< of an object
    std::vector<Json> values;
    std::unordered_set<std::string> seen;
  };

  bool open() {
    too_deep = open_.size() >= kMostLevels;
    if (!too_deep) open_.emplace_back();
    return !too_deep;
  }

  bool add(Json value) {
    (open_.empty() ? root : open_.back().values.emplace_back()) = std::move(value);
    return true;
  }

  std::vector<Level> open_;
};

/// Replaces the references in a document's texts.
class References {
 public:
  explicit References(Document& document) : document_(document) { index(document.root, ""); }

  void resolve() {
    for (const auto& [key, value] : values_) {
      if (value->is_string()) resolve_text(key, *value);
    }
  }

 private:
  void index(Json& value, const std::string& path) {
    if (!value.is_structured()) values_.emplace(path, &value);
    for (const auto& [key, element] : value.items()) {
      if (value.is_object()) index(element, join(path, key));
      if (value.is_array()) index(element, path + "[" + key + "]");
    }
  }

  void resolve_text(const std::string& key, Json& value) {
    const auto& text = value.get_ref<const std::string&>();
    if (text.find("${") == std::string::npos) return;
    if (!open_.insert(key).second) fail(key, "the reference leads back to itself");
    if (open_.size() > kMostLevels)
      fail(key, "the references lead on more than " + std::to_string(kMostLevels) + " times");
    std::string resolved;
    std::size_t at = 0;
    for (std::size_t begin = 0; (begin = text.find("${", at)) != std::string::npos;) {
      const auto end = text.find('}', begin);
      if (end == std::string::npos) fail(key, excerpt(value) + " has ${ without }");
      const std::string inserted = value_of(text.substr(begin + 2, end - begin - 2), key);
      inserted_ += inserted.size();
      if (inserted_ > kMostInserted)
        fail(key, "the references insert more than " + std::to_string(kMostInserted >> 20) +
                      " MiB of text into this file");
      resolved.append(text, at, begin - at).append(inserted);
      at = end + 1;
    }
    resolved.append(text, at, std::string::npos);
    open_.erase(key);
    value = std::move(resolved);
  }

  std::string value_of(const std::string& target, const std::string& key) {
    const auto found = values_.find(target);
    if (found == values_.end() || found->second->is_null()) {
      std::vector<std::string> known;
      for (const auto& entry : values_) known.push_back(entry.first);
      fail(key, "\"${" + target + "}\" refers to no key with a text, a number or a boolean" +
                    did_you_mean(target, known));
    }
    if (!found->second->is_string()) return found->second->dump();
    resolve_text(target, *found->second);
    return found->second->get<std::string>();
  }

  [[noreturn]] void fail(const std::string& key, const std::string& message) const {
    throw InputError(origin(document_, key, document_.file) + ": " + key + ": " + message);
  }

  Document& document_;
  std::map<std::string, Json*> values_;  // scalars by their dotted keys
  std::set<std::string> open_;           // being resolved
  std::size_t inserted_ = 0;
};

}  // namespace

std::string excerpt(const Json& value) {
  constexpr std::size_t kMost = 60;
  std::string text;
  add_excerpt(value, kMost, text);
  if (text.size() > kMost) text = text.substr(0, character_start(text, kMost)) + "…";
  return text;
}

Document parse_json(const std::string& text, const std::string& file, std::int64_t only_line) {
  const auto fail = [&](std::int64_t line, const std::string& message) {
    if (only_line > 0) line = only_line;
    throw InputError(file + (line > 0 ? ":" + std::to_string(line) : "") + ": " + message);
  };
  JsonBuilder builder;
  if (!Json::sax_parse(text, &builder)) {
    if (builder.too_deep)
      fail(too_deep_line(text),
           "lists and mappings are nested more than " + std::to_string(kMostLevels) + " deep");
    if (!builder.out_of_range.empty())
      fail(0, "a number is out of range (" + builder.out_of_range + ")");
    const std::size_t at = std::min<std::size_t>(builder.error_byte, text.size());
    const auto before = text.begin() + static_cast<std::ptrdiff_t>(at ? at - 1 : 0);
    fail(1 + std::count(text.begin(), before, '\n'),
         "is not valid JSON (at byte " + std::to_string(builder.error_byte) + ")");
  }
  // nlohmann keeps the last of two equal keys; a file with two is a mistake that must not pass
  // silently.
  if (!builder.duplicate.empty()) fail(0, builder.duplicate + ": the key stands twice");
  return {file, std::move(builder.root), {}};
}

Document load_json(const std::filesystem::path& path) {
  return parse_json(read_file(path), path.string());
}

void for_each_json_line(const std::filesystem::path& path,
                        const std::function<void(const Document&)>& use) {
  const std::string text = read_file(path);
  std::int64_t number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    Document document = parse_json(line, path.string(), number);
    document.file.append(":").append(std::to_string(number));
    use(document);
  }
}

void set_value(Document& document, const std::string& assignment) {
  const auto equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0)
    throw InputError("--set " + assignment + ": key=value was expected, e.g. run.rounds=10");
  const std::string key = assignment.substr(0, equals);
  if (std::count(key.begin(), key.end(), '.') >= kMostLevels)
    throw InputError("--set: the key has more than " + std::to_string(kMostLevels) + " parts");
  Json* node = &document.root;
  std::size_t begin = 0;
  while (true) {
    const auto dot = key.find('.', begin);
    const std::string part = key.substr(begin, dot == std::string::npos ? dot : dot - begin);
    if (!node->is_object() && !node->is_null())
      throw InputError("--set " + assignment + ": \"" + key.substr(0, begin ? begin - 1 : 0) +
                       "\" is " + type_name(*node) + ", not a mapping");
    node = &(*node)[part];
    if (dot == std::string::npos) break;
    begin = dot + 1;
  }
  *node = parse_yaml_value(assignment.substr(equals + 1), "--set " + assignment);
  // What the file says at and below the key counts no longer, nor does an earlier assignment.
  const auto replaced = [&](const std::string& path) {
    return path.compare(0, key.size(), key) == 0 &&
           (path.size() == key.size() || path[key.size()] == '.' || path[key.size()] == '[');
  };
  const auto forget = [&](auto& origins) {
    for (auto entry = origins.begin(); entry != origins.end();)
      entry = replaced(entry->first) ? origins.erase(entry) : std::next(entry);
  };
  forget(document.lines);
  forget(document.assigned);
  document.assigned[key] = "--set " + assignment;
}

void resolve_references(Document& document) {
  References(document).resolve();
}

ObjectReader::ObjectReader(const Document& document)
    : ObjectReader(&document, &document.root, "", document.file) {}

ObjectReader::ObjectReader(const Document* document, const Json* node, std::string path,
                           std::string place)
    : document_(document), node_(node), path_(std::move(path)), place_(std::move(place)) {
  if (!node_->is_object()) {
    throw InputError(origin(*document_, path_, place_) + ": " +
                     (path_.empty() ? "" : path_ + ": ") + "a mapping was expected, found " +
                     shown(*node_));
  }
}

std::string ObjectReader::where(const std::string& key) const {
  const std::string full = join(path_, key);
  return origin(*document_, full, place_) + ": " + full;
}

void ObjectReader::fail(const std::string& key, const std::string& message) const {
  throw InputError(where(key) + ": " + message);
}

void ObjectReader::missing(const std::string& key, const std::string& expected) const {
  std::vector<std::string> others;
  for (const auto& [name, value] : node_->items())
    if (seen_.count(name) == 0) others.push_back(name);
  const std::string near = nearest_name(key, others);
  fail(key, "the key is missing (" + expected + " was expected)" +
                (near.empty() ? "" : "; \"" + near + "\" is there"));
}

const Json* ObjectReader::get(const std::string& key) {
  if (seen_.insert(key).second) known_.push_back(key);
  // An ordered object is searched from its beginning.
  constexpr std::size_t kMany = 32;
  if (index_.empty() && node_->size() > kMany)
    for (const auto& [name, value] : node_->items()) index_.emplace(name, &value);
  if (!index_.empty()) {
    const auto entry = index_.find(key);
    return entry == index_.end() ? nullptr : entry->second;
  }
  const auto found = node_->find(key);
  return found == node_->end() ? nullptr : &*found;
}

bool ObjectReader::has(const std::string& key) {
  return get(key) != nullptr;
}

const Json& ObjectReader::raw(const std::string& key) {
  static const Json nothing;
  const Json* value = get(key);
  return value ? *value : nothing;
}

std::string ObjectReader::text(const std::string& key) {
  const Json* value = get(key);
  if (!value) missing(key, "a text");
  if (!value->is_string()) fail(key, "a text was expected, found " + shown(*value));
  return value->get<std::string>();
}

std::string ObjectReader::text(const std::string& key, const std::string& fallback) {
  return has(key) ? text(key) : fallback;
}

std::string ObjectReader::filled_text(const std::string& key) {
  std::string value = text(key);
  if (value.empty()) fail(key, "the text is empty");
  return value;
}

std::string ObjectReader::text_or_number(const std::string& key) {
  const Json* value = get(key);
  return value && value->is_number() ? value->dump() : text(key);
}

std::string ObjectReader::choice(const std::string& key, const std::vector<std::string>& allowed,
                                 const std::optional<std::string>& fallback) {
  if (fallback && !has(key)) return *fallback;
  const std::string value = text(key);
  if (std::find(allowed.begin(), allowed.end(), value) == allowed.end())
    fail(key,
         "\"" + value + "\" is not one of " + quoted_list(allowed) + did_you_mean(value, allowed));
  return value;
}

std::int64_t ObjectReader::integer(const std::string& key, std::int64_t low, std::int64_t high,
                                   const std::optional<std::int64_t>& fallback) {
  const Json* value = get(key);
  const std::string range =
      high == std::numeric_limits<std::int64_t>::max()
          ? "a whole number of at least " + std::to_string(low)
          : "a whole number from " + std::to_string(low) + " to " + std::to_string(high);
  if (!value) {
    if (fallback) return *fallback;
    missing(key, range);
  }
  if (!value->is_number_integer()) fail(key, range + " was expected, found " + shown(*value));
  if (value->is_number_unsigned() &&
      value->get<std::uint64_t>() >
          static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    fail(key, range + " was expected, found " + shown(*value));
  const auto number = value->get<std::int64_t>();
  if (number < low || number > high) fail(key, range + " was expected, found " + shown(*value));
  return number;
}

double ObjectReader::number(const std::string& key, double low, double high,
                            const std::optional<double>& fallback) {
  const Json* value = get(key);
  const std::string range =
      std::isinf(high) ? "a number of at least " + format_double(low)
                       : "a number from " + format_double(low) + " to " + format_double(high);
  if (!value) {
    if (fallback) return *fallback;
    missing(key, range);
  }
  if (!value->is_number()) fail(key, range + " was expected, found " + shown(*value));
  const double number = value->get<double>();
  // The negated form refuses NaN as well.
  if (!(number >= low && number <= high) || std::isinf(number))
    fail(key, range + " was expected, found " + format_double(number));
  return number;
}

bool ObjectReader::boolean(const std::string& key, bool fallback) {
  const Json* value = get(key);
  if (!value) return fallback;
  if (!value->is_boolean()) fail(key, "true or false was expected, found " + shown(*value));
  return value->get<bool>();
}

std::uint64_t ObjectReader::seed(const std::string& key,
                                 const std::optional<std::uint64_t>& fallback) {
  const Json* value = get(key);
  if (!value && fallback) return *fallback;
  if (!value) missing(key, "a whole number of at least 0");
  if (!value->is_number_unsigned())
    fail(key, "a whole number of at least 0 was expected, found " + excerpt(*value));
  return value->get<std::uint64_t>();
}

std::vector<std::string> ObjectReader::texts(
    const std::string& key, const std::optional<std::vector<std::string>>& fallback) {
  const Json* value = get(key);
  if (!value) {
    if (fallback) return *fallback;
    missing(key, "a list of texts");
  }
  if (!value->is_array()) fail(key, "a list of texts was expected, found " + shown(*value));
  std::vector<std::string> out;
  for (const auto& element : *value) {
    if (!element.is_string())
      fail(key, "a list of texts was expected, found " + shown(element) + " in it");
    out.push_back(element.get<std::string>());
  }
  return out;
}

std::vector<std::string> ObjectReader::filled_texts(const std::string& key, std::size_t at_least) {
  std::vector<std::string> out = texts(key);
  if (out.size() < at_least)
    fail(key, "at least " + std::to_string(at_least) + (at_least == 1 ? " text" : " texts") +
                  " must be in the list, found " + std::to_string(out.size()));
  if (std::find(out.begin(), out.end(), "") != out.end()) fail(key, "a text in the list is empty");
  return out;
}

ObjectReader ObjectReader::object(const std::string& key, bool required) {
  static const Json empty = Json::object();
  const Json* value = get(key);
  if (!value && required) missing(key, "a mapping");
  return ObjectReader(document_, value ? value : &empty, join(path_, key), place_);
}

std::vector<ObjectReader> ObjectReader::objects(const std::string& key) {
  const Json* value = get(key);
  std::vector<ObjectReader> out;
  if (!value) return out;
  if (!value->is_array()) fail(key, "a list was expected, found " + shown(*value));
  for (std::size_t i = 0; i < value->size(); ++i)
    out.push_back(ObjectReader(document_, &(*value)[i],
                               join(path_, key) + "[" + std::to_string(i) + "]", place_));
  return out;
}

std::vector<std::string> ObjectReader::keys() {
  std::vector<std::string> out;
  for (const auto& [key, value] : node_->items()) {
    get(key);
    out.push_back(key);
  }
  return out;
}

void ObjectReader::version(int expected) {
  const auto found = integer("version", 0, std::numeric_limits<std::int64_t>::max());
  if (found != expected)
    fail("version", "this Strata reads version " + std::to_string(expected) + ", found " +
                        std::to_string(found));
}

void ObjectReader::finish() {
  for (const auto& [key, value] : node_->items())
    if (seen_.count(key) == 0)
      fail(key,
           "unknown key" + did_you_mean(key, known_) + "; known are " + quoted_list(known_, 20));
}

std::vector<ObjectReader> read_records(const Document& document) {
  if (!document.root.is_array())
    throw InputError(document.file + ": a list of records was expected, found " +
                     shown(document.root));
  if (document.root.empty()) throw InputError(document.file + ": no record in it");
  std::vector<ObjectReader> records;
  records.reserve(document.root.size());
  for (const Json& entry : document.root)
    records.push_back(ObjectReader(
        &document, &entry, "", document.file + ": record " + std::to_string(records.size() + 1)));
  return records;
}

Json number_or_null(double value) {
  return std::isfinite(value) ? Json(value) : Json();
}

}  // namespace strata
