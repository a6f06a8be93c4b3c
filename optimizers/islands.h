#pragma once
/// \file
/// Several populations of one metaheuristic side by side. Internal.

#include <cstdint>
#include <vector>

#include "optimizers/search_run.h"

namespace strata::optimizers {

/// Spends what is left of the run on the method from each of `starts`, an island a population, in
/// ten epochs: after each the islands' archives are the run's, and every island passes on a tenth
/// of its population to the next one. Islands are threads (core/parallel.h), and the result does
/// not depend on how many work at a time. `seed` is that of the islands' random numbers.
void search_islands(SearchRun& run, Method method, std::uint64_t seed,
                    const std::vector<std::vector<Assignment>>& starts);

}  // namespace strata::optimizers
