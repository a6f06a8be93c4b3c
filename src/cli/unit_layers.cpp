#include "cli/unit_layers.h"

#include <algorithm>
#include <set>

#include "core/text.h"
#include "strata/core/error.h"

namespace strata::cli {
namespace {

/// As in "l7"; alone between dots it would say nothing.
constexpr const char* kShortWord = "l";

/// "layer7", "Layer_7" and "block-7" are 7; −1 for what is not called a layer, such as "fc1".
int layer_in_word(const std::string& part) {
  const std::size_t digits = part.find_last_not_of("0123456789") + 1;
  if (digits == 0 || !is_layer_number(part.substr(digits))) return -1;
  std::string word = part.substr(0, digits);
  if (word.back() == '_' || word.back() == '-') word.pop_back();
  word = lower_case(word);
  return word == kShortWord || contains(layer_words(), word) ? std::stoi(part.substr(digits)) : -1;
}

}  // namespace

bool is_layer_number(const std::string& text) {
  return text.size() < 6 && all_digits(text);
}

const std::vector<std::string>& layer_words() {
  static const std::vector<std::string> words = {"layer", "layers", "block", "blocks", "h"};
  return words;
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
    if (is_layer_number(part)) return std::stoi(part);
  }
  for (const std::string& part : parts) {
    if (const int layer = layer_in_word(part); layer >= 0) return layer;
  }
  return -1;
}

std::string tower_of(const std::string& unit) {
  const std::vector<std::string> parts = parts_of(unit);
  const auto number = std::find_if(parts.begin(), parts.end(), is_layer_number);
  if (number == parts.end()) return "";
  return joined(std::vector<std::string>(parts.begin(), number), ".");
}

void require_one_tower(const std::vector<std::string>& units, const std::string& where,
                       const std::string& instead) {
  std::set<std::string> towers;
  for (const std::string& unit : units)
    if (layer_of(unit) >= 0) towers.insert(tower_of(unit));
  if (towers.size() < 2) return;
  throw InputError(where + ": the units are of several towers (" +
                   quoted_list(std::vector<std::string>(towers.begin(), towers.end())) +
                   "), whose layers have the same numbers; " + instead);
}

bool is_head(const std::string& unit) {
  static const std::set<std::string> names = {kHeadUnit, "classifier", "score", "lm_head"};
  return names.count(parts_of(unit).back()) > 0;
}

}  // namespace strata::cli
