#include "models/staged_gradients.h"

#include <algorithm>

#include "models/device.h"
#include "models/stage_inputs.h"
#include "models/state_gradients.h"

namespace strata::models {
namespace {

using torch::Tensor;

/// Puts the statistics of a stage's BatchNorms back when it ends: they have moved before.
class KeptStatistics {
 public:
  KeptStatistics(const Model& model, std::int64_t stage, const std::set<std::string>& norms) {
    for (const std::string& norm : norms) {
      const Layer& layer = model.blueprint().layer(norm);
      if (layer.stage != stage) continue;
      for (const Parameter& buffer : layer.buffers)
        kept_.emplace_back(model.weight(buffer.name), model.weight(buffer.name).clone());
    }
  }
  ~KeptStatistics() {
    const torch::NoGradGuard no_grad;
    for (auto& [buffer, before] : kept_) buffer.copy_(before);
  }
  KeptStatistics(const KeptStatistics&) = delete;
  KeptStatistics& operator=(const KeptStatistics&) = delete;

 private:
  std::vector<std::pair<Tensor, Tensor>> kept_;
};

std::int64_t lowest_trained(const Model& model) {
  std::int64_t lowest = model.stage_count();
  for (const auto& [name, weight] : model.weights())
    if (weight.requires_grad()) lowest = std::min(lowest, model.stage_of(name));
  return lowest;
}

class StagedPass {
 public:
  StagedPass(const Model& model, const Batch& batch, const StagedOptions& options)
      : model_(model),
        batch_(batch),
        options_(options),
        lowest_(lowest_trained(model)),
        inputs_(model.stage_count(), model.spill()),
        draws_(static_cast<std::size_t>(model.stage_count())) {}

  StagedGradients run(const std::vector<Tensor>& weights,
                      const std::function<Tensor(const State&)>& loss) {
    const State last = forward();
    const Tensor after = draws();
    StagedGradients result{{}, std::vector<Tensor>(weights.size())};
    std::vector<Tensor> gradients = gradients_of_loss(last, loss, result.loss);
    for (std::int64_t stage = model_.stage_count() - 1; stage >= lowest_; --stage)
      gradients = backward(stage, weights, gradients, result.gradients);
    go_on_from(after);
    return result;
  }

 private:
  Tensor draws() const { return options_.dropout ? options_.dropout->get_state() : Tensor(); }
  void go_on_from(const Tensor& draws) const {
    if (options_.dropout) at::Generator(*options_.dropout).set_state(draws);
  }
  State run_stage(std::int64_t stage, const State& input) const {
    return model_.run_stage(stage, batch_, input, options_.dropout, options_.by_batch);
  }

  State forward() {
    const torch::NoGradGuard no_grad;
    const Autocast autocast(model_.device(), options_.precision);
    State state;
    for (std::int64_t stage = 0; stage < model_.stage_count(); ++stage) {
      if (stage >= lowest_) {
        inputs_.keep(stage, state);
        draws_[static_cast<std::size_t>(stage)] = draws();
      }
      state = run_stage(stage, state);
    }
    return state;
  }

  std::vector<Tensor> gradients_of_loss(const State& last,
                                        const std::function<Tensor(const State&)>& loss,
                                        Tensor& value) const {
    const State leaves = leaves_of(last);
    Tensor of_leaves;
    {
      const Autocast autocast(model_.device(), options_.precision);
      of_leaves = loss(leaves);
    }
    value = of_leaves.detach();
    return torch::autograd::grad({of_leaves}, values_of(leaves), {}, /*retain_graph=*/false,
                                 /*create_graph=*/false, /*allow_unused=*/true);
  }

  /// Adds the stage's share to `sums`. @returns the gradients of its input.
  std::vector<Tensor> backward(std::int64_t stage, const std::vector<Tensor>& weights,
                               const std::vector<Tensor>& gradients, std::vector<Tensor>& sums) {
    const KeptStatistics statistics(model_, stage, options_.by_batch);
    State input = inputs_.get(stage);
    inputs_.drop(stage);
    std::vector<Tensor> targets;
    if (stage > lowest_) {
      input = leaves_of(input);
      targets = values_of(input);
    }
    const std::size_t values = targets.size();
    targets.insert(targets.end(), weights.begin(), weights.end());
    go_on_from(draws_[static_cast<std::size_t>(stage)]);
    State output;
    {
      const Autocast autocast(model_.device(), options_.precision);
      output = run_stage(stage, input);
    }
    std::vector<Tensor> found = gradients_of(values_of(output), targets, gradients);
    model_.release_stage(stage);
    for (std::size_t w = 0; w < weights.size(); ++w) {
      const Tensor& share = found[values + w];
      if (share.defined()) sums[w] = sums[w].defined() ? sums[w] + share : share;
    }
    found.resize(values);
    return found;
  }

  const Model& model_;
  const Batch& batch_;
  const StagedOptions& options_;
  const std::int64_t lowest_;
  StageInputs inputs_;
  std::vector<Tensor> draws_;  ///< the generator's states, by stage
};

}  // namespace

StagedGradients staged_gradients(const Model& model, const Batch& batch,
                                 const std::vector<Tensor>& weights,
                                 const std::function<Tensor(const State&)>& loss,
                                 const StagedOptions& options) {
  return StagedPass(model, batch, options).run(weights, loss);
}

}  // namespace strata::models
