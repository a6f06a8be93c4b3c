#pragma once
/// \file
/// All assignments of one total that a bound by prices leaves room for. Internal.

#include <cstdint>
#include <functional>
#include <vector>

#include "optimizers/resource_dual.h"
#include "strata/core/planning_problem.h"

namespace strata::optimizers {

/// What is enumerated: assignments that train `total` units and whose importance − price · usage
/// variance lies less than `room` below the bound that the usage prices give for that total.
struct EnumerationTask {
  double price = 0;
  std::vector<double> usage_prices;
  int total = 0;
  double room = 0;
};

/// The value of an assignment is the bound less what each client's choice loses against its best
/// one and what the usages lose against the best ones; all losses are ≥ 0. So clients are given
/// their choices one after the other, those of little loss first, as long as the losses so far and
/// the least ones still to come leave room.
///
/// `visit` is called with every complete assignment, one bit row a client, and returns the room
/// from then on. At most `steps` choices are tried, which are subtracted from it; returns whether
/// all was enumerated. For up to 64 units. The dual is evaluated anew.
bool enumerate_assignments(const PlanningProblem& problem, ResourceDual& dual,
                           const EnumerationTask& task, std::int64_t& steps,
                           const std::function<double(const std::vector<std::uint64_t>&)>& visit);

}  // namespace strata::optimizers
