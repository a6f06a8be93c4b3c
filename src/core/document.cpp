#include "core/document.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <sstream>

#include "core/csv.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata {
namespace {

std::string join(const std::string& path, const std::string& key) {
  return path.empty() ? key : path + "." + key;
}

/// Where the value at `path` comes from: its own line, or that of the nearest mapping or list
/// around it; an assignment stands for all below it.
std::string origin(const Document& document, std::string path) {
  while (!path.empty()) {
    const auto assigned = document.assigned.find(path);
    if (assigned != document.assigned.end()) return document.file + ", " + assigned->second;
    const auto line = document.lines.find(path);
    if (line != document.lines.end()) return document.file + ":" + std::to_string(line->second);
    const auto last = path.find_last_of(".[");
    path.resize(last == std::string::npos ? 0 : last);
  }
  return document.file;
}

const char* type_name(const Json& value) {
  if (value.is_null()) return "nothing";
  if (value.is_boolean()) return "a boolean";
  if (value.is_number()) return "a number";
  if (value.is_string()) return "a text";
  return value.is_array() ? "a list" : "a mapping";
}

std::string shown(const Json& value) {
  if (value.is_object() || value.is_array() || value.is_null()) return type_name(value);
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 57) + "…" : text;
}

// YAML 1.2 core schema for plain scalars; quoted ones carry the tag "!" and stay texts.
Json scalar(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!") return text;
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL")
    return nullptr;
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  std::int64_t integer = 0;
  if (parse_integer(text, integer)) return integer;
  double number = 0;
  if (text == ".nan" || text == ".NaN" || text == ".NAN") return std::nan("");
  if (text == ".inf" || text == ".Inf" || text == "+.inf")
    return std::numeric_limits<double>::infinity();
  if (text == "-.inf" || text == "-.Inf") return -std::numeric_limits<double>::infinity();
  const bool numeric_start = std::isdigit(static_cast<unsigned char>(text[0])) || text[0] == '-' ||
                             text[0] == '+' || text[0] == '.';
  if (numeric_start && parse_double(text, number)) return number;
  return text;
}

/// An alias within what its anchor names has no end.
constexpr int kMostLevels = 200;

Json convert(const YAML::Node& node, const std::string& path, Document& document, int level = 0) {
  if (level > kMostLevels) {
    throw InputError(document.file + ":" + std::to_string(node.Mark().line + 1) +
                     ": lists and mappings are nested more than " + std::to_string(kMostLevels) +
                     " deep");
  }
  document.lines[path] = node.Mark().line + 1;
  if (node.IsSequence()) {
    Json list = Json::array();
    for (std::size_t i = 0; i < node.size(); ++i)
      list.push_back(convert(node[i], path + "[" + std::to_string(i) + "]", document, level + 1));
    return list;
  }
  if (node.IsMap()) {
    Json object = Json::object();
    for (const auto& entry : node) {
      if (!entry.first.IsScalar())
        throw InputError(document.file + ":" + std::to_string(entry.first.Mark().line + 1) +
                         ": a key must be a plain text");
      const std::string key = entry.first.Scalar();
      if (object.contains(key))
        throw InputError(document.file + ":" + std::to_string(entry.first.Mark().line + 1) + ": " +
                         join(path, key) + ": the key stands twice");
      object[key] = convert(entry.second, join(path, key), document, level + 1);
      document.lines[join(path, key)] = entry.first.Mark().line + 1;
    }
    return object;
  }
  return node.IsScalar() ? scalar(node) : Json(nullptr);
}

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
    auto text = value.get<std::string>();
    if (text.find("${") == std::string::npos) return;
    if (!open_.insert(key).second) fail(key, "the reference leads back to itself");
    std::size_t begin = 0;
    while ((begin = text.find("${", begin)) != std::string::npos) {
      const auto end = text.find('}', begin);
      if (end == std::string::npos) fail(key, "\"" + text + "\" has ${ without }");
      const std::string inserted = value_of(text.substr(begin + 2, end - begin - 2), key);
      text.replace(begin, end + 1 - begin, inserted);
      begin += inserted.size();
    }
    open_.erase(key);
    value = text;
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
    throw InputError(origin(document_, key) + ": " + key + ": " + message);
  }

  Document& document_;
  std::map<std::string, Json*> values_;  // scalars by their dotted keys
  std::set<std::string> open_;           // being resolved
};

}  // namespace

