#pragma once
/// \file
/// A task whose samples are judged one by one, in batches: all but segmentation. Internal.

#include <string>
#include <vector>

#include "tasks/task.h"

namespace strata::tasks {

class RowwiseTask : public Task {
 public:
  Tally evaluate(const models::Model& model, const Dataset& data,
                 std::vector<bool>* right = nullptr,
                 std::vector<Prediction>* predictions = nullptr) const override;

 protected:
  /// Where the judgement of outputs goes.
  struct Judgement {
    const Dataset& data;
    const std::vector<std::string>& labels;  ///< the model's
    Tally& tally;
    std::vector<bool>* right;              ///< may be nullptr
    std::vector<Prediction>* predictions;  ///< likewise
  };
  /// Adds what the model makes of these rows of the data, which are `batch`; `output` is what its
  /// last stage left of them.
  virtual void judge(const models::Model& model, const models::State& output,
                     const models::Batch& batch, const std::vector<std::int64_t>& rows,
                     Judgement& judgement) const = 0;
};

}  // namespace strata::tasks
