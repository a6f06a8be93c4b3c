#pragma once
/// \file
/// pagmo's stock algorithms on the layer-assignment problem, for comparison. Internal.

#include <string>
#include <vector>

#include "optimizers/search_run.h"

namespace strata::optimizers {

/// Runs one of pagmo's algorithms from `starts` with its default parameters, as far as population
/// and evaluations leave them free, until the run is spent; every assignment it evaluates is
/// recorded. The decision vectors are UnitProblem's.
using PagmoSearch = void (*)(SearchRun& run, const std::vector<Assignment>& starts);

struct PagmoAlgorithm {
  std::string name;  ///< begins with kPagmo
  PagmoSearch search = nullptr;
};
inline constexpr const char* kPagmo = "pagmo:";

/// In the order of the table of algorithms; none in a build without pagmo (no_pagmo.cpp).
const std::vector<PagmoAlgorithm>& pagmo_algorithms();

}  // namespace strata::optimizers
