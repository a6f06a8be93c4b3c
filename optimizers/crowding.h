#pragma once
/// \file
/// How crowded the points of a front are. Internal: pagmo's types show.

#include <pagmo/types.hpp>
#include <vector>

namespace strata::optimizers {

/// pagmo's crowding distance (Deb et al. 2002, minimised objectives) of mutually nondominated
/// points, over the objectives in which they differ: pagmo divides by an objective's range. 0 for
/// all where that leaves fewer than two objectives, as for equal points, or for a single point.
/// O(m n log n).
std::vector<double> crowding_distances(const std::vector<pagmo::vector_double>& points);

}  // namespace strata::optimizers
