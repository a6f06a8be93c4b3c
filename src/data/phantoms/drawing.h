#pragma once
/// \file
/// What a phantom's picture has to show. Internal to the data module.
///
/// Coordinates are in 1/64 of the image's side, whatever its size in pixels: x to the right, y
/// down, the image's midline at x = 32. "left" and "right" are those of the viewer. Only +, -, *,
/// /, sqrt, floor and ldexp are used, which IEEE 754 fixes to the last bit (the sources are
/// compiled without contraction into fused multiply-adds), so that a seed gives the same pixels on
/// every machine. For the same reason no full expression draws two random numbers where C++ leaves
/// the order of evaluation open.

#include <array>
#include <optional>

#include "data/image.h"
#include "strata/core/random.h"

namespace strata::data {

enum class Side { kLeft, kRight, kBoth };

struct FindingFacts {
  int count = 0;  ///< 0: not there
  Side side = Side::kLeft;
  bool large = false;
};

/// What is to be seen: indices into the modality's structures and findings.
struct PhantomFacts {
  int structure = 0;
  std::array<FindingFacts, 2> findings;
};

struct PhantomDrawing {
  const PhantomFacts& facts;
  int size;
  Random& random;
};

/// Draws the facts, or nothing where the findings did not fit into this draw's anatomy.
using Renderer = std::optional<Image> (*)(const PhantomDrawing&);

}  // namespace strata::data
