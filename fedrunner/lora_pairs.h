#pragma once
/// \file
/// What a rule of LoRA pairs makes of a run's units, before the run and round by round. Internal.

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "fedrunner/lora_rules/lora_rule.h"
#include "fedrunner/messages.h"
#include "models/blueprint.h"
#include "peft/method.h"
#include "strata/core/unit.h"

namespace strata::fedrunner {

/// Leaves in the units what the rule trains of their pairs, and gives to Unit::local what clients
/// keep; `bytes` and `parameter_count` follow. Costs of computing stay: the forward pass is the
/// same.
void fit_units(const LoraRule& rule, const models::Blueprint& blueprint, std::vector<Unit>& units);

/// A pair with a weight in one of the run's units.
struct UnitPair {
  peft::FactorPair names;
  std::string unit;
  std::int64_t rank = 0;                           ///< rows of the first, columns of the second
  std::int64_t first_bytes = 0, second_bytes = 0;  ///< in float32; 0 of what no unit sends
  /// Of the weight beside which it stands, where the rule changes that and the unit has it not.
  std::int64_t base_bytes = 0;
};

/// What a client of these ranks has of the pair's rank: that of its unit, or what there is. Pairs
/// that are added to no weight, as of DoRA and of prompts, everyone has in full.
std::int64_t kept_rank(const UnitPair& pair, const UnitRanks& ranks);

/// The pairs of these units, as no rule changes a base.
std::vector<UnitPair> unit_pairs(const models::Blueprint& blueprint,
                                 const std::vector<Unit>& units);

/// The pairs of a run and their rule.
class UnitPairs {
 public:
  UnitPairs() = default;  ///< of a run without any
  UnitPairs(const LoraRule& rule, const models::Blueprint& blueprint,
            const std::vector<Unit>& units);

  const std::vector<UnitPair>& all() const { return pairs_; }
  /// The weights that the rule changes beside those of the units; none of most rules.
  std::set<std::string> bases() const;
  /// The weights of these units that nobody trains in a round, in the order of the pairs.
  std::vector<std::string> frozen(int round, const std::vector<std::string>& units) const;
  /// The same units with the bytes that a client of these ranks which trains them sends in a round,
  /// and with those that it receives of what changed when it is over: bases in full, as orders hold
  /// them.
  std::vector<Unit> sent(int round, std::vector<Unit> units, const UnitRanks& ranks = {}) const;
  std::vector<Unit> received(int round, std::vector<Unit> units, const UnitRanks& ranks = {}) const;

 private:
  std::optional<Factor> frozen_factor(int round) const;

  const LoraRule* rule_ = nullptr;
  std::vector<UnitPair> pairs_;
};

}  // namespace strata::fedrunner
