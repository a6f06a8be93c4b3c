#include "strata/core/unit.h"

#include <algorithm>

namespace strata {

const std::string& role_name(Role role) {
  static const std::vector<std::string> names = {"body", "embeddings", "head", "prompt"};
  return names[static_cast<std::size_t>(role)];
}

std::optional<Role> parse_role(const std::string& name) {
  for (const Role role : {Role::kBody, Role::kEmbeddings, Role::kHead, Role::kPrompt})
    if (role_name(role) == name) return role;
  return std::nullopt;
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
