#include "models/architectures/token_rows.h"

#include "strata/core/error.h"

namespace strata::models {

using torch::Tensor;

namespace {

/// Of rows (n·most, width) the first so many of each sample.
Tensor first_rows(const Tensor& rows, const Tensor& counts) {
  const std::int64_t most = rows.size(0) / counts.size(0);
  const Tensor place = torch::arange(most, counts.options());
  const Tensor taken = place.unsqueeze(0).lt(counts.unsqueeze(1));
  return rows.index_select(0, taken.reshape(-1).nonzero().squeeze(1));
}

}  // namespace

Tensor word_ids(const Tensor& ids, const ImagePlaces& places) {
  return places.token < 0 ? ids.masked_fill(ids == places.token, 0) : ids;
}

Tensor with_images(const Tensor& words, const Tensor& ids, const Tensor& images,
                   const ImagePlaces& places, Pass& pass) {
  const Tensor there = ids == places.token;
  const Tensor counts = there.sum(1);
  const std::int64_t most = images.size(0) / words.size(0), tiles = most / places.count;
  const Tensor wrong = tiles == 1 ? counts.ne(places.count)
                                  : counts.remainder(places.count)
                                        .ne(0)
                                        .logical_or(counts.lt(places.count))
                                        .logical_or(counts.gt(most));
  if (wrong.any().item<bool>()) {
    const std::int64_t found = counts.masked_select(wrong)[0].item<std::int64_t>();
    throw InputError(
        "a prompt has " + std::to_string(found) + " image tokens (id " +
        std::to_string(places.token) + "), but its image takes " + std::to_string(places.count) +
        (tiles == 1 ? "" : " for each of at most " + std::to_string(tiles) + " tiles"));
  }
  const Tensor taken = tiles == 1 ? images : first_rows(images, counts);
  return pass
      .placed(words.reshape({-1, words.size(2)}), there.reshape(-1).nonzero().squeeze(1),
              taken.to(words.scalar_type()))
      .view(words.sizes());
}

Tensor joined(const Tensor& words, const Tensor& ids, const Tensor& images,
              const ImagePlaces& places, Pass& pass) {
  if (ids.eq(places.token).any().item<bool>()) return with_images(words, ids, images, places, pass);
  return torch::cat({images.view({words.size(0), places.count, words.size(2)}), words}, 1);
}

Tensor with_ones_before(const Tensor& mask, std::int64_t tokens) {
  if (tokens == 0) return mask;
  return torch::cat({torch::ones({mask.size(0), tokens}, mask.options()), mask}, 1);
}

Tensor asked_rows(const Batch& batch, const Tensor& rows, std::int64_t tokens) {
  const std::int64_t texts = batch.decoder_ids.defined() ? batch.decoder_ids.size(0) : batch.size();
  const std::int64_t all = rows.size(0) / texts, before = all - tokens;
  if (!batch.outputs.defined()) {
    if (before == 0) return rows;
    const std::int64_t width = rows.size(1);
    return rows.view({-1, all, width}).narrow(1, before, tokens).reshape({-1, width});
  }
  const Tensor at = batch.outputs.select(1, 0) * all + before + batch.outputs.select(1, 1);
  return rows.index_select(0, at.to(rows.device()));
}

Tensor last_rows(const Batch& batch, const Tensor& rows) {
  const std::int64_t tokens = batch.input_ids.size(1), all = rows.size(0) / batch.size();
  const Tensor place = torch::arange(tokens, batch.input_ids.options());
  const Tensor last = place.mul(batch.attention_mask > 0).amax(1);
  const Tensor first = torch::arange(batch.size(), batch.input_ids.options()) * all;
  return rows.index_select(0, (first + all - tokens + last).to(rows.device()));
}

}  // namespace strata::models
