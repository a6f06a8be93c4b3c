#include "tasks/rowwise_task.h"

#include <algorithm>
#include <numeric>

#include "core/interrupt.h"
#include "models/cost.h"
#include "models/model.h"
#include "models/torch.h"
#include "tasks/dataset.h"

namespace strata::tasks {
namespace {

/// Of an evaluation, whose batches of a large model would else take more than those of its
/// training.
constexpr std::int64_t kLargestBatch = 128;
constexpr double kBatchBytes = 256.0 * 1024 * 1024;

}  // namespace

Tally RowwiseTask::evaluate(const models::Model& model, const Dataset& data,
                            std::vector<bool>* right, std::vector<Prediction>* predictions) const {
  const torch::NoGradGuard no_grad;
  Tally tally;
  Judgement judgement{data, model.architecture().labels(), tally, right, predictions};
  std::vector<torch::Tensor> all_losses;
  const std::int64_t batch_size = std::min(
      kLargestBatch, models::forward_rows(model.blueprint(), data.max_tokens(), kBatchBytes));
  for (std::int64_t begin = 0; begin < data.size(); begin += batch_size) {
    stop_if_interrupted();
    std::vector<std::int64_t> rows(
        static_cast<std::size_t>(std::min(batch_size, data.size() - begin)));
    std::iota(rows.begin(), rows.end(), begin);
    const models::Batch batch = data.batch(rows, model.device());
    const models::State output = model.run(batch);
    all_losses.push_back(losses(output, batch));
    judge(model, output, batch, rows, judgement);
  }
  if (all_losses.empty()) return tally;
  Sum& loss = tally[kLossSum];
  loss.sum = torch::cat(all_losses).to(torch::kCPU, torch::kFloat64).sum().item<double>();
  for (std::int64_t row = 0; row < data.size(); ++row) loss.weight += data.has_target(row);
  return tally;
}

}  // namespace strata::tasks
