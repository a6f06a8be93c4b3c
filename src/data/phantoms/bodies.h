#pragma once
/// \file
/// Bodies in three dimensions, as brightnesses of tissue and labels: what the scanners of
/// phantoms/scanners.h then take. Internal to the data module. phantoms/drawing.h says what is
/// computed with, and why.

#include <vector>

#include "data/planes.h"
#include "strata/core/random.h"

namespace strata::data {

/// A body before it is scanned: brightness 0 (air) to 1, slices from the feet to the head, rows
/// from front to back.
struct PhantomBody {
  Planes<double> tissue;
  LabelPlanes labels;
};

/// What is drawn: slices that are as many units of 1/64 of the side apart as `thickness` says.
struct BodyDrawing {
  int slices, size;
  double thickness;
  Random& random;
};

/// Two kidneys (1) beside a spine in an abdomen, and in three of five a lesion (2) at the surface
/// of one.
PhantomBody draw_abdomen(const BodyDrawing& drawing);

/// A brain (1), with folds and ventricles, in its skull.
PhantomBody draw_head(const BodyDrawing& drawing);

/// A prostate, its outer zone 1 and its inner one 2, between bladder and rectum.
PhantomBody draw_pelvis(const BodyDrawing& drawing);

/// Ellipsoids (1) and boxes (2), one or two of each: what a model is pretrained on.
PhantomBody draw_solids(const BodyDrawing& drawing);

}  // namespace strata::data
