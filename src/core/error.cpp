#include "strata/core/error.h"

#include <algorithm>
#include <cctype>

namespace strata {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t cost = lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1;
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + cost});
      if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
          lower(a[i - 2]) == lower(b[j - 1]))
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

std::string nearest_name(std::string_view found, const std::vector<std::string>& allowed) {
  // No one mistypes a name of such length, and the distance takes time and memory by its square.
  constexpr std::size_t kLongest = 1000;
  if (found.size() > kLongest) return "";
  const std::size_t limit = std::max<std::size_t>(2, found.size() / 3);
  std::string best;
  std::size_t best_distance = limit + 1;
  for (const auto& name : allowed) {
    if (name.size() > kLongest) continue;
    const std::size_t distance = edit_distance(found, name);
    // A short name is not "near" when every letter of it would have to change.
    if (distance < best_distance && distance < std::max(found.size(), name.size())) {
      best = name;
      best_distance = distance;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view found, const std::vector<std::string>& allowed) {
  const std::string name = nearest_name(found, allowed);
  if (name.empty()) return "";
  std::string text = " (did you mean \"";
  text += name;
  return text += "\"?)";
}

std::string quoted_list(const std::vector<std::string>& names, std::size_t limit) {
  std::string out;
  for (std::size_t i = 0; i < names.size() && i < limit; ++i) {
    out += i ? ", \"" : "\"";
    out += names[i];
    out += '"';
  }
  if (names.size() > limit) out += ", … (" + std::to_string(names.size()) + " in all)";
  return out;
}

void require_name(const std::string& option, const std::string& found,
                  const std::vector<std::string>& allowed) {
  if (std::find(allowed.begin(), allowed.end(), found) != allowed.end()) return;
  throw InputError(option + ": unknown name \"" + found + "\"" + did_you_mean(found, allowed) +
                   "; allowed: " + quoted_list(allowed));
}

}  // namespace strata
