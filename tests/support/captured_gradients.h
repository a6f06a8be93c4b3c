#pragma once
// Whether captured operations give the gradients that autograd has.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "support/speaking.h"

namespace strata::test {

/// The gradients of parameters: contractions of what was captured with its δ, summed up.
inline std::map<std::string, torch::Tensor> contracted(const models::Model& model,
                                                       const std::vector<models::CapturedOp>& ops,
                                                       const std::vector<torch::Tensor>& deltas) {
  using Kind = models::CapturedOp::Kind;
  std::map<std::string, torch::Tensor> found;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    const models::CapturedOp& op = ops[i];
    CAPTURE(op.weight, op.bias);
    REQUIRE(deltas[i].defined());
    const auto add = [&](const std::string& weight, const torch::Tensor& gradient) {
      torch::Tensor& sum = found[weight];
      const torch::Tensor shaped = gradient.reshape(model.weight(weight).sizes());
      sum = sum.defined() ? sum + shaped : shaped;
    };
    const torch::Tensor delta = deltas[i].reshape({-1, deltas[i].size(-1)});
    if (!op.bias.empty()) add(op.bias, delta.sum(0));
    if (op.weight.empty()) continue;
    if (op.kind == Kind::kLinear) {
      add(op.weight, delta.t().mm(op.rows().reshape({delta.size(0), -1})));
    } else if (op.kind == Kind::kNorm) {
      add(op.weight, (delta * op.input.reshape(delta.sizes())).sum(0));
    } else if (op.kind == Kind::kEmbedding) {
      add(op.weight,
          torch::zeros_like(model.weight(op.weight)).index_add(0, op.input.reshape(-1), delta));
    } else {
      add(op.weight, deltas[i].sum(0));
    }
  }
  return found;
}

/// In double precision, for every parameter that may be in a unit.
inline void check_captured_gradients(models::Model& model, models::Batch batch,
                                     const torch::Tensor& targets) {
  in_double(model, batch);
  // Fresh pairs and adapters give their first factor no gradient.
  torch::manual_seed(5);
  for (auto& [weight, tensor] : model.weights())
    if (weight.find("lora_B") != std::string::npos) tensor.normal_(0, 0.1);
  std::set<std::string> all;
  for (const models::Layer& layer : model.blueprint().layers()) {
    for (const models::Parameter& parameter : layer.parameters)
      if (!layer.frozen) all.insert(parameter.name);
  }
  for (auto& [weight, tensor] : model.weights()) tensor.set_requires_grad(all.count(weight) > 0);
  loss_of(model, batch, targets).backward();

  std::vector<models::CapturedOp> ops;
  models::State state;
  for (std::int64_t stage = 0; stage < model.stage_count(); ++stage) {
    // Each stage on the one graph, so that the deltas of all are those of the loss.
    state = model.capture_stage(stage, batch, state, all, ops);
  }
  const torch::Tensor loss = torch::cross_entropy_loss(any_logits(state), targets);
  std::vector<torch::Tensor> outputs;
  for (const models::CapturedOp& op : ops) outputs.push_back(op.output);
  const auto deltas = torch::autograd::grad({loss}, outputs, {}, true, false, true);
  const auto found = contracted(model, ops, deltas);
  CHECK(found.size() == all.size());
  for (const std::string& weight : all) {
    CAPTURE(weight);
    REQUIRE(found.count(weight) == 1);
    CHECK(difference(found.at(weight), model.weight(weight).grad()) < 1e-9);
  }
}

}  // namespace strata::test
