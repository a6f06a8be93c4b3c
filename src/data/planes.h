#pragma once
/// \file
/// Slices of a volume, or of its mask, or a stack of some of them.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace strata::data {

/// `count` images of `height` rows and `width` columns, one behind another.
template <typename Value>
struct Planes {
  std::int64_t count = 0, height = 0, width = 0;
  std::vector<Value> values = {};  ///< (count, height, width), columns the fastest

  Planes() = default;
  Planes(std::int64_t planes, std::int64_t rows, std::int64_t columns)
      : count(planes),
        height(rows),
        width(columns),
        values(static_cast<std::size_t>(planes * rows * columns)) {}

  std::size_t area() const { return static_cast<std::size_t>(height * width); }
  Value* plane(std::int64_t i) { return values.data() + static_cast<std::size_t>(i) * area(); }
  const Value* plane(std::int64_t i) const {
    return values.data() + static_cast<std::size_t>(i) * area();
  }
  Value& at(std::int64_t i, std::int64_t row, std::int64_t column) {
    return plane(i)[row * width + column];
  }
  const Value& at(std::int64_t i, std::int64_t row, std::int64_t column) const {
    return plane(i)[row * width + column];
  }
  bool operator==(const Planes&) const = default;
};

using ImagePlanes = Planes<float>;
using LabelPlanes = Planes<std::uint8_t>;

}  // namespace strata::data
