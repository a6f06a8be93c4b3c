#pragma once
/// \file
/// The score table of a round, from the clients' replies.

#include <optional>
#include <string>
#include <vector>

#include "fedrunner/messages.h"
#include "strata/core/score_table.h"
#include "strata/core/unit.h"

namespace strata::fedrunner {

/// The orders, all to score `units`, and the replies to them give a row each, raw and normalised; a
/// client without a reply has none. `fingerprint` is that of the model with the orders' state.
/// @throws WorkError: nobody scored
ScoreTable score_table(const std::vector<Order>& orders,
                       const std::vector<std::optional<Reply>>& replies,
                       const std::vector<Unit>& units, const std::string& fingerprint);

}  // namespace strata::fedrunner
