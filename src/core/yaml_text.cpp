#include "core/yaml_text.h"

#include <algorithm>
#include <cctype>
#include <set>

namespace strata {
namespace {

/// Words that YAML takes for booleans and nothing.
const std::set<std::string> kOtherTypes = {"true",  "True", "TRUE", "false", "False",
                                           "FALSE", "null", "Null", "NULL"};

std::string yaml_scalar(const Json& value) {
  if (!value.is_string()) return value.dump();
  const auto& text = value.get_ref<const std::string&>();
  // Anything that YAML could take for another type or for syntax is quoted as in JSON, which YAML
  // reads as a text.
  const bool plain =
      !text.empty() && std::isalpha(static_cast<unsigned char>(text[0])) &&
      std::all_of(text.begin(), text.end(),
                  [](unsigned char c) {
                    return std::isalnum(c) || c == '_' || c == '-' || c == '/' || c == '.';
                  }) &&
      !kOtherTypes.count(text);
  return plain ? text : value.dump();
}

std::string flow(const Json& value) {
  if (!value.is_structured()) return yaml_scalar(value);
  std::string out;
  for (const auto& [key, element] : value.items()) {
    if (!out.empty()) out += ", ";
    out += value.is_object() ? yaml_scalar(key) + ": " + flow(element) : flow(element);
  }
  return value.is_object() ? "{" + out + "}" : "[" + out + "]";
}

void block(const Json& object, const std::string& indent, std::string& out) {
  for (const auto& [key, value] : object.items()) {
    out += indent + yaml_scalar(key) + ":";
    if (value.is_object() && !value.empty()) {
      out += "\n";
      block(value, indent + "  ", out);
    } else if (value.is_array() && !value.empty() && value.front().is_structured()) {
      out += "\n";
      for (const auto& element : value) out += indent + "  - " + flow(element) + "\n";
    } else {
      out.append(" ").append(flow(value)).append("\n");
    }
  }
}

}  // namespace

std::string to_yaml(const Json& value) {
  std::string out;
  block(value, "", out);
  return out;
}

}  // namespace strata
