#pragma once
/// \file
/// How well a mask agrees with another, class by class, in millimetres.
///
/// \code
/// for (const MaskScore& score : score_masks(found, read.mask, 2, /*tolerance=*/2.0))
///   std::cout << score.dice << ' ' << score.hd95 << ' ' << score.surface_dice << '\n';
/// \endcode

#include <vector>

#include "data/volume.h"

namespace strata::data {

/// The surface of a set is those of its voxels that have a neighbour across a face that is none of
/// it; what is beyond the volume's border is none of it. So have it scipy's binary_erosion,
/// medpy and MONAI. (DeepMind's surface-distance weighs surfaces by their area instead.)
///
/// Where both masks have nothing of a class, Dice is 1, HD95 0 and surface Dice 1. Where only one
/// of them does, Dice is 0, HD95 the volume's diagonal, from corner to corner, and surface Dice 0.
struct MaskScore {
  double dice = 0;  ///< 2 |A ∩ B| / (|A| + |B|) in voxels
  /// 95th percentile of the distances of all voxels of each surface to the other surface, both
  /// directions together and between two values where numpy's is, as medpy's hd95; mm. (MONAI takes
  /// the larger of the two directions' percentiles.)
  double hd95 = 0;
  /// The share of all surface voxels that are within the tolerance of the other surface: the
  /// normalised surface distance (Nikolov et al. 2021, arXiv 1809.04430), counted in voxels as
  /// MONAI's SurfaceDiceMetric.
  double surface_dice = 0;
  bool in_found = false, in_truth = false;  ///< whether a voxel has the class
};

/// A score for each of the labels 1 to `classes`; `tolerance` in mm, 0 or more. The spacing is that
/// of `truth`. O(voxels in the box around both) a class. @throws std::invalid_argument: the masks
/// have different shapes.
std::vector<MaskScore> score_masks(const Mask& found, const Mask& truth, int classes,
                                   double tolerance);

}  // namespace strata::data
