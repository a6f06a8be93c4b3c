#pragma once
/// \file
/// Distances to a set of voxels.

#include <array>
#include <cstdint>
#include <vector>

namespace strata::data {

/// Of every voxel the Euclidean distance, in the unit of `spacing`, of its centre to that of the
/// nearest voxel that is not 0 in `voxels`; infinite where there is none. Axis 0 is the fastest.
/// Exact but for rounding, O(voxels): lower envelopes of parabolas, axis by axis (Felzenszwalb &
/// Huttenlocher 2012, Theory of Computing 8, 415-428, section 2, with the axis's spacing).
std::vector<double> distances_to(const std::vector<std::uint8_t>& voxels,
                                 const std::array<std::int64_t, 3>& size,
                                 const std::array<double, 3>& spacing);

}  // namespace strata::data
