#pragma once
/// \file
/// `run.ranks`: how much of the LoRA pairs each client has.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/fields.h"

namespace strata::experiment {

/// Ranks as they were written: one for everyone, or of clients by name, or those of every plan.
struct RankChoice {
  struct Client {
    std::string name;
    std::int64_t rank = 0;
    std::string where;  ///< file and key, to begin messages with
  };
  std::optional<std::int64_t> each = {};  ///< of every client that is not named
  std::vector<Client> clients = {};
  /// Plans give each client a rank of each unit, and budgets count ranks.
  bool planned = false;
  std::string where = {};  ///< of the whole

  /// Without, every client has the pairs in full.
  bool given() const { return each || !clients.empty() || planned; }
  /// One a client, in order; none where nothing is given, or planned. O(clients). @throws
  /// InputError for a client that is unknown (with the nearest) or has no rank, and for a rank
  /// above `largest`.
  std::vector<std::int64_t> values(const std::vector<std::string>& clients,
                                   std::int64_t largest) const;
};

Kind<RankChoice> ranks_of_clients();

}  // namespace strata::experiment
