#pragma once
/// \file
/// Volumes in NIfTI files, .nii and .nii.gz (data/nifti_header.h says which).
///
/// \code
/// Volume image = read_nifti("imaging.nii.gz");
/// Mask found = {image, std::vector<std::uint8_t>(image.voxels())};  // on the image's grid
/// write_nifti("found.nii.gz", found);
/// \endcode

#include <filesystem>
#include <istream>
#include <string>

#include "data/nifti_header.h"
#include "data/volume.h"

namespace strata::data {

/// What a mask may hold.
struct MaskRule {
  int classes = 1;  ///< labels are 0 to `classes`, at most 255
  /// Published sets have higher labels that count as the last class.
  bool higher_is_last = false;
};

/// Size, spacing and affine alone. @throws InputError as parse_nifti_header
VolumeGrid read_nifti_header(const std::filesystem::path& path);

/// A volume with its scaling applied; numbers that 32 bits cannot hold exactly are rounded.
/// Memory: 4 bytes a voxel. @throws InputError naming the file: as parse_nifti_header; damaged,
/// cut off, longer than its header says; a voxel that is no number or infinite, with its place.
Volume read_nifti(const std::filesystem::path& path);

/// @throws InputError: as read_nifti; a voxel that is no whole number from 0 to `rule.classes`,
/// with its place.
Mask read_nifti_mask(const std::filesystem::path& path, const MaskRule& rule);

/// Reads and checks all that read_nifti does and keeps nothing. @throws InputError likewise
VolumeGrid check_nifti(const std::filesystem::path& path);

/// The same of the bytes of a file that errors name as `file`.
Volume read_nifti(std::istream& in, const std::string& file);
Mask read_nifti_mask(std::istream& in, const std::string& file, const MaskRule& rule);

/// How the voxels of a .nii.gz are packed.
enum class NiftiPacking {
  kDeflated,  ///< small; the bytes differ between versions of zlib
  kStored     ///< not at all, the same bytes on every machine
};

/// Writes the file whole or not at all, packed where its name ends in .gz, its affine and spacing
/// in millimetres. @throws WorkError: it cannot be written. @throws InputError: a value that `type`
/// cannot hold exactly, with its place, but for those that kFloat32 and kFloat64 round.
void write_nifti(const std::filesystem::path& path, const Volume& volume, VoxelType type,
                 NiftiPacking packing = NiftiPacking::kDeflated);
/// Labels as VoxelType::kUint8.
void write_nifti(const std::filesystem::path& path, const Mask& mask,
                 NiftiPacking packing = NiftiPacking::kDeflated);

}  // namespace strata::data
