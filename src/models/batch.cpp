#include "models/batch.h"

namespace strata::models {

Batch rows_of(const Batch& batch, std::int64_t begin, std::int64_t count) {
  if (begin == 0 && count == batch.size()) return batch;
  const auto cut = [&](const torch::Tensor& tensor) {
    return tensor.defined() ? tensor.narrow(0, begin, count) : tensor;
  };
  return {cut(batch.input_ids), cut(batch.attention_mask), cut(batch.pixels), cut(batch.labels),
          cut(batch.grids)};
}

}  // namespace strata::models
