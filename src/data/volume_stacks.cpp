#include "data/volume_stacks.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

namespace strata::data {
namespace {

/// How far apart, in a volume's memory, neighbours along slices, rows and columns are.
struct SliceSteps {
  std::array<std::int64_t, 3> size, step;
};

SliceSteps slice_steps(const VolumeGrid& grid, int axis) {
  const std::array<std::int64_t, 3> step = {1, grid.size[0], grid.size[0] * grid.size[1]};
  const auto first = static_cast<std::size_t>(axis);
  const std::size_t rows = axis == 0 ? 1 : 0, columns = axis == 2 ? 1 : 2;
  return {{grid.size[first], grid.size[rows], grid.size[columns]},
          {step[first], step[rows], step[columns]}};
}

/// Calls use(place among the planes, place in the volume) for every voxel.
template <typename Use>
void each_place(const SliceSteps& steps, Use use) {
  std::size_t place = 0;
  for (std::int64_t slice = 0; slice < steps.size[0]; ++slice)
    for (std::int64_t row = 0; row < steps.size[1]; ++row)
      for (std::int64_t column = 0; column < steps.size[2]; ++column)
        use(place++, static_cast<std::size_t>(slice * steps.step[0] + row * steps.step[1] +
                                              column * steps.step[2]));
}

template <typename Value>
Planes<Value> cut_into_slices(const std::vector<Value>& values, const VolumeGrid& grid, int axis) {
  const SliceSteps steps = slice_steps(grid, axis);
  Planes<Value> slices(steps.size[0], steps.size[1], steps.size[2]);
  each_place(steps, [&](std::size_t to, std::size_t from) { slices.values[to] = values[from]; });
  return slices;
}

template <typename Value>
Planes<Value> take_stack(const Planes<Value>& slices, std::int64_t index) {
  Planes<Value> stack(kStackSlices, slices.height, slices.width);
  for (int place = 0; place < kStackSlices; ++place)
    std::copy_n(slices.plane(slice_in_stack(slices.count, index, place)), slices.area(),
                stack.plane(place));
  return stack;
}

}  // namespace

ImagePlanes slices_of(const Volume& volume, int axis) {
  return cut_into_slices(volume.values, volume, axis);
}

LabelPlanes slices_of(const Mask& mask, int axis) {
  return cut_into_slices(mask.labels, mask, axis);
}

Mask mask_of(const LabelPlanes& slices, const VolumeGrid& grid, int axis) {
  const SliceSteps steps = slice_steps(grid, axis);
  if (steps.size != std::array<std::int64_t, 3>{slices.count, slices.height, slices.width})
    throw std::invalid_argument("the slices are not of the volume's shape");
  Mask mask{grid, std::vector<std::uint8_t>(grid.voxels())};
  each_place(steps,
             [&](std::size_t from, std::size_t to) { mask.labels[to] = slices.values[from]; });
  return mask;
}

std::int64_t slice_in_stack(std::int64_t slices, std::int64_t index, int place) {
  return std::clamp<std::int64_t>(index + place - kStackSlices / 2, 0, slices - 1);
}

ImagePlanes stack_around(const ImagePlanes& slices, std::int64_t index) {
  return take_stack(slices, index);
}

LabelPlanes stack_around(const LabelPlanes& slices, std::int64_t index) {
  return take_stack(slices, index);
}

ImagePlanes scaled_stack(ImagePlanes stack) {
  const auto [least, largest] = std::minmax_element(stack.values.begin(), stack.values.end());
  const float low = *least, high = *largest;
  return scaled_stack(std::move(stack), low, high);
}

ImagePlanes scaled_stack(ImagePlanes stack, float least, float largest) {
  constexpr double kNoDivisionByZero = 1e-8;
  const double low = least, range = largest - low + kNoDivisionByZero;
  for (float& value : stack.values) value = static_cast<float>((value - low) / range);
  return stack;
}

}  // namespace strata::data
