#pragma once
/// \file
/// What `strata compare` found, as text and as a page with convergence curves.

#include <filesystem>
#include <string>

#include "strata/optimizers/compare.h"

namespace strata::report {

/// Whether `folder` holds a comparison (compare.json) rather than runs.
bool holds_comparison(const std::filesystem::path& folder);

/// read_comparison, with the runs of peers.csv added where the folder has one (bench/peers).
/// @throws InputError naming the file.
optimizers::Comparison read_comparison_with_peers(const std::filesystem::path& folder);

/// The summary as a text table: medians, quartiles of the hypervolume ratio, significance.
std::string comparison_text(const optimizers::Comparison& comparison);

/// The page about `comparison`: summary, convergence curves, evaluations and seconds to the
/// targets, provenance. @throws WorkError when gnuplot is missing.
std::string comparison_page(const optimizers::Comparison& comparison, const std::string& folder);

/// Which algorithms on which instances: the page's title.
std::string comparison_title(const optimizers::Comparison& comparison);

}  // namespace strata::report
