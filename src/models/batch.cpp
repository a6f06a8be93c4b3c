#include "models/batch.h"

namespace strata::models {
namespace {

/// The part of a batch's rows of the decoder that belongs to samples.
struct Range {
  std::int64_t begin, count;
};
Range decoder_range(const torch::Tensor& sample_of_row, std::int64_t begin, std::int64_t count) {
  const std::int64_t before = sample_of_row.lt(begin).sum().item<std::int64_t>();
  return {before, sample_of_row.lt(begin + count).sum().item<std::int64_t>() - before};
}

}  // namespace

Batch rows_of(const Batch& batch, std::int64_t begin, std::int64_t count) {
  if (begin == 0 && count == batch.size()) return batch;
  const Range samples{begin, count};
  const Range rows =
      batch.decoder_rows.defined() ? decoder_range(batch.decoder_rows, begin, count) : samples;
  const auto cut = [](const torch::Tensor& tensor, const Range& range) {
    return tensor.defined() ? tensor.narrow(0, range.begin, range.count) : tensor;
  };
  Batch part{cut(batch.input_ids, samples), cut(batch.attention_mask, samples),
             cut(batch.pixels, samples),    cut(batch.labels, samples),
             cut(batch.grids, samples),     cut(batch.answers, rows)};
  part.continuations = cut(batch.continuations, samples);
  const std::int64_t images = batch.images() / batch.size();
  part.points = cut(batch.points, {begin * images, count * images});
  part.point_labels = cut(batch.point_labels, {begin * images, count * images});
  part.decoder_ids = cut(batch.decoder_ids, rows);
  if (batch.decoder_rows.defined()) part.decoder_rows = cut(batch.decoder_rows, rows) - begin;
  if (batch.outputs.defined()) {
    const torch::Tensor row = batch.outputs.select(1, 0);
    const torch::Tensor inside = (row >= rows.begin).logical_and(row < rows.begin + rows.count);
    part.outputs = batch.outputs.index({inside}).clone();
    part.outputs.select(1, 0).sub_(rows.begin);
  }
  return part;
}

}  // namespace strata::models
