#include "ntk/sweep.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "core/interrupt.h"
#include "models/state_gradients.h"
#include "strata/core/error.h"

namespace strata::ntk {
namespace {

using models::gradients_of;
using torch::Tensor;
using Clock = std::chrono::steady_clock;

const std::string& stage_name(const models::Model& model, std::int64_t stage) {
  return model.architecture().stages()[static_cast<std::size_t>(stage)].name;
}

double bytes_of(const std::vector<Tensor>& tensors) {
  double bytes = 0;
  for (const Tensor& tensor : tensors)
    bytes += tensor.defined() ? static_cast<double>(tensor.nbytes()) : 0;
  return bytes;
}

/// On a GPU calls return before they are done.
Clock::time_point now_on(torch::Device device) {
  if (device.is_cuda()) torch::cuda::synchronize();
  return Clock::now();
}

double seconds_since(Clock::time_point start, torch::Device device) {
  return std::chrono::duration<double>(now_on(device) - start).count();
}

/// Multiply-adds a second of a product of the kind that dominates, on this machine.
double product_rate(const torch::TensorOptions& options, torch::Device device) {
  const Tensor left = torch::ones({512, 4096}, options);
  torch::mm(left, left.t());
  const Clock::time_point start = now_on(device);
  torch::mm(left, left.t()).sum().item<float>();
  return 512.0 * 512 * 4096 / seconds_since(start, device);
}

}  // namespace

void check_finite(const models::Model& model, std::int64_t stage, const models::State& output) {
  for (const auto& [name, value] : output.values) {
    if (!torch::isfinite(value).all().item<bool>()) {
      throw WorkError("the activations of \"" + stage_name(model, stage) +
                      "\" are not finite: the model's weights or the samples are not sound");
    }
  }
}

Sweep::Sweep(const models::Model& model, const tasks::Task& task, const models::Batch& batch,
             const std::vector<Unit>& units, const LntkOptions& options)
    : model_(model),
      task_(task),
      batch_(batch),
      units_(units),
      options_(options),
      targets_(targets_of(model, units)),
      samples_(batch.size()),
      inputs_(model.stage_count(), model.spill()) {
  for (const Unit& unit : units) {
    UnitWork work;
    work.unit = &unit;
    for (const std::string& weight : unit.parameters) {
      work.weights.insert(weight);
      work.stages.insert(targets_.stage.at(weight));
    }
    works_.push_back(std::move(work));
  }
}

Sweep::Targets Sweep::targets_of(const models::Model& model, const std::vector<Unit>& units) {
  Targets targets;
  targets.lowest = model.stage_count();
  for (const Unit& unit : units) {
    if (unit.parameters.empty()) {
      throw InputError("unit \"" + unit.name + "\" has no trainable parameter");
    }
    for (const std::string& weight : unit.parameters) {
      const std::int64_t stage = model.stage_of(weight);
      targets.weights.insert(weight);
      targets.stage[weight] = stage;
      targets.lowest = std::min(targets.lowest, stage);
    }
  }
  return targets;
}

Sweep::Captured Sweep::distinct_outputs(std::vector<models::CapturedOp> ops) {
  Captured captured;
  std::map<const void*, std::size_t> known;
  for (const models::CapturedOp& op : ops) {
    const auto [at, added] =
        known.emplace(op.output.unsafeGetTensorImpl(), captured.outputs.size());
    if (added) captured.outputs.push_back(op.output);
    captured.output_of.push_back(at->second);
  }
  captured.ops = std::move(ops);
  return captured;
}

std::vector<OpShape> Sweep::shapes_of(const Captured& captured, std::int64_t samples) const {
  using Kind = models::CapturedOp::Kind;
  std::vector<OpShape> shapes;
  for (std::size_t i = 0; i < captured.ops.size(); ++i) {
    const models::CapturedOp& op = captured.ops[i];
    OpShape shape{.weight = op.weight, .bias = op.bias, .output = captured.output_of[i]};
    shape.out = static_cast<double>(op.output.size(-1));
    shape.tokens =
        static_cast<double>(op.output.numel()) / shape.out / static_cast<double>(samples_);
    if ((op.kind == Kind::kLinear || op.kind == Kind::kMixture) && !op.weight.empty()) {
      shape.in = static_cast<double>(op.row_width());
      shape.factored = true;
      shape.patches = op.window.has_value();
    } else if (op.kind == Kind::kEmbedding) {
      // The rows of the table that the samples use, at most one a token.
      shape.in = std::min(shape.tokens * static_cast<double>(samples),
                          static_cast<double>(model_.weight(op.weight).size(0)));
      shape.factored = true;
    } else if (op.kind == Kind::kAdded) {
      shape.row_tokens = shape.tokens;
    }
    shapes.push_back(shape);
  }
  return shapes;
}

void Sweep::run(const Finished& finished) {
  Gradients gradients = output_gradients(forward());
  const auto outputs = static_cast<std::int64_t>(gradients.size());
  for (std::int64_t number = model_.stage_count() - 1; number >= targets_.lowest; --number) {
    stop_if_interrupted();
    if (options_.progress) {
      options_.progress(model_.stage_count() - 1 - number, model_.stage_count() - targets_.lowest,
                        stage_name(model_, number));
    }
    Stage stage = capture(number);
    stage.plan = plan(stage, gradients, samples_, outputs);
    gradients = differentiate(stage, gradients);
    model_.release_stage(number);
    finish(stage, samples_ * outputs, finished);
    inputs_.drop(number);
  }
}

ScoreEstimate Sweep::estimate(std::int64_t samples) {
  const torch::Device device = model_.device();
  // On a GPU the first pass sets up what later ones find there.
  if (device.is_cuda()) forward();
  Clock::time_point start = now_on(device);
  const models::State last = forward();
  double seconds = seconds_since(start, device), kernel_multiply_adds = 0;
  Gradients gradients = output_gradients(last);
  const auto outputs = static_cast<std::int64_t>(gradients.size());
  gradients.resize(1);

  ScoreEstimate estimate;
  for (std::int64_t number = model_.stage_count() - 1; number >= targets_.lowest; --number) {
    start = now_on(device);
    Stage stage = capture(number);
    seconds += seconds_since(start, device);
    const StagePlan work = plan(stage, gradients, samples, outputs);
    estimate.least_bytes = std::max(estimate.least_bytes, whole_bytes(work.least_bytes));
    estimate.bytes = std::max(estimate.bytes, whole_bytes(work.bytes));
    kernel_multiply_adds += work.kernel_multiply_adds;

    std::vector<Tensor> targets = stage.captured.outputs;
    targets.insert(targets.end(), stage.input.begin(), stage.input.end());
    Gradients below;
    if (!targets.empty()) {
      start = now_on(device);
      const auto found = gradients_of(stage.output, targets, gradients.front());
      below.emplace_back(found.end() - static_cast<std::ptrdiff_t>(stage.input.size()),
                         found.end());
      const int passes =
          static_cast<int>(outputs) * std::max(1, static_cast<int>(work.groups.size()));
      seconds += passes * seconds_since(start, device);
      estimate.backward_passes += passes;
    }
    gradients = std::move(below);
    inputs_.drop(number);
  }
  const double scale = static_cast<double>(samples) / static_cast<double>(samples_);
  const double rate = product_rate(values_of(last).front().options(), device);
  estimate.seconds = seconds * scale + kernel_multiply_adds / rate;
  return estimate;
}

models::State Sweep::forward() {
  const torch::NoGradGuard no_grad;
  models::State state;
  for (std::int64_t stage = 0; stage < model_.stage_count(); ++stage) {
    if (stage >= targets_.lowest) inputs_.keep(stage, state);
    state = model_.run_stage(stage, batch_, state);
    check_finite(model_, stage, state);
  }
  return state;
}

Gradients Sweep::output_gradients(const models::State& output) const {
  const torch::AutoGradMode grad(true);
  const models::State state = leaves_of(output);
  const std::vector<Tensor> leaves = values_of(state);
  if (options_.outputs == NtkOutputs::kLoss)
    return {torch::autograd::grad({task_.losses(state, batch_).sum()}, leaves)};
  const Tensor outputs = task_.outputs(state, batch_);
  std::vector<std::int64_t> chosen = options_.output_subset;
  if (chosen.empty()) {
    chosen.resize(outputs.size(1));
    std::iota(chosen.begin(), chosen.end(), 0);
  }
  Gradients gradients;
  for (const std::int64_t k : chosen) {
    if (k < 0 || k >= outputs.size(1)) {
      throw InputError("output " + std::to_string(k) + ": the model's outputs are 0 to " +
                       std::to_string(outputs.size(1) - 1));
    }
    gradients.push_back(torch::autograd::grad({outputs.select(1, k).sum()}, leaves, {},
                                              /*retain_graph=*/true));
  }
  return gradients;
}

Sweep::Stage Sweep::capture(std::int64_t number) const {
  Stage stage{number, {}, {}, {}, {}};
  models::State input = inputs_.get(number);
  if (number > targets_.lowest) {
    input = leaves_of(input);
    stage.input = values_of(input);
  }
  std::vector<models::CapturedOp> ops;
  stage.output = values_of(model_.capture_stage(number, batch_, input, targets_.weights, ops));
  stage.captured = distinct_outputs(std::move(ops));
  return stage;
}

StagePlan Sweep::plan(const Stage& stage, const Gradients& gradients, std::int64_t samples,
                      std::int64_t outputs) const {
  const std::vector<OpShape> shapes = shapes_of(stage.captured, samples);
  StageSizes sizes{shapes, units_, units_at(stage.number, shapes), {}};
  for (const std::size_t u : sizes.here) {
    if (works_[u].stages.size() == 1) sizes.whole.insert(u);
  }
  sizes.samples = static_cast<double>(samples);
  sizes.outputs = static_cast<double>(outputs);
  sizes.element_bytes = static_cast<double>(model_.number_bytes());
  const double held = 2 * sizes.outputs * bytes_of(gradients.front()) + inputs_.bytes();
  const double rows = sizes.samples * sizes.outputs;
  sizes.fixed_bytes = held * sizes.samples / static_cast<double>(samples_) +
                      8 * rows * rows * kernels_at(stage.number);
  return plan_stage(sizes, options_);
}

std::set<std::size_t> Sweep::units_at(std::int64_t stage,
                                      const std::vector<OpShape>& shapes) const {
  std::set<std::string> names;
  for (const OpShape& shape : shapes) names.insert({shape.weight, shape.bias});
  std::set<std::size_t> here;
  for (std::size_t u = 0; u < works_.size(); ++u) {
    for (const std::string& weight : works_[u].weights) {
      if (names.count(weight) && targets_.stage.at(weight) == stage) here.insert(u);
    }
  }
  return here;
}

double Sweep::kernels_at(std::int64_t stage) const {
  const auto held = std::count_if(works_.begin(), works_.end(), [&](const UnitWork& work) {
    return *work.stages.begin() <= stage && stage <= *work.stages.rbegin();
  });
  return 1 + static_cast<double>(held);
}

/// @returns the gradients of the stage's input.
Gradients Sweep::differentiate(Stage& stage, const Gradients& gradients) {
  StagePlan& plan = stage.plan;
  if (plan.groups.empty() && !stage.captured.ops.empty()) {
    throw WorkError("the memory limit of " + std::to_string(options_.memory_bytes) +
                    " bytes is too small for \"" + stage_name(model_, stage.number) +
                    "\": at least " + std::to_string(whole_bytes(plan.least_bytes)) +
                    " bytes are needed; fewer samples or outputs need less");
  }
  if (plan.groups.empty()) plan.groups.emplace_back();
  Gradients below;
  for (std::size_t group = 0; group < plan.groups.size(); ++group) {
    const auto deltas = backward(stage, group, gradients, below);
    const torch::NoGradGuard no_grad;
    for (const Part& part : plan.groups[group]) collect(stage, part, deltas);
  }
  return below;
}

/// Hands out the units that no lower stage has weights of. On one that nothing was computed with
/// no output depends.
void Sweep::finish(const Stage& stage, std::int64_t rows, const Finished& finished) {
  for (std::size_t u = 0; u < works_.size(); ++u) {
    UnitWork& work = works_[u];
    if (*work.stages.begin() != stage.number) continue;
    if (!work.theta.defined() && work.factors.empty())
      work.theta = torch::zeros({rows, rows}, torch::kDouble);
    finished(u, work, stage.plan.by_lanczos.count(u) > 0);
    work.theta = Tensor();
    work.factors.clear();
  }
}

/// The δ's (n, K, T, columns) of a group's outputs by K backward passes; those of the stage's
/// input go to `below`, with the first group.
std::map<std::size_t, Tensor> Sweep::backward(const Stage& stage, std::size_t group,
                                              const Gradients& gradients, Gradients& below) const {
  const bool last_group = group + 1 == stage.plan.groups.size();
  std::vector<Tensor> targets;
  std::vector<const Part*> part_of;
  std::map<std::size_t, Tensor> deltas;
  std::vector<std::size_t> ids;
  for (const Part& part : stage.plan.groups[group]) {
    for (const std::size_t id : stage.plan.clusters[part.cluster].outputs) {
      const Tensor& target = stage.captured.outputs[id];
      const std::int64_t width = target.size(-1);
      const std::int64_t tokens = target.numel() / width / samples_;
      targets.push_back(target);
      part_of.push_back(&part);
      ids.push_back(id);
      deltas[id] =
          torch::empty({samples_, static_cast<std::int64_t>(gradients.size()), tokens, part.size},
                       target.options());
    }
  }
  const std::vector<Tensor> input = group == 0 ? stage.input : std::vector<Tensor>();
  targets.insert(targets.end(), input.begin(), input.end());
  if (targets.empty()) return deltas;
  for (std::size_t k = 0; k < gradients.size(); ++k) {
    const bool last = last_group && k + 1 == gradients.size();
    const auto found = gradients_of(stage.output, targets, gradients[k], /*retain_graph=*/!last);
    const torch::NoGradGuard no_grad;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      Tensor& delta = deltas.at(ids[i]);
      if (!found[i].defined()) {
        delta.select(1, static_cast<std::int64_t>(k)).zero_();
        continue;
      }
      const Tensor all = found[i].reshape({samples_, delta.size(2), -1});
      delta.select(1, static_cast<std::int64_t>(k))
          .copy_(all.narrow(2, part_of[i]->begin, delta.size(3)));
    }
    if (!input.empty())
      below.emplace_back(found.end() - static_cast<std::ptrdiff_t>(input.size()), found.end());
  }
  return deltas;
}

