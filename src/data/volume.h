#pragma once
/// \file
/// Three-dimensional images and their masks in memory, with their place in the scanner's space.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace strata::data {

/// Rows of a matrix that takes the voxel (i, j, k, 1) to millimetres.
using VoxelToSpace = std::array<std::array<double, 4>, 3>;

/// Where the voxels are. Axes are the file's, i the fastest in memory.
struct VolumeGrid {
  std::array<std::int64_t, 3> size{};      ///< voxels along i, j, k
  std::array<double, 3> spacing{1, 1, 1};  ///< mm from a voxel to the next, above 0
  VoxelToSpace affine{{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}};
  /// What the space is, as NIfTI counts: 0 none is stated, 1 the scanner's, 2 another scan's, 3
  /// Talairach's, 4 MNI's, 5 another template's.
  int space = 0;

  std::size_t voxels() const { return static_cast<std::size_t>(size[0] * size[1] * size[2]); }
};

/// Values are at i + size[0] · (j + size[1] · k).
struct Volume : VolumeGrid {
  std::vector<float> values;
};

/// A class for each voxel: 0 is the background, c the class c of Manifest::classes, from 1.
struct Mask : VolumeGrid {
  std::vector<std::uint8_t> labels;
};

/// "(3, 4, 5)", the voxel at a place of `values`: as messages name it.
std::string voxel_text(const VolumeGrid& grid, std::size_t place);

}  // namespace strata::data