Document parse_json(const std::string& text, const std::string& file) {
  Document document{file, {}, {}};
  // nlohmann keeps the last of two equal keys; a file with two is a mistake that must not pass
  // silently.
  std::vector<std::set<std::string>> open;
  std::string duplicate;
  const Json::parser_callback_t callback = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) open.emplace_back();
    if (event == Json::parse_event_t::object_end) open.pop_back();
    if (event == Json::parse_event_t::key &&
        !open.back().insert(parsed.get<std::string>()).second && duplicate.empty())
      duplicate = parsed.get<std::string>();
    return true;
  };
  try {
    document.root = Json::parse(text, callback);
  } catch (const Json::parse_error& error) {
    const std::size_t at = std::min<std::size_t>(error.byte, text.size());
    const auto line =
        1 +
        std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at ? at - 1 : 0), '\n');
    throw InputError(file + ":" + std::to_string(line) + ": is not valid JSON (at byte " +
                     std::to_string(error.byte) + ")");
  } catch (const Json::out_of_range& error) {
    // nlohmann knows no position here, but its message quotes the number.
    throw InputError(file + ": a number is out of range (" + error.what() + ")");
  }
  if (!duplicate.empty()) throw InputError(file + ": " + duplicate + ": the key stands twice");
  return document;
}

Document load_json(const std::filesystem::path& path) {
  return parse_json(read_file(path), path.string());
}

Document parse_yaml(const std::string& text, const std::string& file) {
  Document document{file, {}, {}};
  std::istringstream lines(text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (!is_utf8(line))
      throw InputError(file + ":" + std::to_string(number) + ": the line is not valid UTF-8");
  }
  try {
    document.root = convert(YAML::Load(text), "", document);
  } catch (const YAML::Exception& error) {
    throw InputError(file + ":" + std::to_string(error.mark.line + 1) +
                     ": is not valid YAML: " + error.msg);
  }
  return document;
}

Document load_yaml(const std::filesystem::path& path) {
  return parse_yaml(read_file(path), path.string());
}

void set_value(Document& document, const std::string& assignment) {
  const auto equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0)
    throw InputError("--set " + assignment + ": key=value was expected, e.g. run.rounds=10");
  const std::string key = assignment.substr(0, equals);
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
  try {
    Document scratch{"--set " + assignment, {}, {}};
    *node = convert(YAML::Load(assignment.substr(equals + 1)), "", scratch);
  } catch (const YAML::Exception& error) {
    throw InputError("--set " + assignment + ": the value is not valid YAML: " + error.msg);
  }
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
    : ObjectReader(&document, &document.root, "") {}

ObjectReader::ObjectReader(const Document* document, const Json* node, std::string path)
    : document_(document), node_(node), path_(std::move(path)) {
  if (!node_->is_object()) {
    throw InputError(origin(*document_, path_) + ": " + (path_.empty() ? "" : path_ + ": ") +
                     "a mapping was expected, found " + shown(*node_));
  }
}

std::string ObjectReader::where(const std::string& key) const {
  const std::string full = join(path_, key);
  return origin(*document_, full) + ": " + full;
}

void ObjectReader::fail(const std::string& key, const std::string& message) const {
  throw InputError(where(key) + ": " + message);
}

const Json* ObjectReader::get(const std::string& key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.push_back(key);
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
  if (!value) fail(key, "the key is missing (a text was expected)");
  if (!value->is_string()) fail(key, "a text was expected, found " + shown(*value));
  return value->get<std::string>();
}

std::string ObjectReader::text(const std::string& key, const std::string& fallback) {
  return has(key) ? text(key) : fallback;
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
    fail(key, "the key is missing (" + range + " was expected)");
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
    fail(key, "the key is missing (" + range + " was expected)");
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

std::vector<std::string> ObjectReader::texts(
    const std::string& key, const std::optional<std::vector<std::string>>& fallback) {
  const Json* value = get(key);
  if (!value) {
    if (fallback) return *fallback;
    fail(key, "the key is missing (a list of texts was expected)");
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

ObjectReader ObjectReader::object(const std::string& key, bool required) {
  static const Json empty = Json::object();
  const Json* value = get(key);
  if (!value && required) fail(key, "the key is missing (a mapping was expected)");
  return ObjectReader(document_, value ? value : &empty, join(path_, key));
}

std::vector<ObjectReader> ObjectReader::objects(const std::string& key) {
  const Json* value = get(key);
  std::vector<ObjectReader> out;
  if (!value) return out;
  if (!value->is_array()) fail(key, "a list was expected, found " + shown(*value));
  for (std::size_t i = 0; i < value->size(); ++i)
    out.push_back(
        ObjectReader(document_, &(*value)[i], join(path_, key) + "[" + std::to_string(i) + "]"));
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
    if (std::find(known_.begin(), known_.end(), key) == known_.end())
      fail(key,
           "unknown key" + did_you_mean(key, known_) + "; known are " + quoted_list(known_, 20));
}

}  // namespace strata
