#include "models/cost.h"

#include <algorithm>
#include <map>

#include "models/batch.h"
#include "models/counting.h"
#include "models/units.h"

namespace strata::models {
namespace {

using torch::Tensor;

/// The inputs of all stages and what comes out at last, of a pass that trains nothing.
struct Trace {
  std::vector<State> states;
  std::vector<Counted> counted;
};

double bytes_of(const State& state) {
  double bytes = 0;
  for (const auto& [name, value] : state.values)
    bytes += static_cast<double>(value.numel()) * static_cast<double>(value.element_size());
  return bytes;
}

Trace trace(const Blueprint& blueprint, const Batch& sample) {
  const std::set<std::string> none;
  CountingPass pass(blueprint, none);
  Trace trace;
  trace.states.emplace_back();
  const auto stages = static_cast<std::int64_t>(blueprint.architecture().stages().size());
  for (std::int64_t stage = 0; stage < stages; ++stage) {
    trace.states.push_back(blueprint.architecture().run(stage, sample, trace.states.back(), pass));
    trace.counted.push_back(pass.take());
  }
  return trace;
}

/// The largest sample of a batch, alone.
Batch largest_sample(const Batch& batch) {
  std::int64_t row = 0;
  if (batch.grids.defined()) row = batch.grids.prod(1).argmax().item<std::int64_t>();
  Batch sample = rows_of(batch, row, 1);
  // Only shapes count, and the counting pass is on the CPU.
  sample.pixels = torch::zeros(sample.pixels.sizes());
  for (Tensor* text : {&sample.input_ids, &sample.attention_mask, &sample.decoder_ids})
    if (text->defined()) *text = text->to(torch::kCPU).clone();  // a view would keep the batch
  return sample;
}

}  // namespace

double TrainingCost::peak_bytes(std::int64_t batch) const {
  return 4.0 * static_cast<double>(all_parameters) + 12.0 * static_cast<double>(parameters) +
         static_cast<double>(batch) * (activation_bytes + working_bytes);
}

TrainingCost training_cost(const Blueprint& blueprint, const Batch& batch,
                           const std::set<std::string>& trained,
                           const std::set<std::string>& by_batch) {
  const torch::AutoGradMode recording(true);
  TrainingCost cost;
  for (const Parameter& parameter : blueprint.parameters()) {
    cost.all_parameters += parameter.numel();
    if (trained.count(parameter.name)) cost.parameters += parameter.numel();
  }
  const Batch sample = largest_sample(batch);
  CountingPass pass(blueprint, trained, by_batch);
  State state;
  const auto stages = static_cast<std::int64_t>(blueprint.architecture().stages().size());
  for (std::int64_t stage = 0; stage < stages; ++stage) {
    State output = blueprint.architecture().run(stage, sample, state, pass);
    const Counted counted = pass.take();
    cost.forward_flops += 2 * counted.forward_products();
    cost.backward_flops += 2 * counted.backward_products;
    cost.activation_bytes += counted.kept_bytes;
    cost.working_bytes = std::max(cost.working_bytes,
                                  bytes_of(state) + bytes_of(output) + counted.largest_operation);
    state = std::move(output);
  }
  return cost;
}

TrainingCost training_cost(const Blueprint& blueprint, std::int64_t text_tokens,
                           const std::set<std::string>& trained,
                           const std::set<std::string>& by_batch) {
  return training_cost(blueprint, blueprint.example(text_tokens), trained, by_batch);
}

std::int64_t forward_rows(const Blueprint& blueprint, std::int64_t text_tokens, double bytes) {
  const double of_one = training_cost(blueprint, text_tokens, {}).working_bytes;
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(bytes / of_one));
}

double block_flops(const Blueprint& blueprint) {
  const Trace found = trace(blueprint, blueprint.example(blueprint.architecture().text_tokens()));
  return 2 * found.counted.at(1).forward_products();
}

void count_costs(const Blueprint& blueprint, std::int64_t text_tokens, bool whole,
                 std::vector<Unit>& units) {
  const torch::AutoGradMode recording(true);
  const Batch sample = largest_sample(blueprint.example(text_tokens));
  const Trace found = trace(blueprint, sample);
  for (Unit& unit : units) {
    const std::set<std::string> trained(unit.parameters.begin(), unit.parameters.end());
    const std::set<std::string> by_batch = moving_norms(blueprint, {unit});
    std::set<std::int64_t> stages;
    double products = 0;
    for (const std::string& name : unit.parameters) {
      const Layer& layer = blueprint.layer_of(name);
      stages.insert(layer.stage);
      if (layer.weight() && layer.weight()->name == name) {
        const auto& of_stage = found.counted[static_cast<std::size_t>(layer.stage)].products;
        const auto at = of_stage.find(layer.name);
        if (at != of_stage.end()) products += at->second;
      }
    }
    unit.activation_bytes = 0;
    for (const std::int64_t stage : stages) {
      const auto s = static_cast<std::size_t>(stage);
      if (whole) products += found.counted[s].free_products;
      CountingPass pass(blueprint, trained, by_batch);
      blueprint.architecture().run(stage, sample, found.states[s], pass);
      unit.activation_bytes += pass.take().kept_bytes;
    }
    unit.forward_flops = 2 * products;
  }
}

}  // namespace strata::models
