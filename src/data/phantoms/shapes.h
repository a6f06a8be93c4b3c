#pragma once
/// \file
/// The non-medical set to pretrain on: shapes on backgrounds of many kinds. Internal to the data
/// module.

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "data/phantoms/drawing.h"

namespace strata::data {

/// How a shapes image looks: `kinds` are the shapes (0 circle, 1 square, 2 triangle) of the two
/// entries of PhantomFacts::findings, `colours` index shape_colours(); without `coloured`
/// everything is grey.
struct ShapesStyle {
  std::array<int, 2> kinds;
  std::array<int, 2> colours;
  bool coloured = true;
};
const std::vector<std::string>& shape_colours();
std::optional<Image> draw_shapes(const PhantomDrawing& drawing, const ShapesStyle& style);

}  // namespace strata::data
