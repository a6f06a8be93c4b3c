#pragma once
/// \file
/// The modalities that work with light, one renderer each: structures: findings. Internal to the
/// data module.

#include "data/phantoms/drawing.h"

namespace strata::data {

std::optional<Image> draw_oct(const PhantomDrawing& drawing);     // macula, optic disc: cyst, druse
std::optional<Image> draw_fundus(const PhantomDrawing& drawing);  // the same: hemorrhage, exudate
std::optional<Image> draw_dermoscopy(const PhantomDrawing& drawing);  // skin, palm: mole, angioma
std::optional<Image> draw_histology(
    const PhantomDrawing& drawing);  // colon, lymph node: nest, vacuole
std::optional<Image> draw_endoscopy(const PhantomDrawing& drawing);  // colon, stomach: polyp, ulcer

}  // namespace strata::data
