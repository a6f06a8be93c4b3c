#include "fedrunner/lora_pairs.h"

#include <algorithm>

#include "peft/methods.h"

namespace strata::fedrunner {
namespace {

constexpr std::int64_t kFloatBytes = 4;  // of a weight on its way

const std::string& name_of(const peft::FactorPair& pair, Factor factor) {
  return factor == Factor::kFirst ? pair.first : pair.second;
}

bool holds(const Unit& unit, const std::string& parameter) {
  return std::find(unit.parameters.begin(), unit.parameters.end(), parameter) !=
         unit.parameters.end();
}

/// 0 of what the unit does not send.
std::int64_t sent_bytes(const models::Blueprint& blueprint, const Unit& unit,
                        const std::string& parameter) {
  if (!holds(unit, parameter) || is_local(unit, parameter)) return 0;
  return kFloatBytes * blueprint.parameter(parameter).numel();
}

struct PairBytes {
  std::int64_t first, second;
};
/// What of a pair a client of these ranks sends where a factor may be frozen.
PairBytes travelling(const UnitPair& pair, const std::optional<Factor>& frozen,
                     const UnitRanks& ranks) {
  const std::int64_t kept = kept_rank(pair, ranks);
  const auto bytes = [&](Factor factor, std::int64_t whole) {
    return frozen == factor ? 0 : whole * kept / pair.rank;
  };
  return {bytes(Factor::kFirst, pair.first_bytes), bytes(Factor::kSecond, pair.second_bytes)};
}

/// Makes a weight the clients' own.
void keep_local(const models::Blueprint& blueprint, const std::string& name, Unit& unit) {
  if (!holds(unit, name) || is_local(unit, name)) return;
  unit.bytes -= sent_bytes(blueprint, unit, name);
  unit.local.push_back(name);
}

}  // namespace

void fit_units(const LoraRule& rule, const models::Blueprint& blueprint, std::vector<Unit>& units) {
  for (const auto& pair : peft::factors_of(blueprint)) {
    for (Unit& unit : units) {
      if (rule.untrained && holds(unit, name_of(pair, *rule.untrained))) {
        const std::string& name = name_of(pair, *rule.untrained);
        unit.bytes -= sent_bytes(blueprint, unit, name);
        unit.parameter_count -= blueprint.parameter(name).numel();
        std::erase(unit.parameters, name);
        std::erase(unit.local, name);
      }
      if (!rule.local) continue;
      keep_local(blueprint, name_of(pair, *rule.local), unit);
      if (rule.local == Factor::kSecond && !pair.bias.empty())
        keep_local(blueprint, pair.bias, unit);
    }
  }
}

std::int64_t kept_rank(const UnitPair& pair, const UnitRanks& ranks) {
  const auto found = ranks.find(pair.unit);
  if (found == ranks.end() || pair.names.base.empty()) return pair.rank;
  return std::min(found->second, pair.rank);
}

std::vector<UnitPair> unit_pairs(const models::Blueprint& blueprint,
                                 const std::vector<Unit>& units) {
  std::vector<UnitPair> pairs;
  for (const auto& pair : peft::factors_of(blueprint)) {
    for (const Unit& unit : units) {
      if (!holds(unit, pair.first) && !holds(unit, pair.second)) continue;
      pairs.push_back({pair, unit.name, blueprint.parameter(pair.first).shape.front(),
                       sent_bytes(blueprint, unit, pair.first),
                       sent_bytes(blueprint, unit, pair.second)});
    }
  }
  return pairs;
}

UnitPairs::UnitPairs(const LoraRule& rule, const models::Blueprint& blueprint,
                     const std::vector<Unit>& units)
    : rule_(&rule), pairs_(unit_pairs(blueprint, units)) {
  if (!rule.changes_base) return;
  for (UnitPair& pair : pairs_) {
    const auto unit = std::find_if(units.begin(), units.end(),
                                   [&](const Unit& unit) { return unit.name == pair.unit; });
    if (holds(*unit, pair.names.base) || is_local(*unit, pair.names.second)) continue;
    pair.base_bytes = kFloatBytes * blueprint.parameter(pair.names.base).numel();
  }
}

std::optional<Factor> UnitPairs::frozen_factor(int round) const {
  return rule_ && rule_->frozen ? rule_->frozen(round) : std::nullopt;
}

std::set<std::string> UnitPairs::bases() const {
  std::set<std::string> names;
  for (const UnitPair& pair : pairs_)
    if (rule_->changes_base) names.insert(pair.names.base);
  return names;
}

std::vector<std::string> UnitPairs::frozen(int round, const std::vector<std::string>& units) const {
  std::vector<std::string> names;
  const auto factor = frozen_factor(round);
  if (!factor) return names;
  for (const UnitPair& pair : pairs_) {
    if (std::find(units.begin(), units.end(), pair.unit) != units.end())
      names.push_back(name_of(pair.names, *factor));
  }
  return names;
}

std::vector<Unit> UnitPairs::sent(int round, std::vector<Unit> units,
                                  const UnitRanks& ranks) const {
  const auto factor = frozen_factor(round);
  for (const UnitPair& pair : pairs_) {
    const PairBytes bytes = travelling(pair, factor, ranks);
    for (Unit& unit : units) {
      if (unit.name == pair.unit)
        unit.bytes -= pair.first_bytes - bytes.first + pair.second_bytes - bytes.second;
    }
  }
  return units;
}

std::vector<Unit> UnitPairs::received(int round, std::vector<Unit> units,
                                      const UnitRanks& ranks) const {
  units = sent(round, std::move(units), ranks);
  const auto factor = frozen_factor(round);
  for (const UnitPair& pair : pairs_) {
    const PairBytes bytes = travelling(pair, factor, ranks);
    for (Unit& unit : units) {
      if (unit.name != pair.unit) continue;
      unit.bytes += pair.base_bytes;
      if (rule_->draws_anew) unit.bytes -= bytes.first + bytes.second;
    }
  }
  return units;
}

}  // namespace strata::fedrunner
