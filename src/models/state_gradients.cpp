#include "models/state_gradients.h"

namespace strata::models {

using torch::Tensor;

std::vector<Tensor> values_of(const State& state) {
  std::vector<Tensor> values;
  for (const auto& [name, value] : state.values) values.push_back(value);
  return values;
}

State leaves_of(const State& state) {
  State leaves = state;
  for (auto& [name, value] : leaves.values) value = value.detach().requires_grad_(true);
  return leaves;
}

std::vector<Tensor> gradients_of(const std::vector<Tensor>& output,
                                 const std::vector<Tensor>& targets,
                                 const std::vector<Tensor>& gradients, bool retain_graph) {
  std::vector<Tensor> values, directions;
  for (std::size_t i = 0; i < output.size(); ++i) {
    if (!gradients[i].defined() || !output[i].requires_grad()) continue;
    values.push_back(output[i]);
    directions.push_back(gradients[i]);
  }
  if (values.empty()) return std::vector<Tensor>(targets.size());
  return torch::autograd::grad(values, targets, directions, retain_graph, /*create_graph=*/false,
                               /*allow_unused=*/true);
}

}  // namespace strata::models
