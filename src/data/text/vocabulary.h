#pragma once
/// \file
/// The tokens of a model and their ids. Internal.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/document.h"

namespace strata::data {

class Vocabulary {
 public:
  /// Ids stay below it: sixteen times the largest vocabulary that is in use.
  static constexpr std::int64_t kMostIds = std::int64_t{1} << 22;
  /// Bytes of a token. At each place of a text the longest that fits may be looked for.
  static constexpr std::size_t kLongestToken = 4096;

  Vocabulary() = default;
  /// `{"token": id}` at a key; ids may leave holes. @throws InputError: no token, no mapping, an id
  /// that is none or stands twice, a token that is too long.
  Vocabulary(ObjectReader& reader, const std::string& key);
  /// Ids 0, 1, …; a token that stands twice has its last one.
  explicit Vocabulary(std::vector<std::string> tokens);

  // Views into its own strings.
  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;
  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;

  std::optional<std::int64_t> id(std::string_view token) const;
  /// nullptr where no token has the id.
  const std::string* token(std::int64_t id) const;
  /// Of tokens.
  std::int64_t count() const { return static_cast<std::int64_t>(tokens_.size()); }
  /// Above all ids.
  std::int64_t end() const { return static_cast<std::int64_t>(places_.size()); }

  /// Calls visit(token, id) for each.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (std::size_t id = 0; id < places_.size(); ++id)
      if (places_[id] >= 0)
        visit(tokens_[static_cast<std::size_t>(places_[id])], static_cast<std::int64_t>(id));
  }

 private:
  std::vector<std::string> tokens_;
  std::vector<std::int32_t> places_;  // in `tokens_`, of each id; -1: a hole
  std::unordered_map<std::string_view, std::int64_t> ids_;
};

}  // namespace strata::data
