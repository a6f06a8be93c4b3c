#pragma once
/// \file
/// Images as rows of patches, also of several sizes in a batch, whose positions are interpolated.

#include "models/batch.h"

namespace strata::models {

/// Non-overlapping patches as rows (n·patches, channels·p·p), in the order of a convolution's
/// weight.
torch::Tensor patch_rows(const torch::Tensor& pixels, std::int64_t p);

/// The image tokens of a batch of several sizes: the class token, the patches of the image, row by
/// row, and repetitions of the first one up to the longest image's number, which the mask hides.
struct ImageTokens {
  torch::Tensor
      patches;  ///< int64 (n · longest): of each token but the class tokens, in patch_rows
  /// int64 (n, 1 + longest) each: the four rows of the table of positions around a token, above
  /// left to below right; float (n, 1 + longest, 1): how far it lies to the right and below.
  torch::Tensor corners[4], right, below;
  std::int64_t longest = 0;
};
/// `table` are the rows, and columns, of the grid for which there are positions.
ImageTokens image_tokens(const Batch& batch, std::int64_t patch, std::int64_t table);

/// The positions (n, 1 + longest, hidden), interpolated in the table (rows, hidden) as torch's
/// bilinear interpolation with align_corners has it.
torch::Tensor interpolated(const torch::Tensor& table, const ImageTokens& tokens);
/// The same as a matrix (n, 1 + longest, rows) that the table is multiplied by.
torch::Tensor mixture(const torch::Tensor& table, const ImageTokens& tokens);

}  // namespace strata::models
