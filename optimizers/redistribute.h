#pragma once
/// \file
/// Better assignments of the same usages, by dealing units out anew between a few clients.
/// Internal.

#include <cstdint>

#include "optimizers/unit_state.h"

namespace strata::optimizers {

/// For budgets of a resource and two objectives. Takes the units of every `clients` clients
/// together and deals them out anew, each unit to as many of them as had it, for the greatest
/// importance within rules and capacities: by depth-first search, bounded by what each unit is
/// worth to those who value it most. Goes on until no such group can be improved, or `steps`
/// choices, which are subtracted, have been tried. Usages, and so the usage variance and coverage,
/// stay: what moves of one or two units cannot keep where budgets are tight. Returns whether the
/// state is better. Deterministic.
///
///     // 4 clients at a time, until no group of them can do better or 100,000 choices were tried
///     std::int64_t steps = 100'000;
///     redistribute(state, 4, steps);
bool redistribute(UnitState& state, int clients, std::int64_t& steps);

}  // namespace strata::optimizers
