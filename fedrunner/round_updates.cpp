#include "fedrunner/round_updates.h"

#include <algorithm>
#include <map>
#include <utility>

#include "core/console.h"
#include "core/document.h"
#include "core/text.h"
#include "fedrunner/lora_rules/lora_rule.h"
#include "strata/core/error.h"

namespace strata::fedrunner {
namespace {

std::string prefix(int round) {
  return "round " + std::to_string(round) + ": ";
}

struct LossSummary {
  double mean;
  const PairLoss* worst;  ///< the first of equal ones
};
/// Of one pair at least.
LossSummary summary_of(const std::vector<PairLoss>& losses) {
  LossSummary summary{0, &losses.front()};
  for (const auto& loss : losses) {
    summary.mean += loss.loss / static_cast<double>(losses.size());
    if (loss.loss > summary.worst->loss) summary.worst = &loss;
  }
  return summary;
}

Json losses_json(const Aggregated& done) {
  const auto [mean, worst] = summary_of(done.losses);
  Json pairs = Json::object();
  for (const auto& [pair, loss] : done.losses) pairs[pair] = loss;
  return {{"rule", experiment::lora_averages().name(done.rule)},
          {"measure", lora_rule(done.rule).loss},
          {"mean", mean},
          {"worst", worst->loss},
          {"worst_pair", worst->pair},
          {"pairs", pairs}};
}

}  // namespace

RoundUpdates sort_replies(const std::vector<Order>& orders,
                          std::vector<std::optional<Reply>> replies, const std::vector<Unit>& units,
                          const std::vector<ClientSize>& clients) {
  RoundUpdates round;
  for (std::size_t i = 0; i < orders.size(); ++i) {
    const auto& order = orders[i];
    auto& reply = replies[i];
    if (!reply) {
      round.failures.dropped.push_back(order.client);
      round.complete = false;
      continue;
    }
    if (reply->late) round.failures.late.push_back(order.client);
    try {
      check_reply(*reply, order, {units, clients[i].train_samples});
    } catch (const InputError& error) {
      round.failures.refused.push_back({order.client, error.what()});
      round.complete = false;
      continue;
    }
    auto* update = std::get_if<ClientUpdate>(&reply->result);
    if (!update) {
      round.complete = round.complete && !reply->late;
      continue;
    }
    // Other machines send what they have on the CPU.
    for (auto* tensors : {&update->weights, &update->memory}) {
      for (auto& [name, tensor] : *tensors) tensor = tensor.to(order.state->at(name).device());
    }
    round.sent.push_back(std::move(*update));
  }
  return round;
}

std::map<std::string, ModelState> take_local(std::vector<ClientUpdate>& updates,
                                             const std::vector<Unit>& units) {
  std::map<std::string, ModelState> kept;
  for (auto& update : updates) {
    for (const auto& unit : units) {
      for (const auto& name : unit.local) {
        const auto found = update.weights.find(name);
        if (found == update.weights.end()) continue;
        if (!torch::isfinite(found->second).all().item<bool>())
          update.failure = "the weight " + name + " is not finite";
        kept[update.client][name] = found->second;
        update.weights.erase(found);
      }
    }
    if (!update.failure.empty()) update.weights.clear();
  }
  return kept;
}

void keep_usable(int round, RoundUpdates& updates, const ModelState& global,
                 const experiment::ServerConfig& server) {
  auto& [sent, failures, complete] = updates;
  const bool diverged = complete && !sent.empty() &&
                        std::all_of(sent.begin(), sent.end(),
                                    [](const auto& update) { return !update.failure.empty(); });
  if (diverged) {
    throw Diverged(prefix(round) + "no client's training stayed finite; client " +
                   sent.front().client + ": " + sent.front().failure);
  }
  const auto spoiling = refuse_updates(global, sent, server.outlier_ratio);
  failures.refused.insert(failures.refused.end(), spoiling.begin(), spoiling.end());
  for (const auto& refusal : failures.refused)
    log_warning(prefix(round) + "the update of client " + refusal.client +
                " is refused: " + refusal.reason);
  if (static_cast<std::int64_t>(sent.size()) < server.min_clients) {
    log_warning(prefix(round) + std::to_string(sent.size()) + " usable updates where " +
                std::to_string(server.min_clients) +
                " are needed (server.min_clients); the global model stays as it is");
    for (const auto& update : sent) failures.too_few.push_back(update.client);
    sent.clear();
  }
}

void keep_cohorts(int round, RoundUpdates& updates, const std::vector<Unit>& units,
                  std::int64_t least) {
  for (const Unit& unit : units) {
    const auto trains = [&](const ClientUpdate& update) {
      return std::find(update.units.begin(), update.units.end(), unit.name) != update.units.end();
    };
    const auto clients = std::count_if(updates.sent.begin(), updates.sent.end(), trains);
    if (clients == 0 || clients >= least) continue;
    log_warning(prefix(round) + "the unit " + unit.name + " was sent by " +
                std::to_string(clients) + " of the at least " + std::to_string(least) +
                " clients that it needs (run.plan.least_cohort); it stays as it is");
    updates.failures.small_cohorts.push_back(unit.name);
    for (ClientUpdate& update : updates.sent) {
      if (!trains(update)) continue;
      update.units.erase(std::find(update.units.begin(), update.units.end(), unit.name));
      for (const auto& name : state_of(unit)) update.weights.erase(name);
    }
  }
}

void log_aggregation(int round, const RoundUpdates& updates, const Aggregated& done) {
  const auto& failures = updates.failures;
  std::map<UnitStatus, std::string> units;
  for (const auto& use : done.uses) {
    auto& list = units[use.status];
    list += (list.empty() ? "" : ", ") + use.unit;
    if (use.status == UnitStatus::kPartial) list += " (" + joined(use.clients, ", ", 4) + ")";
  }
  const auto say = [&](UnitStatus status, const std::string& what) {
    return units.count(status) ? "; " + what + ": " + units[status] : "";
  };
  log_info(
      prefix(round) + std::to_string(updates.sent.size()) +
      (updates.sent.size() == 1 ? " update" : " updates") +
      say(UnitStatus::kMatched, "matched by all") + say(UnitStatus::kPartial, "partial") +
      say(UnitStatus::kUntouched, "untouched") +
      (failures.dropped.empty() ? "" : "; dropped out: " + joined(failures.dropped, ", ", 20)) +
      (failures.late.empty() ? "" : "; late: " + joined(failures.late, ", ", 20)));
  if (done.losses.empty()) return;
  const auto [mean, worst] = summary_of(done.losses);
  log_info(prefix(round) + "LoRA " + experiment::lora_averages().name(done.rule) + ": " +
           lora_rule(done.rule).loss + " " + fixed(mean, 4) + " on average, " +
           fixed(worst->loss, 4) + " at most (" + worst->pair + ")");
}

std::string aggregation_json(int round, const RoundUpdates& updates, const Aggregated& done,
                             const std::map<std::string, std::int64_t>& ranks) {
  const auto& failures = updates.failures;
  Json root{{"version", 1}, {"round", round}};
  root["clients"] = Json::array();
  for (const auto& update : updates.sent) root["clients"].push_back(update.client);
  root["units"] = Json::array();
  for (const auto& use : done.uses)
    root["units"].push_back({{"unit", use.unit},
                             {"status", unit_statuses().name(use.status)},
                             {"clients", use.clients}});
  root["dropped"] = failures.dropped;
  root["late"] = failures.late;
  root["refused"] = Json::array();
  for (const auto& refusal : failures.refused)
    root["refused"].push_back({{"client", refusal.client}, {"reason", refusal.reason}});
  root["too_few"] = failures.too_few;
  if (!failures.small_cohorts.empty()) root["small_cohorts"] = failures.small_cohorts;
  if (!done.losses.empty()) root["lora"] = losses_json(done);
  if (!ranks.empty()) root["ranks"] = ranks;
  return root.dump(1) + "\n";
}

}  // namespace strata::fedrunner
