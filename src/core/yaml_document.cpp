#include "core/yaml_document.h"

#include <yaml-cpp/anchor.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <cctype>
#include <cmath>
#include <limits>
#include <optional>
#include <sstream>
#include <unordered_set>

#include "core/csv.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata {
namespace {

/// Of a YAML file. A few lines of aliases of aliases stand for more than fits in any memory.
constexpr std::int64_t kMostValues = 1'000'000;
constexpr std::size_t kMostBytes = std::size_t{64} << 20;

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

/// Looks through YAML for a second document, without keeping what it reads.
class DocumentWatcher : public YAML::EventHandler {
 public:
  /// Where the first value of the document begins.
  std::optional<YAML::Mark> value;
  YAML::Mark begin;

  void OnDocumentStart(const YAML::Mark& mark) override {
    begin = mark;
    value.reset();
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { see(mark); }
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                const std::string&) override {
    see(mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    see(mark);
  }
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    see(mark);
  }
  void OnMapEnd() override {}

 private:
  void see(const YAML::Mark& mark) {
    if (!value) value = mark;
  }
};

/// Whoever wrote a second one meant it to be read.
void refuse_second_document(const std::string& text, const std::string& file) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  DocumentWatcher watcher;
  for (int documents = 0;; ++documents) {
    const YAML::Mark before = watcher.begin;
    if (!parser.HandleNextDocument(watcher)) return;
    // yaml-cpp leaves what can begin nothing, such as a bracket that closes none, where it is, and
    // finds an empty document there for ever.
    if (documents > 0 && watcher.begin.pos == before.pos)
      throw YAML::ParserException(watcher.begin, "what stands here belongs to nothing");
    if (documents > 0 && watcher.value)
      throw InputError(file + ":" + std::to_string(watcher.value->line + 1) +
                       ": a second YAML document begins here (after ---), but the file must "
                       "be one");
  }
}

/// Makes a document's values of YAML's nodes.
class Converter {
 public:
  explicit Converter(Document& document) : document_(document) {}

  Json convert(const YAML::Node& node, const std::string& path, int level = 0) {
    if (level > kMostLevels)
      fail(node,
           "lists and mappings are nested more than " + std::to_string(kMostLevels) + " deep");
    if (++values_ > kMostValues)
      fail(node, "more than " + std::to_string(kMostValues) +
                     " values, of which an alias counts as many as it stands for");
    count(node, path);
    document_.lines[path] = node.Mark().line + 1;
    if (node.IsSequence()) {
      Json::array_t list;
      for (const auto& element : node)
        list.push_back(convert(element, path + "[" + std::to_string(list.size()) + "]", level + 1));
      return list;
    }
    if (node.IsMap()) return mapping(node, path, level);
    if (!node.IsScalar()) return nullptr;
    count(node, node.Scalar());
    return scalar(node);
  }

 private:
  Json mapping(const YAML::Node& node, const std::string& path, int level) {
    Json::object_t object;
    std::unordered_set<std::string> seen;
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) fail(entry.first, "a key must be a plain text");
      const std::string& key = entry.first.Scalar();
      const std::string full = path.empty() ? key : path + "." + key;
      if (!seen.insert(key).second) fail(entry.first, full + ": the key stands twice");
      Json value = convert(entry.second, full, level + 1);
      object.emplace_back(key, std::move(value));
      document_.lines[full] = entry.first.Mark().line + 1;
    }
    return object;
  }

  void count(const YAML::Node& node, const std::string& text) {
    bytes_ += text.size();
    if (bytes_ > kMostBytes)
      fail(node, "keys and texts of more than " + std::to_string(kMostBytes >> 20) +
                     " MiB, of which an alias counts as many as it stands for");
  }

  [[noreturn]] void fail(const YAML::Node& node, const std::string& message) const {
    throw InputError(document_.file + ":" + std::to_string(node.Mark().line + 1) + ": " + message);
  }

  Document& document_;
  std::int64_t values_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace

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
    refuse_second_document(text, file);
    document.root = Converter(document).convert(YAML::Load(text), "");
  } catch (const YAML::Exception& error) {
    throw InputError(file + ":" + std::to_string(error.mark.line + 1) +
                     ": is not valid YAML: " + error.msg);
  }
  return document;
}

Document load_yaml(const std::filesystem::path& path) {
  return parse_yaml(read_file(path), path.string());
}

Json parse_yaml_value(const std::string& text, const std::string& source) {
  try {
    Document scratch{source, {}, {}};
    return Converter(scratch).convert(YAML::Load(text), "");
  } catch (const YAML::Exception& error) {
    throw InputError(source + ": the value is not valid YAML: " + error.msg);
  }
}

}  // namespace strata
