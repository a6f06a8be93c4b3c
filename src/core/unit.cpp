#include "strata/core/unit.h"

#include <algorithm>

namespace strata {

const std::vector<std::string>& role_names() {
  static const std::vector<std::string> names = {"body",   "embeddings", "head",  "prompt",
                                                 "vision", "connector",  "output"};
  return names;
}

const std::string& role_name(Role role) {
  return role_names()[static_cast<std::size_t>(role)];
}

std::optional<Role> parse_role(const std::string& name) {
  const auto found = std::find(role_names().begin(), role_names().end(), name);
  if (found == role_names().end()) return std::nullopt;
  return static_cast<Role>(found - role_names().begin());
}

std::vector<std::string> names_of(const std::vector<Unit>& units) {
  std::vector<std::string> names;
  for (const auto& unit : units) names.push_back(unit.name);
  return names;
}

std::vector<std::string> state_of(const Unit& unit) {
  std::vector<std::string> names = unit.parameters;
  names.insert(names.end(), unit.buffers.begin(), unit.buffers.end());
  return names;
}

bool is_local(const Unit& unit, const std::string& name) {
  return std::find(unit.local.begin(), unit.local.end(), name) != unit.local.end();
}

}  // namespace strata
