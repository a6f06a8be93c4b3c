#include "core/fields.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "core/csv.h"
#include "core/text.h"
#include "strata/core/error.h"

namespace strata {
namespace {

std::string in_code(const std::string& text) {
  return "`" + text + "`";
}

std::string names_text(const std::vector<std::string>& names) {
  std::vector<std::string> quoted;
  for (const auto& name : names) quoted.push_back(in_code(name));
  return joined(quoted);
}

/// "1e-06" as people write it: "1e-6".
std::string number_text(double value) {
  std::string text = format_double(value);
  const auto e = text.find('e');
  if (e == std::string::npos) return text;
  const bool negative = text[e + 1] == '-';
  const auto digits = text.find_first_not_of("+-0", e + 1);
  return text.substr(0, e + 1) + (negative ? "-" : "") + text.substr(digits);
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t end = 0; end != std::string::npos; begin = end + 1) {
    end = text.find(separator, begin);
    parts.push_back(text.substr(begin, end == std::string::npos ? end : end - begin));
  }
  return parts;
}

/// What is no number or boolean stays a text, which the field's reader refuses in its own words.
Json option_value(const std::string& text, Form form) {
  std::int64_t whole = 0;
  double number = 0;
  switch (form) {
    case Form::kNumber:
      if (parse_integer(text, whole)) return whole;
      if (parse_double(text, number)) return number;
      break;
    case Form::kBoolean:
      if (text == "true") return true;
      if (text == "false") return false;
      break;
    case Form::kList:
      return text.empty() ? Json::array() : Json(split(text, '+'));
    case Form::kText:
    case Form::kMapping:
      break;
  }
  return text;
}

void refuse_repeated(const std::vector<std::string>& values, const ObjectReader& reader,
                     const std::string& key) {
  std::unordered_set<std::string> seen;
  for (const auto& value : values)
    if (!seen.insert(value).second) reader.fail(key, "\"" + value + "\" stands twice");
}

}  // namespace

std::string range_text(std::int64_t low, std::int64_t high) {
  const std::string from = std::to_string(low);
  return high >= kMostCount ? "≥ " + from : from + " … " + std::to_string(high);
}

std::string range_text(double low, double high) {
  const std::string from = number_text(low);
  return std::isinf(high) ? "≥ " + from : from + " … " + number_text(high);
}

Kind<std::uint64_t> seed_number() {
  return whole<std::uint64_t>(0, std::numeric_limits<std::int64_t>::max());
}

Kind<double> number(double low, double high) {
  const auto read = [=](ObjectReader& reader, const std::string& key,
                        const std::optional<double>& fallback) {
    return reader.number(key, low, high, fallback);
  };
  return {read, [](const double& value) { return Json(value); }, Form::kNumber,
          range_text(low, high)};
}

Kind<bool> boolean() {
  const auto read = [](ObjectReader& reader, const std::string& key,
                       const std::optional<bool>& fallback) {
    if (!fallback && !reader.has(key))
      reader.fail(key, "the key is missing (true or false was expected)");
    return reader.boolean(key, fallback.value_or(false));
  };
  return {read, [](const bool& value) { return Json(value); }, Form::kBoolean, "`true`, `false`"};
}

Kind<std::string> text() {
  const auto read = [](ObjectReader& reader, const std::string& key,
                       const std::optional<std::string>& fallback) {
    return fallback ? reader.text(key, *fallback) : reader.text(key);
  };
  return {read, [](const std::string& value) { return Json(value); }, Form::kText, "a text"};
}

Kind<std::string> one_of(const std::vector<std::string>& names, const std::string& allowed) {
  const auto read = [=](ObjectReader& reader, const std::string& key,
                        const std::optional<std::string>& fallback) {
    return reader.choice(key, names, fallback);
  };
  return {read, [](const std::string& value) { return Json(value); }, Form::kText,
          allowed.empty() ? names_text(names) : allowed};
}

Kind<std::vector<std::string>> texts() {
  const auto read = [](ObjectReader& reader, const std::string& key,
                       const std::optional<std::vector<std::string>>& fallback) {
    return reader.texts(key, fallback);
  };
  return {read, [](const std::vector<std::string>& values) { return Json(values); }, Form::kList,
          "a list of texts"};
}

Kind<std::vector<std::string>> distinct_texts() {
  Kind<std::vector<std::string>> kind = texts();
  kind.read = [](ObjectReader& reader, const std::string& key,
                 const std::optional<std::vector<std::string>>& fallback) {
    const auto values = reader.texts(key, fallback);
    refuse_repeated(values, reader, key);
    return values;
  };
  return kind;
}

Kind<std::vector<std::string>> some_of(const std::vector<std::string>& names) {
  const auto read = [=](ObjectReader& reader, const std::string& key,
                        const std::optional<std::vector<std::string>>& fallback) {
    const auto values = reader.texts(key, fallback);
    for (const auto& value : values) {
      if (std::find(names.begin(), names.end(), value) == names.end())
        reader.fail(key, "\"" + value + "\" is not one of " + quoted_list(names) +
                             did_you_mean(value, names));
    }
    refuse_repeated(values, reader, key);
    return values;
  };
  return {read, [](const std::vector<std::string>& values) { return Json(values); }, Form::kList,
          "a list of " + names_text(names)};
}

std::string value_text(const Json& value) {
  if (value.is_null() || value.is_object()) return "none";
  if (value.is_string())
    return value.get<std::string>().empty() ? "none" : in_code(value.get<std::string>());
  if (value.is_number_float()) return in_code(number_text(value.get<double>()));
  if (!value.is_array()) return in_code(value.dump());
  std::vector<std::string> elements;
  for (const auto& element : value)
    elements.push_back(element.is_string() ? element.get<std::string>() : element.dump());
  return elements.empty() ? "none" : in_code(std::string("[").append(joined(elements)).append("]"));
}

std::string markdown_table(const std::vector<FieldRow>& rows) {
  const auto escaped = [](const std::string& text) { return joined(split(text, '|'), "\\|"); };
  std::string table = "| key | default | allowed | meaning |\n|---|---|---|---|\n";
  for (const auto& row : rows) {
    table += "| " + in_code(row.key) + " | " + escaped(row.fallback) + " | " +
             escaped(row.allowed) + " | " + escaped(row.help) + " |\n";
  }
  return table;
}

Document option_document(const std::string& text, const std::string& where,
                         const std::map<std::string, Form>& forms) {
  Document document{where, Json::object(), {}};
  if (text.empty()) return document;
  std::vector<std::string> keys;
  for (const auto& [key, form] : forms) keys.push_back(key);
  for (const std::string& part : split(text, ',')) {
    const auto equals = part.find('=');
    if (equals == std::string::npos || equals == 0)
      throw InputError(where + ": \"" + part + "\": key=value was expected, of the keys " +
                       quoted_list(keys));
    const std::string key = part.substr(0, equals);
    if (document.root.contains(key))
      throw InputError(where + ": " + key + ": the key stands twice");
    const auto form = forms.find(key);
    document.root[key] =
        option_value(part.substr(equals + 1), form == forms.end() ? Form::kText : form->second);
  }
  return document;
}

std::string option_text(const Json& mapping) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : mapping.items()) {
    std::string text;
    if (value.is_array()) {
      text = joined(value.get<std::vector<std::string>>(), "+");
    } else {
      text = value.is_string() ? value.get<std::string>() : value.dump();
    }
    parts.push_back(key + "=" + text);
  }
  return joined(parts, ",");
}

}  // namespace strata
