#include "tasks/task.h"

#include "models/torch.h"
#include "tasks/loss_shape.h"

namespace strata::tasks {

Split split_of(const data::Manifest& manifest, const std::string& split) {
  Split found{manifest, {}};
  for (std::size_t i = 0; i < manifest.examples.size(); ++i)
    if (manifest.examples[i].split == split) found.examples.push_back(static_cast<int>(i));
  return found;
}

torch::Tensor Task::loss(const models::State& output, const models::Batch& batch) const {
  return loss(output, batch, LossShape());
}

torch::Tensor Task::mean_loss(const models::State& output, const models::Batch& batch) const {
  return loss(output, batch);
}

std::vector<std::pair<std::string, double>> Task::values(const Tally& tally) const {
  std::vector<std::pair<std::string, double>> values = {{kLossSum, tally.of(kLossSum).mean()}};
  for (const std::string& metric : metrics()) values.emplace_back(metric, value(metric, tally));
  return values;
}

}  // namespace strata::tasks
