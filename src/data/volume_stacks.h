#pragma once
/// \file
/// Volumes as a model of images reads them: stacks of five neighbouring slices (FLAP-SAM, Asokan et
/// al. 2024, arXiv 2407.21739, which has them from MA-SAM, Chen et al. 2023, arXiv 2309.08842).
///
/// \code
/// const VolumeCase read = read_case(manifest, example);
/// const ImagePlanes slices = slices_of(read.image, manifest.volumes->slice_axis);
/// const ImagePlanes stack = scaled_stack(stack_around(slices, 0));  // slices 0 0 0 1 2
/// const ImagePlanes input = resize_cubic(stack, 224, 224);          // (5, 224, 224)
/// \endcode

#include <cstdint>

#include "data/planes.h"
#include "data/volume.h"

namespace strata::data {

inline constexpr int kStackSlices = 5;

/// The slices that follow each other along `axis` (0, 1 or 2); rows are the first of the two axes
/// that are left, columns the second.
ImagePlanes slices_of(const Volume& volume, int axis);
LabelPlanes slices_of(const Mask& mask, int axis);

/// The mask of slices as slices_of makes them, on `grid`. @throws std::invalid_argument: the slices
/// are not of that grid.
Mask mask_of(const LabelPlanes& slices, const VolumeGrid& grid, int axis);

/// The slices index - 2 to index + 2; beyond the first and the last these are repeated.
ImagePlanes stack_around(const ImagePlanes& slices, std::int64_t index);
LabelPlanes stack_around(const LabelPlanes& slices, std::int64_t index);
/// The slice that a stack has at `place`, 0 to 4.
std::int64_t slice_in_stack(std::int64_t slices, std::int64_t index, int place);

/// (x - min) / (max - min + 1e-8) over the whole stack, in 64 bits, as FLAP-SAM's reader does in
/// training and in the test: 0 everywhere where all values are the same.
ImagePlanes scaled_stack(ImagePlanes stack);
/// The same where the least and the largest value are those of another size of the stack.
ImagePlanes scaled_stack(ImagePlanes stack, float least, float largest);

}  // namespace strata::data
