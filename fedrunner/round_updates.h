#pragma once
/// \file
/// What became of a round's trainings: which updates the server takes, and who hears of the rest.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiment/run_section.h"
#include "fedrunner/aggregation.h"
#include "fedrunner/messages.h"
#include "fedrunner/refusal.h"
#include "fedrunner/run_table.h"
#include "strata/core/error.h"

namespace strata::fedrunner {

/// No client's training stayed finite.
class Diverged : public WorkError {
 public:
  using WorkError::WorkError;
};

/// Clients whose updates were not used, but for `late` ones, whose may have been.
struct RoundFailures {
  std::vector<std::string> dropped, late;
  std::vector<Refusal> refused;
  std::vector<std::string> too_few;        ///< theirs were usable, but not as many as are needed
  std::vector<std::string> small_cohorts;  ///< units that fewer clients sent than must have
};

/// A round's replies to orders to train, sorted out.
struct RoundUpdates {
  std::vector<ClientUpdate> sent;  ///< by clients, in the order of the orders
  RoundFailures failures;
  bool complete = true;  ///< nobody's training is missing: another round brings no better news
};

/// Sorts the replies: `replies[i]` is to `orders[i]`, none where the client dropped out, of client
/// `clients[i]`. Replies that do not answer their order are refused. O(uploaded weights).
RoundUpdates sort_replies(const std::vector<Order>& orders,
                          std::vector<std::optional<Reply>> replies, const std::vector<Unit>& units,
                          const std::vector<ClientSize>& clients);

/// Takes what clients keep to themselves (Unit::local) out of their updates: by client. An update
/// in which some of it is not finite becomes one that failed.
std::map<std::string, ModelState> take_local(std::vector<ClientUpdate>& updates,
                                             const std::vector<Unit>& units);

/// Leaves in `updates.sent` those that the server takes; warnings name all others. With fewer than
/// `server.min_clients` none is left. @throws Diverged where no training of the round stayed
/// finite, which no further round would mend.
void keep_usable(int round, RoundUpdates& updates, const ModelState& global,
                 const experiment::ServerConfig& server);

/// Takes out of `updates.sent` the units that fewer than `least` clients have sent, though a plan
/// had more of them train it: these stay as they are. A warning names them. O(units · clients).
void keep_cohorts(int round, RoundUpdates& updates, const std::vector<Unit>& units,
                  std::int64_t least);

/// Logs which units all, some and none of the updates have, who is missing, and what was lost of
/// LoRA pairs.
void log_aggregation(int round, const RoundUpdates& updates, const Aggregated& done);

/// aggregation.json of a round. Where the rule of LoRA pairs has lost something (LoraRule::loss),
/// it has a mapping `lora`: `rule`, `measure` (the rule's loss), its `mean` over the pairs, the
/// `worst`, whose pair that is (`worst_pair`), and `pairs`, every pair's by its name.
/// `small_cohorts`, where there are any, are the units of `keep_cohorts`.
/// `ranks` are those of clients that have pruned their pairs, this round's among them.
std::string aggregation_json(int round, const RoundUpdates& updates, const Aggregated& done,
                             const std::map<std::string, std::int64_t>& ranks = {});

}  // namespace strata::fedrunner
