#include "models/resized_positions.h"

namespace strata::models {

torch::Tensor resized_positions(const torch::Tensor& positions, const Shape& shape) {
  if (positions.sizes() == torch::IntArrayRef(shape) ||
      positions.dim() != static_cast<std::int64_t>(shape.size()) ||
      positions.size(-1) != shape.back())
    return positions;
  const auto resized = [](const torch::Tensor& maps, std::int64_t height, std::int64_t width) {
    return torch::upsample_bilinear2d(maps.contiguous(), {height, width}, /*align_corners=*/false);
  };
  if (shape.size() == 4)
    return resized(positions.permute({0, 3, 1, 2}), shape[1], shape[2]).permute({0, 2, 3, 1});
  if (shape.size() == 2)
    return resized(positions.unsqueeze(0).unsqueeze(0), shape[0], shape[1]).view(shape);
  return positions;
}

}  // namespace strata::models
