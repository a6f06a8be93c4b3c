#include "core/amount.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "core/resources.h"
#include "core/text.h"

namespace strata {
namespace {

constexpr double kMost = 9007199254740992.0;  // 2⁵³: what a double holds exactly

/// The length of the symbol at the end of a text in small letters, 0 where it has none.
std::size_t symbol_length(const std::string& text, const Measure& measure) {
  for (const std::string& end : measure.endings)
    if (text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0)
      return end.size();
  return 0;
}

/// What "k", "mi", … multiply by; 0 for no prefix there is.
double factor_of(const std::string& prefix) {
  if (prefix.empty()) return 1;
  const auto power = std::string_view("kmgtp").find(prefix[0]);
  if (power == std::string_view::npos) return 0;
  const auto exponent = static_cast<double>(power + 1);
  if (prefix.size() == 1) return std::pow(1000, exponent);
  return prefix.substr(1) == "i" ? std::pow(1024, exponent) : 0;
}

}  // namespace

bool parse_amount(std::string_view text, const std::string& of, std::int64_t& value) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  if (text.size() > 1 && text.front() == '+' && text[1] != '-') text.remove_prefix(1);
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  std::string unit = lower_case(std::string_view(end, text.data() + text.size() - end));
  const Measure& measure = *resource(of).measure;
  if (measure.endings.empty()) {
    if (!unit.empty()) return false;
  } else {
    while (!unit.empty() && unit.front() == ' ') unit.erase(0, 1);
    unit.resize(unit.size() - symbol_length(unit, measure));
    number *= factor_of(unit);
    if (factor_of(unit) == 0) return false;
  }
  if (!(number >= 0 && number <= kMost)) return false;
  // 1.1 kB is 1100 bytes, though the product of the doubles may miss that by a rounding.
  const double whole = std::round(number);
  if (std::abs(number - whole) > 1e-12 * whole) return false;
  value = static_cast<std::int64_t>(whole);
  return true;
}

std::string counted_by(const std::string& amount) {
  const std::string small = lower_case(amount);
  std::int64_t value = 0;
  for (const Resource& each : resources())
    if (symbol_length(small, *each.measure) > 0 && parse_amount(amount, each.name, value))
      return each.measure->resource;
  return "";
}

std::string amount_text(std::int64_t amount, const std::string& of) {
  if (of == kOfRanks) return std::to_string(amount);
  const Measure& measure = *resource(of).measure;
  if (measure.endings.empty()) return std::to_string(amount);
  auto value = static_cast<double>(amount);
  std::size_t prefix = 0;
  const std::vector<std::string> prefixes = {"", "k", "M", "G", "T", "P"};
  for (; value >= 1000 && prefix + 1 < prefixes.size(); ++prefix) value /= 1000;
  char digits[64];
  std::snprintf(digits, sizeof digits, "%.3f", value);
  std::string text = digits;
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text + " " + prefixes[prefix] + measure.symbol;
}

std::string allowed_amount(const std::string& of) {
  return resource(of).measure->allowed;
}

}  // namespace strata
