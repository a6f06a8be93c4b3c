#include "core/score_scales.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <utility>
#include <vector>

namespace strata {

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

std::string role_scale_warning(const ScoreTable& table) {
  std::map<Role, std::pair<double, int>> sums;
  for (std::size_t l = 0; l < table.roles.size(); ++l) {
    auto& [sum, units] = sums[table.roles[l]];
    sum += table.scores.col(static_cast<Eigen::Index>(l)).mean();
    ++units;
  }
  std::vector<std::pair<double, Role>> means;
  for (const auto& [role, sum] : sums)
    if (sum.first > 0) means.emplace_back(sum.first / sum.second, role);
  if (means.size() < 2) return "";
  const auto [least, most] = std::minmax_element(means.begin(), means.end());
  if (most->first < kScalesApart * least->first) return "";
  return "units of different kinds compete on different scales: the mean score is " +
         short_number(most->first) + " of the role " + role_name(most->second) + " and " +
         short_number(least->first) + " of " + role_name(least->second);
}

}  // namespace strata