/// Turns a part's δ's into the factors of its weights, and hands them to the units.
void Sweep::collect(const Stage& stage, const Part& part,
                    const std::map<std::size_t, Tensor>& deltas) {
  std::map<std::string, std::vector<WeightUse>> uses;
  for (const std::size_t i : stage.plan.clusters[part.cluster].ops) {
    models::CapturedOp op = stage.captured.ops[i];
    const Tensor& delta = deltas.at(stage.captured.output_of[i]);
    // x̂ meets δ column by column.
    if (op.kind == models::CapturedOp::Kind::kNorm && op.input.defined()) {
      op.input = op.input.narrow(-1, part.begin, delta.size(3));
    }
    if (!op.weight.empty()) uses[op.weight].push_back({op, delta, false});
    if (!op.bias.empty()) uses[op.bias].push_back({op, delta, true});
  }
  for (const auto& [name, found] : uses) add_factor(name, factor_of(found), stage.plan);
}

void Sweep::add_factor(const std::string& weight, const JacobianFactor& factor,
                       const StagePlan& plan) {
  std::vector<std::size_t> by_gram;
  for (std::size_t u = 0; u < works_.size(); ++u) {
    if (!works_[u].weights.count(weight)) continue;
    if (plan.by_lanczos.count(u)) {
      works_[u].factors.push_back(factor);
    } else {
      by_gram.push_back(u);
    }
  }
  if (by_gram.empty()) return;
  const std::int64_t rows = factor.rows();
  const auto zeros = [&] { return torch::zeros({rows, rows}, torch::kDouble); };
  for (const std::size_t u : by_gram) {
    if (!works_[u].theta.defined()) works_[u].theta = zeros();
  }
  const GramWay way = cheapest_way(shape_of(factor));
  if (by_gram.size() == 1) {
    add_gram(factor, way, plan.chunk_bytes, works_[by_gram.front()].theta, options_.parallel);
    return;
  }
  Tensor shared = zeros();
  add_gram(factor, way, plan.chunk_bytes, shared, options_.parallel);
  for (const std::size_t u : by_gram) works_[u].theta.add_(shared);
}

}  // namespace strata::ntk
