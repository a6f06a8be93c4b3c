#pragma once
/// \file
/// The volumes of a data set with their masks, as Manifest::volumes says they are read.
///
/// \code
/// LoadOptions options;
/// options.reading = Reading::kMasks;
/// const Manifest manifest = load_data("kits19", options);
/// for (const Example& example : manifest.examples) use(read_case(manifest, example));
/// \endcode

#include "data/manifest.h"
#include "data/nifti.h"
#include "data/volume.h"

namespace strata::data {

struct VolumeCase {
  Volume image;  ///< its intensities brought into range
  Mask mask;     ///< on the same grid
};

/// @throws InputError: as read_nifti and read_nifti_mask; the mask has another shape than its
/// image.
VolumeCase read_case(const Manifest& manifest, const Example& example);

/// Reads image and mask, checks them as read_case does and keeps nothing. @throws InputError
void check_case(const Manifest& manifest, const Example& example);

/// Brings intensities into range as `reading` says for `client`: cut off at both ends of its
/// window, or at the volume's quantile 0.99, which stands between two values where numpy's does,
/// then 0 for the least and 1 for the largest. @throws InputError beginning with `file`: the client
/// has no window.
void adjust_intensities(Volume& volume, const VolumeReading& reading, const std::string& client,
                        const std::string& file);

}  // namespace strata::data
