#pragma once
// Small NIfTI files for tests of what reads volumes.

#include <filesystem>
#include <string>

#include "data/nifti.h"

namespace strata::test {

inline data::Volume small_volume(std::array<std::int64_t, 3> size = {4, 3, 2}) {
  data::Volume volume;
  volume.size = size;
  volume.space = 1;
  for (std::size_t i = 0; i < volume.voxels(); ++i)
    volume.values.push_back(static_cast<float>(i % 7) * 10);
  return volume;
}

inline data::Mask small_mask(std::array<std::int64_t, 3> size = {4, 3, 2}, int label = 1) {
  data::Mask mask{small_volume(size), {}};
  mask.labels.assign(mask.voxels(), 0);
  mask.labels[1] = static_cast<std::uint8_t>(label);
  return mask;
}

/// An image and its mask.
inline void write_case(const std::filesystem::path& image, const std::filesystem::path& mask,
                       int label = 1) {
  data::write_nifti(image, small_volume(), data::VoxelType::kInt16);
  data::write_nifti(mask, small_mask({4, 3, 2}, label));
}

}  // namespace strata::test
