#include "ntk/lntk.h"

#include <map>

#include "ntk/gram.h"

namespace strata {
namespace {

using torch::Tensor;

/// The weights of a unit in order of first use, each with the operations that use it.
std::vector<std::vector<Gram::Use>> uses_by_weight(const CapturedUnit& unit,
                                                   const std::vector<std::vector<Tensor>>& deltas) {
  std::vector<std::vector<Gram::Use>> uses;
  std::map<std::string, std::size_t> place;
  const auto add = [&](const std::string& weight, const Gram::Use& use) {
    const auto [at, added] = place.emplace(weight, uses.size());
    if (added) uses.emplace_back();
    uses[at->second].push_back(use);
  };
  for (std::size_t i = 0; i < unit.ops.size(); ++i) {
    add(unit.ops[i].weight, {&unit.ops[i], &deltas[i], false});
    if (!unit.ops[i].bias.empty()) add(unit.ops[i].bias, {&unit.ops[i], &deltas[i], true});
  }
  return uses;
}

}  // namespace

void visit_unit_grams(
    const Transformer& model, const Batch& batch, const std::vector<std::string>& units,
    NtkOutputs outputs,
    const std::function<void(const std::string& unit, const Tensor& gram)>& visit) {
  std::vector<CapturedUnit> captured;
  const Tensor logits = model.forward_captured(batch, units, captured);
  const std::int64_t samples = batch.size();

  // The sweep starts at the outputs, and goes on from each unit's input: `from` with its K
  // gradients.
  Tensor from;
  std::vector<Tensor> gradients;
  if (outputs == NtkOutputs::kLogits) {
    from = logits;
    for (std::int64_t k = 0; k < logits.size(1); ++k) {
      Tensor gradient = torch::zeros_like(logits);
      gradient.select(1, k).fill_(1);
      gradients.push_back(gradient);
    }
  } else {
    from = torch::cross_entropy_loss(logits, batch.labels, {}, at::Reduction::Sum);
    gradients.push_back(torch::ones_like(from));
  }

  for (auto unit = captured.rbegin(); unit != captured.rend(); ++unit) {
    std::vector<Tensor> targets;
    for (const CapturedOp& op : unit->ops) targets.push_back(op.output);
    if (unit->input.defined()) targets.push_back(unit->input);

    std::vector<std::vector<Tensor>> deltas(unit->ops.size());
    std::vector<Tensor> below;
    for (std::size_t k = 0; k < gradients.size(); ++k) {
      const bool last = k + 1 == gradients.size();
      const auto found = torch::autograd::grad({from}, targets, {gradients[k]},
                                               /*retain_graph=*/!last || unit->input.defined());
      for (std::size_t i = 0; i < unit->ops.size(); ++i) deltas[i].push_back(found[i]);
      if (unit->input.defined()) below.push_back(found.back());
    }

    const torch::NoGradGuard no_grad;
    Gram gram(samples, static_cast<std::int64_t>(gradients.size()));
    for (const auto& uses : uses_by_weight(*unit, deltas)) gram.add(uses);
    visit(unit->unit, gram.matrix());
    from = unit->input;
    gradients = std::move(below);
  }
}

}  // namespace strata
