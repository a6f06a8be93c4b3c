#pragma once
/// \file
/// Instances of the layer-assignment problem to compare optimizers on: made from a seed, or read
/// from files.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "strata/core/planning_problem.h"

namespace strata::optimizers {

/// Scores with a layer trend that all clients share and noise of each client's own, both lognormal:
/// S[i,l] = exp(zₗ) · exp(z[i,l] / 2) with independent standard normal z, each row divided by its
/// sum. Budgets are uniform over the whole numbers from 2 to ⌊units / 4⌋, one draw a client.
///
/// The trend makes clients want the same units, so that importance and usage variance conflict as
/// they do between layers of one model. Clients are client-0, …, units layer-0, …. The same
/// arguments give the same bits (with one standard library). O(clients · units).
/// @throws InputError for no client or fewer than 8 units.
/// \code
/// const PlanningProblem problem = generate_instance(9, 24, 1);
///
/// assert(problem.client_count() == 9 && problem.unit_count() == 24);
/// assert(std::abs(problem.importance.row(0).sum() - 1) < 1e-12);
/// \endcode
PlanningProblem generate_instance(int clients, int units, std::uint64_t seed);

/// One instance of a family: 9x24 and a seed, or a name and a number from a file's name.
struct Instance {
  std::string name;
  std::uint64_t seed = 0;
  PlanningProblem problem;
};

/// The instances that a list names, in its order. Every entry is one of
/// - CLIENTSxUNITS, such as 9x24: generate_instance with the seeds 1 to `seeds`;
/// - a CSV file of scores (header client,<unit>,…);
/// - a folder: all its CSV files of scores, by name.
///
/// NAME.scores.csv or NAME.csv goes with the budgets in NAME.budgets.csv beside it, and where there
/// is none with `budget`, as make_problem takes it. NAME-7 is instance 7 of the family NAME; other
/// names are families of one, with number 0. In folders, *.budgets.csv and *.front.csv are no
/// scores.
/// @throws InputError naming the entry and what is allowed; for a file without budgets, and for two
/// instances of one name and number.
std::vector<Instance> load_instances(const std::vector<std::string>& entries, int seeds,
                                     const std::string& budget);

/// Writes NAME-SEED.scores.csv, NAME-SEED.budgets.csv and NAME-SEED.front.csv (the exact supported
/// front, as write_front_csv does) of every instance, for other programs and for load_instances;
/// without -SEED where it is 0. Each file is whole or not there. @throws WorkError
void write_instances(const std::vector<Instance>& instances, const std::filesystem::path& folder);

}  // namespace strata::optimizers
