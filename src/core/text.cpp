#include "core/text.h"

#include <algorithm>

namespace strata {

std::string joined(const std::vector<std::string>& parts, std::string_view separator,
                   std::size_t most) {
  std::string text;
  for (std::size_t i = 0; i < std::min(parts.size(), most); ++i) {
    if (i > 0) text += separator;
    text += parts[i];
  }
  if (most >= parts.size()) return text;
  if (most > 0) text += separator;
  return text + "…";
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::vector<std::string> sides;
  for (const std::int64_t side : shape) sides.push_back(std::to_string(side));
  return "(" + joined(sides) + ")";
}

}  // namespace strata
