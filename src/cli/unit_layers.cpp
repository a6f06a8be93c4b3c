#include "cli/unit_layers.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "core/text.h"

namespace strata::cli {
namespace {

/// "layer7", "Layer_7" and "block-7" are 7; −1 for what is not called a layer, such as "fc1".
int layer_in_word(const std::string& part) {
  const std::size_t digits = part.find_last_not_of("0123456789") + 1;
  if (digits == 0 || !all_digits(part.substr(digits))) return -1;
  std::string word = part.substr(0, digits);
  if (word.back() == '_' || word.back() == '-') word.pop_back();
  static const std::set<std::string> words = {"layer", "layers", "block", "blocks", "l", "h"};
  return words.count(lower_case(word)) ? std::stoi(part.substr(digits)) : -1;
}

}  // namespace

bool all_digits(const std::string& text) {
  return !text.empty() && text.size() < 6 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); });
}

std::vector<std::string> parts_of(const std::string& unit) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= unit.size();) {
    const std::size_t end = std::min(unit.find('.', begin), unit.size());
    parts.push_back(unit.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

int layer_of(const std::string& unit) {
  const std::vector<std::string> parts = parts_of(unit);
  for (const std::string& part : parts) {
    if (all_digits(part)) return std::stoi(part);
  }
  for (const std::string& part : parts) {
    if (const int layer = layer_in_word(part); layer >= 0) return layer;
  }
  return -1;
}

bool is_head(const std::string& unit) {
  static const std::set<std::string> names = {"head", "classifier", "score", "lm_head"};
  return names.count(parts_of(unit).back()) > 0;
}

}  // namespace strata::cli
