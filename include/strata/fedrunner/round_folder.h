#pragma once
/// \file
/// Where a run keeps what a round leaves behind.

#include <filesystem>
#include <string>

namespace strata::fedrunner {

/// "007", "1000": names sort as the rounds do up to 999.
/// \code
/// assert(round_folder("runs/demo", 7) == "runs/demo/rounds/007");
/// \endcode
std::string round_number(int round);
/// `run_folder`/rounds/007: scores.json, plan.json and aggregation.json of round 7.
std::filesystem::path round_folder(const std::filesystem::path& run_folder, int round);

}  // namespace strata::fedrunner
