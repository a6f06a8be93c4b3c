#pragma once
/// \file
/// pagmo's stock algorithms on the layer-assignment problem, for comparison. Internal.

#include <vector>

#include "optimizers/search_run.h"

namespace strata::optimizers {

/// Runs one of pagmo's algorithms from `starts` with its default parameters, as far as population
/// and evaluations leave them free, until the run is spent; every assignment it evaluates is
/// recorded. The decision vectors are LayerProblem's.
using PagmoSearch = void (*)(SearchRun& run, const std::vector<Assignment>& starts);

void pagmo_nsga2(SearchRun& run, const std::vector<Assignment>& starts);
void pagmo_maco(SearchRun& run, const std::vector<Assignment>& starts);
/// Knows no integers: sees the decision vectors as continuous, as the next two do.
void pagmo_nspso(SearchRun& run, const std::vector<Assignment>& starts);
/// Knows one objective only: the evaluations are shared among weighted sums by pagmo's `decompose`,
/// as the next one's are.
void pagmo_bee_colony(SearchRun& run, const std::vector<Assignment>& starts);
void pagmo_simulated_annealing(SearchRun& run, const std::vector<Assignment>& starts);

}  // namespace strata::optimizers
