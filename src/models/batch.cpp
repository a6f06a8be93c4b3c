#include "models/batch.h"

namespace strata::models {

Batch rows_of(const Batch& batch, std::int64_t begin, std::int64_t count) {
  if (begin == 0 && count == batch.size()) return batch;
  const auto cut = [&](const torch::Tensor& tensor) {
    return tensor.defined() ? tensor.narrow(0, begin, count) : tensor;
  };
  Batch part{cut(batch.input_ids),  cut(batch.attention_mask), cut(batch.pixels),
             cut(batch.labels),     cut(batch.grids),          cut(batch.answers),
             cut(batch.decoder_ids)};
  if (batch.outputs.defined()) {
    const torch::Tensor sample = batch.outputs.select(1, 0);
    const torch::Tensor inside = (sample >= begin).logical_and(sample < begin + count);
    part.outputs = batch.outputs.index({inside}).clone();
    part.outputs.select(1, 0).sub_(begin);
  }
  return part;
}

}  // namespace strata::models
