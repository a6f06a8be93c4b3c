#pragma once
/// \file
/// The modalities that look through the body, one renderer each: structures: findings. Internal to
/// the data module.

#include "data/phantoms/drawing.h"

namespace strata::data {

std::optional<Image> draw_xray(const PhantomDrawing& drawing);  // lungs, knee: opacity, cavity
std::optional<Image> draw_ct(const PhantomDrawing& drawing);    // lungs, liver: nodule, cyst
std::optional<Image> draw_mri(const PhantomDrawing& drawing);   // brain, knee: lesion, bleed
std::optional<Image> draw_ultrasound(const PhantomDrawing& drawing);  // liver, kidney: cyst, stone

}  // namespace strata::data
