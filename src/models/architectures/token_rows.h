#pragma once
/// \file
/// Rows of a text's tokens: an image's among them, and those behind which a token is asked for.

#include <cstdint>

#include "models/batch.h"
#include "models/pass.h"

namespace strata::models {

/// In a prompt's ids where a model's words have no number for an image.
constexpr std::int64_t kNoWord = -1;

/// Where a prompt has its image.
struct ImagePlaces {
  std::int64_t token = kNoWord;  ///< stands there
  std::int64_t count = 0;        ///< rows of an image, or of a tile of one
};

/// `ids` with some word's in the places of images, which are looked up for nothing.
torch::Tensor word_ids(const torch::Tensor& ids, const ImagePlaces& places);

/// `words` (n, T, width) with the rows of the images, (n·count, width), in the places of their
/// tokens in `ids` (n, T). @throws InputError for a prompt that has not just as many. Of images in
/// up to k tiles, (n·k·count, width), each prompt has tokens for as many tiles, from the first on,
/// as its image has: a multiple of count.
torch::Tensor with_images(const torch::Tensor& words, const torch::Tensor& ids,
                          const torch::Tensor& images, const ImagePlaces& places, Pass& pass);

/// The same of models whose older programs have no such token: where no prompt has it, (n, count +
/// T, width), the images before the texts and their padding.
torch::Tensor joined(const torch::Tensor& words, const torch::Tensor& ids,
                     const torch::Tensor& images, const ImagePlaces& places, Pass& pass);

/// `mask` (n, S) with ones for so many tokens before.
torch::Tensor with_ones_before(const torch::Tensor& mask, std::int64_t tokens);

/// Of the rows (n·R, width), whose last `tokens` of each sample are its text's: those of
/// Batch::outputs, (m, width); without outputs all of the text's.
torch::Tensor asked_rows(const Batch& batch, const torch::Tensor& rows, std::int64_t tokens);

/// Of the same rows that of each text's last token that is no padding, (n, width): what a
/// classifier reads.
torch::Tensor last_rows(const Batch& batch, const torch::Tensor& rows);

}  // namespace strata::models
