#pragma once
/// \file
/// What `strata benchmark` found, as a page: a table, score over the share of the data,
/// and score over the trained parameters.

#include <string>

#include "strata/fedrunner/benchmark_results.h"

namespace strata::report {

/// @throws WorkError when gnuplot is missing.
std::string benchmark_page(const fedrunner::BenchmarkResults& results);

}  // namespace strata::report
