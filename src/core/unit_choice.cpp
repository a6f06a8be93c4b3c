#include "strata/core/unit_choice.h"

#include <fnmatch.h>

#include <algorithm>
#include <set>

#include "strata/core/error.h"

namespace strata {
namespace {

bool has(const std::vector<std::size_t>& indices, std::size_t index) {
  return std::binary_search(indices.begin(), indices.end(), index);
}

void insert(std::vector<std::size_t>& indices, std::size_t index) {
  if (!has(indices, index))
    indices.insert(std::upper_bound(indices.begin(), indices.end(), index), index);
}

}  // namespace

std::vector<std::size_t> matching_units(const std::vector<std::string>& patterns,
                                        const std::vector<std::string>& names,
                                        const std::string& where, const std::string& holder) {
  if (patterns.empty()) throw InputError(where + ": the list is empty");
  std::set<std::string> seen;
  std::vector<bool> matched(names.size(), false);
  for (const std::string& pattern : patterns) {
    if (!seen.insert(pattern).second)
      throw InputError(where + ": \"" + pattern + "\" stands twice");
    const bool is_name = std::find(names.begin(), names.end(), pattern) != names.end();
    bool any = false;
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (is_name ? names[i] != pattern : fnmatch(pattern.c_str(), names[i].c_str(), 0) != 0)
        continue;
      matched[i] = any = true;
    }
    if (!any)
      throw InputError(where + ": " + holder + " has no unit \"" + pattern + "\"" +
                       did_you_mean(pattern, names) + "; there are " + quoted_list(names));
  }
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < names.size(); ++i)
    if (matched[i]) indices.push_back(i);
  return indices;
}

UnitChoice choose_units(const std::vector<std::string>& names, const std::vector<Role>& roles,
                        const UnitWishes& wishes) {
  UnitChoice choice;
  if (wishes.always && !wishes.always->empty())
    choice.always = matching_units(*wishes.always, names, wishes.where_always, wishes.holder);
  if (wishes.personal && !wishes.personal->empty())
    choice.personal = matching_units(*wishes.personal, names, wishes.where_personal, wishes.holder);
  for (const std::size_t i : choice.personal) insert(choice.always, i);
  if (wishes.competing) {
    choice.competing =
        matching_units(*wishes.competing, names, wishes.where_competing, wishes.holder);
  } else {
    for (std::size_t i = 0; i < names.size(); ++i) {
      const bool known = !roles.empty();
      const bool competes = !known || roles[i] == Role::kBody || roles[i] == Role::kPrompt;
      const bool gives_way = has(choice.always, i) && (!known || roles[i] == Role::kPrompt);
      if (competes && !gives_way) choice.competing.push_back(i);
    }
  }
  if (!wishes.always) {
    for (std::size_t i = 0; i < roles.size(); ++i)
      if (roles[i] == Role::kHead && !has(choice.competing, i)) insert(choice.always, i);
  }
  for (const std::size_t i : choice.personal) {
    if (has(choice.competing, i))
      throw InputError(wishes.where_personal + ": \"" + names[i] +
                       "\" is selectable, too; a personal unit is trained by every client in every "
                       "round");
  }
  for (const std::size_t i : choice.always) {
    if (has(choice.competing, i))
      throw InputError(wishes.where_always + ": \"" + names[i] +
                       "\" is selectable, too; a unit is either planned or always trained");
  }
  return choice;
}

}  // namespace strata
