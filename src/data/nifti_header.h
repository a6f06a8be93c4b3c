#pragma once
/// \file
/// The header of a NIfTI file: NIfTI-1.1 (nifti1.h, 348 bytes) and NIfTI-2 (nifti2.h, 540 bytes) of
/// the NIfTI Data Format Working Group, in either byte order. Internal.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "data/volume.h"

namespace strata::data {

/// The types of voxels, by NIfTI's codes.
enum class VoxelType {
  kUint8 = 2,
  kInt16 = 4,
  kInt32 = 8,
  kFloat32 = 16,
  kFloat64 = 64,
  kInt8 = 256,
  kUint16 = 512,
  kUint32 = 768,
  kInt64 = 1024,
  kUint64 = 1280
};

std::size_t bytes_of(VoxelType type);

struct NiftiHeader {
  VolumeGrid grid;
  VoxelType type = VoxelType::kFloat32;
  bool swapped = false;          ///< the file has the other byte order than this machine
  std::size_t voxel_offset = 0;  ///< where the voxels begin, in bytes
  /// A voxel's value is slope · stored + intercept.
  double slope = 1, intercept = 0;
};

/// A header has at most so many bytes.
inline constexpr std::size_t kMostHeaderBytes = 540;

/// Of a file's first bytes, kMostHeaderBytes or as many as it has. The space is the s-form's where
/// there is one, else the q-form's, else (NIfTI's method 1) the voxels' size alone; lengths are
/// made millimetres; without a unit they are taken as these. The spacing is the length of the
/// affine's columns. @throws InputError beginning with `file`: no NIfTI (DICOM and Analyze 7.5
/// are named, with what makes NIfTI of them), a pair of files, not three dimensions (a fourth and
/// further ones of length 1 may be there), another type of voxels, more than 2²⁸ voxels,
/// numbers that contradict each other.
NiftiHeader parse_nifti_header(std::string_view bytes, const std::string& file);

/// A header for voxels of `type` on `grid`, not scaled, with the four bytes behind it that say that
/// there are no extensions: NIfTI-1, or NIfTI-2 where `grid` is too long for it. Both s-form
/// and q-form are written where the axes are at right angles, else the s-form alone.
std::string nifti_header_bytes(const VolumeGrid& grid, VoxelType type);

}  // namespace strata::data
