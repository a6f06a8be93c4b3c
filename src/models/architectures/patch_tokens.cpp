#include "models/architectures/patch_tokens.h"

#include <algorithm>
#include <vector>

namespace strata::models {
namespace {

using torch::Tensor;

/// Where a grid's line lies on the table's: between the lines `low` and `low + 1`, `share` of the
/// way, as torch's bilinear interpolation with align_corners has it.
struct Place {
  std::int64_t low;
  float share;
};
Place place_of(std::int64_t line, std::int64_t lines, std::int64_t table) {
  const float step =
      lines > 1 ? static_cast<float>(table - 1) / static_cast<float>(lines - 1) : 0.0F;
  const float at = step * static_cast<float>(line);
  const auto low = std::min(static_cast<std::int64_t>(at), table - 1);
  return {low, at - static_cast<float>(low)};
}

}  // namespace

Tensor patch_rows(const Tensor& pixels, std::int64_t p) {
  const std::int64_t n = pixels.size(0), channels = pixels.size(1);
  const std::int64_t rows = pixels.size(2) / p, columns = pixels.size(3) / p;
  return pixels.view({n, channels, rows, p, columns, p})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({n * rows * columns, channels * p * p});
}

ImageTokens image_tokens(const Batch& batch, std::int64_t patch, std::int64_t table) {
  const Tensor grids = batch.grids.contiguous();
  const std::int64_t n = batch.size(), columns = batch.pixels.size(3) / patch;
  const std::int64_t all = batch.pixels.size(2) / patch * columns;
  const auto* grid = grids.data_ptr<std::int64_t>();
  ImageTokens tokens;
  tokens.longest = grids.prod(1).max().item<std::int64_t>();
  std::vector<std::int64_t> patches, corners[4];
  std::vector<float> right, below;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t height = grid[2 * i], width = grid[2 * i + 1];
    for (std::int64_t t = -1; t < tokens.longest; ++t) {
      if (t >= 0) {
        const bool own = t < height * width;
        patches.push_back(i * all + (own ? t / width * columns + t % width : 0));
      }
      // The class token has the table's first row.
      if (t < 0 || t >= height * width) {
        for (auto& corner : corners) corner.push_back(0);
        right.push_back(0);
        below.push_back(0);
        continue;
      }
      const Place y = place_of(t / width, height, table), x = place_of(t % width, width, table);
      for (std::int64_t c = 0; c < 4; ++c) {
        const std::int64_t row = std::min(y.low + c / 2, table - 1);
        corners[c].push_back(1 + row * table + std::min(x.low + c % 2, table - 1));
      }
      right.push_back(x.share);
      below.push_back(y.share);
    }
  }
  const auto device = batch.pixels.device();
  tokens.patches = torch::tensor(patches, torch::kInt64).to(device);
  for (std::size_t c = 0; c < 4; ++c) {
    tokens.corners[c] = torch::tensor(corners[c], torch::kInt64).view({n, -1}).to(device);
  }
  tokens.right = torch::tensor(right, torch::kFloat).view({n, -1, 1}).to(device);
  tokens.below = torch::tensor(below, torch::kFloat).view({n, -1, 1}).to(device);
  return tokens;
}

Tensor interpolated(const Tensor& table, const ImageTokens& tokens) {
  const Tensor right = tokens.right.to(table.scalar_type());
  const Tensor below = tokens.below.to(table.scalar_type());
  const auto at = [&](std::size_t c) { return torch::embedding(table, tokens.corners[c]); };
  return (1 - below) * ((1 - right) * at(0) + right * at(1)) +
         below * ((1 - right) * at(2) + right * at(3));
}

Tensor mixture(const Tensor& table, const ImageTokens& tokens) {
  const Tensor right = tokens.right.to(table.scalar_type());
  const Tensor below = tokens.below.to(table.scalar_type());
  Tensor matrix = torch::zeros({right.size(0), right.size(1), table.size(0)}, table.options());
  const Tensor shares[4] = {(1 - below) * (1 - right), (1 - below) * right, below * (1 - right),
                            below * right};
  for (std::size_t c = 0; c < 4; ++c) {
    matrix.scatter_add_(2, tokens.corners[c].unsqueeze(2), shares[c]);
  }
  return matrix;
}

}  // namespace strata::models
