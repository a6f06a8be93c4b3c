#pragma once
/// \file
/// Six scanners for the bodies of phantoms/bodies.h: each has a contrast, a field, noise, sharpness
/// and slices of its own, so that sites differ as hospitals do. Internal to the data module.

#include <array>

#include "data/phantoms/bodies.h"
#include "data/volume.h"

namespace strata::data {

struct Scanner {
  double gamma;               ///< brightness ^ gamma
  double field;               ///< brightness times 1 ± field, slowly over the body
  double noise;               ///< standard deviation
  double blur;                ///< of the Gaussian within slices, in 1/64 of the side
  bool inverted;              ///< bright is dark, but for air
  double thickness;           ///< of a slice, in 1/64 of the side
  std::array<int, 2> slices;  ///< how many, from and to
};

const std::array<Scanner, 6>& scanners();

/// The body's brightnesses as the scanner has them: 0 to 1 but for noise. Air stays near 0.
void scan(PhantomBody& body, const Scanner& scanner, Random& random);

/// Where the slices of a scan lie: `spacing` mm between pixels and slices, turned about the body's
/// long axis by up to 0.2 radian, rows to the back, columns to the body's left. `slices_first` has
/// slices along axis 0, then rows and columns; else columns, rows and slices.
VolumeGrid scan_grid(const PhantomBody& body, double pixel, double slice, bool slices_first,
                     Random& random);

}  // namespace strata::data
