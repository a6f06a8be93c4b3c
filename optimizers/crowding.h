#pragma once
/// \file
/// How crowded the points of a front are. Internal.

#include <vector>

namespace strata::optimizers {

/// The crowding distance (Deb et al. 2002, minimised objectives) of mutually nondominated points,
/// over the objectives in which they differ, each divided by its range: the sum of the distances
/// between a point's neighbours, infinite at the ends. 0 for all where that leaves fewer than two
/// objectives, as for equal points, or for a single point. O(m n log n).
std::vector<double> crowding_distances(const std::vector<std::vector<double>>& points);

}  // namespace strata::optimizers
