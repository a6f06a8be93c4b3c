#pragma once
/// \file
/// Which units compete for the clients' budgets: the one rule of `strata plan` and `strata run`.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "strata/core/unit.h"

namespace strata {

/// The units that patterns stand for, in the order of `names`, each once. A pattern is a name, or
/// one of the shell's (`block.*`, `block.[0-5]`, `*`); a name that is there is taken as it is.
/// @throws InputError that begins with `where`: a pattern that no name matches ("the model has no
/// unit …", with the nearest; `holder` is the model), one that stands twice, no pattern.
std::vector<std::size_t> matching_units(const std::vector<std::string>& patterns,
                                        const std::vector<std::string>& names,
                                        const std::string& where, const std::string& holder);

/// What somebody asked for, as patterns. Not set: the default.
struct UnitWishes {
  std::optional<std::vector<std::string>> competing, always, personal;
  std::string where_competing, where_always, where_personal;  ///< to begin messages with
  std::string holder = "the model";  ///< whose units they are, for messages
};

/// Indices, ascending.
struct UnitChoice {
  std::vector<std::size_t> competing;  ///< planned: within the clients' budgets
  std::vector<std::size_t> always;     ///< trained by every client beside its budget
  std::vector<std::size_t> personal;   ///< of these: what every client keeps to itself
};

/// By default units compete whose role is body or prompt, and the head is always trained. A unit
/// that was asked to compete does, whatever its role, and is not always trained unless that was
/// asked for, too; a prompt that shall always be trained does not compete by default. Where roles
/// are not known (`roles` is empty) all units compete, but those always trained. Personal units are
/// always trained, whether that was asked for or not.
/// @throws InputError as matching_units, and for a unit that shall both compete and always be
/// trained.
/// \code
/// const std::vector<std::string> names = {"embeddings", "block.0", "block.1", "head"};
/// const std::vector<Role> roles = {Role::kEmbeddings, Role::kBody, Role::kBody, Role::kHead};
/// const UnitChoice choice = choose_units(names, roles, {});
/// assert((choice.competing == std::vector<std::size_t>{1, 2}));
/// assert((choice.always == std::vector<std::size_t>{3}));
/// assert(matching_units({"block.*"}, names, "--unit", "the model") == choice.competing);
/// \endcode
UnitChoice choose_units(const std::vector<std::string>& names, const std::vector<Role>& roles,
                        const UnitWishes& wishes);

}  // namespace strata
