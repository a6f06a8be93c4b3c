#pragma once
/// \file
/// The assignments of a plan's front as a small file: what the next plan's search begins with.

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "strata/core/plan.h"
#include "strata/core/planning_problem.h"

namespace strata {

/// Assignments of one front, with the names of their rows and columns.
struct PlanArchive {
  std::vector<std::string> clients;
  std::vector<std::string> units;
  std::vector<Assignment> assignments;  ///< clients × units each, in the order of the front
};

/// The indices 0, …, count − 1, or `most` of them from the first to the last, evenly spread, where
/// there are more. `most` = 1 takes the first.
std::vector<std::size_t> evenly_spread(std::size_t count, std::size_t most);

/// The plan's archive, or its one assignment where that is empty (as read_plan leaves it). At most
/// 1,000 assignments are kept, and no more than have 2²⁴ entries together (4 MiB as a file) but at
/// least two: evenly spread over the front, both ends included.
PlanArchive archive_of(const Plan& plan);

/// The content of an archive file, version 1: JSON with `version`, `clients`, `units` and
/// `assignments`. An assignment is a list of one text a client: its units in fours, a hexadecimal
/// digit (0–9, a–f) each, the first unit the digit's highest bit, 0 for units beyond the last.
std::string archive_json(const PlanArchive& archive);
/// @throws WorkError when it cannot be written.
void write_archive(const PlanArchive& archive, const std::filesystem::path& path);
/// Gives back exactly what was written. A plan.json is read as an archive of its one assignment.
/// @throws InputError with file and key.
PlanArchive read_archive(const std::filesystem::path& path);

/// An archive brought to other clients and units.
struct MatchedArchive {
  std::vector<Assignment> assignments;  ///< clients × units of the problem
  /// What the archive has and the problem has not: left out of the assignments.
  std::vector<std::string> dropped_clients, dropped_units;
  /// What the problem has and the archive has not: 0 in the assignments.
  std::vector<std::string> new_clients, new_units;
};

/// Matches clients and units by name, so that clients may join and leave between two plans; budgets
/// and rules are not looked at (a search repairs what it starts with).
/// @throws InputError when no client or no unit is common to both: it names the archive's first one
/// and the nearest of the problem. `source` begins the message.
/// \code
/// const PlanArchive last{{"ct", "mri"}, {"block.0", "head"}, {Assignment::Ones(2, 2)}};
/// write_archive(last, "last.json");
/// PlanningProblem problem;
/// problem.clients = {"mri", "oct"};
/// problem.units = {"block.0", "head"};
/// const MatchedArchive matched = match_archive(read_archive("last.json"), problem, "last.json");
/// assert(matched.new_clients == std::vector<std::string>{"oct"});
/// assert(matched.assignments.front().row(1).isZero());  // what oct will train is not known yet
/// \endcode
MatchedArchive match_archive(const PlanArchive& archive, const PlanningProblem& problem,
                             const std::string& source);

}  // namespace strata
