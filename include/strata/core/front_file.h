#pragma once
/// \file
/// The front of a plan as a file: every point with its objectives and who trains what.

#include <filesystem>
#include <string>

#include "strata/core/plan.h"

namespace strata {

/// The content of a front's file, one row a point in the order of `plan.front`. By the file's name:
///
/// - FILE.json: {"version": 1, "chosen": 2, "clients": […], "units": […], "points": [{"row": 1,
///   "importance": …, "usage_variance": …, "assignment": {"ct": ["block.0", "head"], …}}, …]}.
/// - anything else, CSV: the columns row (from 1; what `--choose row:N` takes), chosen (1 for the
///   plan, 0 otherwise), importance, usage_variance, uplink_bytes and slowest_seconds where any
///   point has them, and one a client with the names of its units, joined by spaces.
///
/// The assignments are those of `plan.archive`; where that has not one for each point they are left
/// out. O(points · clients · units).
/// \code
/// Plan plan;
/// plan.clients = {"ct"};
/// plan.units = {"block.0", "head"};
/// plan.front = {{.importance = 1, .usage_variance = 0.25}};
/// plan.archive = {Assignment::Ones(1, 2)};
/// plan.row = 1;
/// assert(front_text(plan, "front.csv") ==
///        "row,chosen,importance,usage_variance,ct\n1,1,1,0.25,block.0 head\n");
/// \endcode
std::string front_text(const Plan& plan, const std::filesystem::path& file);

}  // namespace strata
