#include "fedrunner/algorithms/algorithms.h"

#include <algorithm>
#include <stdexcept>

namespace strata::fedrunner {
namespace {

/// Of the units with these names what `held` says, without `frozen`.
template <typename Held>
std::vector<std::string> weights_of(const std::vector<Unit>& units,
                                    const std::vector<std::string>& names,
                                    const std::vector<std::string>& frozen, Held held) {
  std::vector<std::string> weights;
  for (const Unit& unit : units) {
    if (std::find(names.begin(), names.end(), unit.name) == names.end()) continue;
    for (const auto& weight : held(unit)) {
      if (std::find(frozen.begin(), frozen.end(), weight) == frozen.end())
        weights.push_back(weight);
    }
  }
  return weights;
}

}  // namespace

const Algorithm& algorithm_of(FederatedAlgorithm value) {
  static const std::vector<Algorithm> algorithms = {fedavg(), scaffold(), feddyn(), ditto(),
                                                    feddat()};
  const auto found =
      std::find_if(algorithms.begin(), algorithms.end(),
                   [&](const Algorithm& algorithm) { return algorithm.value == value; });
  if (found == algorithms.end())
    throw std::logic_error("a federated algorithm that is not in the table");
  return *found;
}

std::vector<std::string> sent_parameters(const std::vector<Unit>& units,
                                         const std::vector<std::string>& names,
                                         const std::vector<std::string>& frozen) {
  return weights_of(units, names, frozen, [](const Unit& unit) {
    std::vector<std::string> sent;
    for (const auto& name : unit.parameters)
      if (!is_local(unit, name)) sent.push_back(name);
    return sent;
  });
}

std::vector<std::string> remembered_weights(const TrainWork& work, const std::vector<Unit>& units,
                                            const std::vector<std::string>& names) {
  const Algorithm& algorithm = algorithm_of(work.algorithm.algorithm);
  if (algorithm.personal) return weights_of(units, names, work.frozen, state_of);
  if (algorithm.partner) return work.companions;
  if (algorithm.remember) return sent_parameters(units, names, work.frozen);
  return {};
}

torch::Tensor value_or_zero(const ModelState& state, const std::string& name,
                            const torch::Tensor& like) {
  const auto found = state.find(name);
  if (found == state.end()) return torch::zeros_like(like, torch::kFloat64);
  return found->second.to(like.device(), torch::kFloat64);
}

}  // namespace strata::fedrunner
