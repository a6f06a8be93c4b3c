#pragma once
/// \file
/// What budgets count: units, or a resource of which each unit costs something. All that depends on
/// which it is stands in one table, in resources.cpp.

#include <cstdint>
#include <string>
#include <vector>

#include "strata/core/unit.h"

namespace strata {

/// What amounts of a resource are counted in, and how they are written (amount.h).
struct Measure {
  const char* resource;  ///< that such an amount means where nothing else is said
  const char* symbol;    ///< behind a prefix, as in kB; "" for numbers that have neither
  std::vector<std::string> endings;  ///< that are read as the symbol, in small letters, long first
  const char* allowed;               ///< for messages
};

/// What a unit of LoRA pairs costs at a rank: `first` + (rank − 1) · `further`.
struct RankCosts {
  std::int64_t first = 0, further = 0;
};

struct Resource {
  const char* name;  ///< in files, options and messages
  const Measure* measure;
  /// What training a unit costs, of one sample; nullptr for units, which cost nothing else.
  std::int64_t (*cost)(const Unit& unit);
  /// The part of such a cost that the unit's rank does not change, where it has `bytes` of weights;
  /// nullptr: none.
  std::int64_t (*whatever_the_rank)(std::int64_t cost, std::int64_t bytes) = nullptr;
};

/// The name of budgets that count units.
inline constexpr const char* kOfUnits = "units";

/// What budgets count where LoRA's ranks are planned in place of units (PlanningProblem::ranks).
inline constexpr const char* kOfRanks = "ranks";

/// The table, units first.
const std::vector<Resource>& resources();
/// The row of a name. @throws InputError for one that is not among `budget_kinds()`.
const Resource& resource(const std::string& name);

/// What budgets may count: units, bytes, flops, memory.
const std::vector<std::string>& budget_kinds();
/// Those that units cost something of: all but units.
const std::vector<std::string>& resource_names();

/// What training a unit costs of one of `resource_names()`, of one sample: flops are 3 · forward
/// FLOPs (a backward pass costs about two forward ones), memory 12 bytes a parameter (gradient and
/// AdamW's two moments) and the activations.
std::int64_t cost_of(const Unit& unit, const std::string& resource);
/// Of each unit; empty for budgets of units, which cost nothing else.
std::vector<std::int64_t> costs_of(const std::vector<Unit>& units, const std::string& of);

/// The same of a unit that costs `cost` at the largest rank and has `bytes` of weights then,
/// rounded up. Bytes and FLOPs of a pair are in proportion to its rank; of the memory gradient and
/// moments are, while activations are taken to be the whole unit's, most of which are the pairs'
/// inputs.
RankCosts rank_costs(const std::string& of, std::int64_t cost, std::int64_t bytes, int ranks);

/// The same of a unit whose pairs have that rank.
RankCosts rank_costs_of(const Unit& unit, const std::string& of, int ranks);

/// Whether `rank_costs` of it depend on a unit's bytes.
bool has_fixed_costs(const std::string& of);

}  // namespace strata
