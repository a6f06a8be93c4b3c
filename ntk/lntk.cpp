#include "ntk/lntk.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "core/interrupt.h"
#include "ntk/jacobian.h"
#include "ntk/state_gradients.h"
#include "strata/core/error.h"
#include "strata/core/random.h"

namespace strata::ntk {
namespace {

using torch::Tensor;

/// What Lanczos is expected to need: products with blocks, and columns of all of them together.
/// Four to seven and 13 to 17 were seen at initialisation, where the first eigenvalues are close.
constexpr double kExpectedSteps = 6, kExpectedColumns = 15;
constexpr int kMostSteps = 60;
/// Multiply-adds in the time of moving one byte from memory: a core's peak over its share of the
/// memory's bandwidth, in round numbers for processors of today.
constexpr double kMultiplyAddsPerByte = 6;
/// J is multiplied by itself a block of this size at a time, which a last-level cache holds.
constexpr std::int64_t kLargestChunk = 32 << 20;

const std::string& stage_name(const models::Model& model, std::int64_t stage) {
  return model.architecture().stages()[static_cast<std::size_t>(stage)].name;
}

void check_finite(const models::Model& model, std::int64_t stage, const models::State& output) {
  for (const auto& [name, value] : output.values) {
    if (!torch::isfinite(value).all().item<bool>()) {
      throw WorkError("the activations of \"" + stage_name(model, stage) +
                      "\" are not finite: the model's weights or the samples are not sound");
    }
  }
}

std::int64_t rounded(double value) {
  return static_cast<std::int64_t>(std::ceil(value));
}

/// What is to be differentiated by: the names of weights and where they are used.
struct Targets {
  std::set<std::string> weights;
  std::map<std::string, std::int64_t> stage;  ///< that uses a weight
  std::int64_t lowest = 0;
};

Targets targets_of(const models::Model& model, const std::vector<Unit>& units) {
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

/// A stage's captured operations. Several may share an output, whose δ is then kept once.
struct Captured {
  std::vector<models::CapturedOp> ops;
  std::vector<Tensor> outputs;
  std::vector<std::size_t> output_of;  ///< by operation
};

Captured distinct_outputs(std::vector<models::CapturedOp> ops) {
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

/// Sizes of an operation for any number of samples.
struct OpShape {
  std::string weight, bias;
  std::size_t output;
  double tokens, in, out;
  bool factored;         ///< the weight's Jacobian is kept as input and δ
  double row_tokens;     ///< otherwise: its width over `out`
  bool patches = false;  ///< the rows are made from images when they are used
};

/// `samples` are those of the captured batch, `planned` those of the one to plan for.
std::vector<OpShape> shapes_of(const models::Model& model, const Captured& captured,
                               std::int64_t samples, std::int64_t planned) {
  using Kind = models::CapturedOp::Kind;
  std::vector<OpShape> shapes;
  for (std::size_t i = 0; i < captured.ops.size(); ++i) {
    const models::CapturedOp& op = captured.ops[i];
    OpShape shape{op.weight, op.bias, captured.output_of[i], 0, 0, 0, false, 1};
    shape.out = static_cast<double>(op.output.size(-1));
    shape.tokens =
        static_cast<double>(op.output.numel()) / shape.out / static_cast<double>(samples);
    if ((op.kind == Kind::kLinear || op.kind == Kind::kMixture) && !op.weight.empty()) {
      shape.in = static_cast<double>(op.row_width());
      shape.factored = true;
      shape.patches = op.window.has_value();
    } else if (op.kind == Kind::kEmbedding) {
      // The rows of the table that the samples use, at most one a token.
      shape.in = std::min(shape.tokens * static_cast<double>(planned),
                          static_cast<double>(model.weight(op.weight).size(0)));
      shape.factored = true;
    } else if (op.kind == Kind::kAdded) {
      shape.row_tokens = shape.tokens;
    }
    shapes.push_back(shape);
  }
  return shapes;
}

/// Operations that share a weight or an output: their δ's are needed together. They are split by
/// columns of the output, over which a kernel is a sum.
struct Cluster {
  std::vector<std::size_t> ops;
  std::set<std::size_t> outputs;
  std::int64_t columns = 0;
  double column_bytes = 0;  ///< of the δ's
};

std::vector<Cluster> clusters_of(const std::vector<OpShape>& shapes, double samples, double outputs,
                                 double element) {
  std::vector<std::size_t> parent(shapes.size());
  std::iota(parent.begin(), parent.end(), 0);
  const auto root = [&](std::size_t i) {
    while (parent[i] != i) i = parent[i];
    return i;
  };
  std::map<std::string, std::size_t> user;
  std::set<std::string> several;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const std::string output = "output " + std::to_string(shapes[i].output);
    for (const std::string& key :
         {"weight " + shapes[i].weight, "bias " + shapes[i].bias, output}) {
      if (key.back() == ' ') continue;
      const auto [at, added] = user.emplace(key, i);
      if (added) continue;
      parent[root(i)] = root(at->second);
      if (key != output) several.insert(key.substr(key.find(' ') + 1));
    }
  }
  std::map<std::size_t, Cluster> by_root;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const OpShape& shape = shapes[i];
    Cluster& cluster = by_root[root(i)];
    // Uses that continue each other's tokens are copied beside each other.
    const bool copied = several.count(shape.weight) > 0;
    if (cluster.outputs.insert(shape.output).second || copied) {
      cluster.column_bytes += samples * outputs * shape.tokens * element;
    }
    // Uses of one weight, like operations of one output, have the same width.
    cluster.columns = static_cast<std::int64_t>(shape.out);
    cluster.ops.push_back(i);
  }
  std::vector<Cluster> clusters;
  for (auto& [first, cluster] : by_root) clusters.push_back(std::move(cluster));
  return clusters;
}

/// Part of a stage's work for one sweep of K backward passes through it.
struct Part {
  std::size_t cluster;
  std::int64_t begin, size;  ///< columns
};
using Group = std::vector<Part>;

struct StagePlan {
  std::vector<Cluster> clusters;
  std::vector<Group> groups;
  std::set<std::size_t> by_lanczos;  ///< units
  std::int64_t chunk_bytes = 0;
  double kernel_multiply_adds = 0;
  double bytes = 0, least_bytes = 0;
};

/// The sizes of every weight over all its uses in a stage.
std::map<std::string, FactorShape> weight_shapes(const std::vector<OpShape>& shapes, double samples,
                                                 double outputs) {
  std::map<std::string, FactorShape> found;
  for (const OpShape& shape : shapes) {
    if (!shape.bias.empty()) {
      found[shape.bias] = {samples, outputs, 1, 0, shape.out, true};
    }
    if (shape.weight.empty()) continue;
    const auto [at, added] = found.emplace(
        shape.weight, FactorShape{samples, outputs, 0, shape.in, shape.out, !shape.factored});
    at->second.tokens += shape.factored ? shape.tokens : shape.row_tokens;
  }
  return found;
}

double lanczos_cost(const FactorShape& s, double element) {
  const double contraction =
      kMultiplyAddsPerByte * 2 * element * s.samples * s.outputs * s.tokens * s.out;
  const double products = s.explicit_rows ? 0 : 2 * s.samples * s.tokens * s.in * s.out;
  return kExpectedColumns * products + kExpectedSteps * contraction;
}

/// Decides for one stage which units go by Lanczos, and what is differentiated together.
/// \param units_here  the units with weights in the stage; `whole` are those with all of them here
StagePlan plan_stage(const std::vector<OpShape>& shapes, const std::vector<Unit>& units,
                     const std::set<std::size_t>& whole, const std::set<std::size_t>& units_here,
                     double samples, double outputs, double element, double fixed_bytes,
                     const LntkOptions& options) {
  StagePlan plan;
  plan.clusters = clusters_of(shapes, samples, outputs, element);
  const auto weights = weight_shapes(shapes, samples, outputs);
  const double rows = samples * outputs;

  const auto patch_bytes = [&](const OpShape& shape) {
    return shape.patches ? samples * shape.tokens * shape.in * element : 0;
  };
  double largest_patches = 0;
  for (const OpShape& shape : shapes)
    largest_patches = std::max(largest_patches, patch_bytes(shape));
  fixed_bytes += largest_patches;

  double least_column = 0, widest = 1;
  for (const Cluster& cluster : plan.clusters) {
    least_column = std::max(least_column, cluster.column_bytes);
  }
  for (const OpShape& shape : shapes) widest = std::max(widest, shape.in);
  const double jacobian_column = rows * widest * element;
  plan.least_bytes = fixed_bytes + least_column + jacobian_column;
  const double available = static_cast<double>(options.memory_bytes) - fixed_bytes;
  plan.chunk_bytes = std::max(
      rounded(jacobian_column),
      std::min({kLargestChunk, rounded(available / 4), rounded(available - least_column)}));
  const double budget = available - static_cast<double>(plan.chunk_bytes);
  if (budget < least_column) return plan;  // the caller reports it, with the least bytes

  // Units for which products with J cost less than their kernel, as long as all their δ's fit.
  std::set<std::size_t> lanczos_clusters;
  double lanczos_bytes = 0, largest_image = 0;
  for (const OpShape& shape : shapes) {
    largest_image = std::max(largest_image, samples * shape.tokens * shape.out * element);
  }
  // kernel_product holds four images of a block of vectors.
  const double product_bytes = 4 * std::max(5, options.top + 2) * largest_image;
  for (const std::size_t unit : units_here) {
    double gram = 0, lanczos = 0;
    std::set<std::string> names;
    for (const std::string& name : units[unit].parameters) {
      const auto at = weights.find(name);
      if (at == weights.end()) continue;
      names.insert(name);
      gram += gram_cost(at->second, cheapest_way(at->second));
      lanczos += lanczos_cost(at->second, element);
    }
    bool chosen = options.method == NtkMethod::kLanczos ||
                  (options.method == NtkMethod::kAutomatic && lanczos < gram);
    chosen = chosen && whole.count(unit) > 0 && rows > 4 * (options.top + 1);
    if (chosen) {
      std::set<std::size_t> needed = lanczos_clusters;
      for (std::size_t c = 0; c < plan.clusters.size(); ++c) {
        for (const std::size_t op : plan.clusters[c].ops) {
          if (names.count(shapes[op].weight) || names.count(shapes[op].bias)) needed.insert(c);
        }
      }
      double bytes = product_bytes;
      for (const std::size_t c : needed) {
        bytes += plan.clusters[c].column_bytes * static_cast<double>(plan.clusters[c].columns);
        for (const std::size_t op : plan.clusters[c].ops) bytes += patch_bytes(shapes[op]);
      }
      chosen = bytes <= budget;
      if (chosen) {
        lanczos_clusters = needed;
        lanczos_bytes = bytes;
        plan.by_lanczos.insert(unit);
      }
    }
    plan.kernel_multiply_adds += chosen ? lanczos : gram;
  }

  Group group;
  for (const std::size_t c : lanczos_clusters) group.push_back({c, 0, plan.clusters[c].columns});
  double used = lanczos_bytes, most = lanczos_bytes;
  const auto close = [&] {
    if (!group.empty()) plan.groups.push_back(std::move(group));
    group.clear();
    used = 0;
  };
  for (std::size_t c = 0; c < plan.clusters.size(); ++c) {
    if (lanczos_clusters.count(c)) continue;
    const Cluster& cluster = plan.clusters[c];
    const double bytes = cluster.column_bytes * static_cast<double>(cluster.columns);
    if (used + bytes > budget) close();
    if (bytes <= budget) {
      group.push_back({c, 0, cluster.columns});
      used += bytes;
      most = std::max(most, used);
      continue;
    }
    const auto step = static_cast<std::int64_t>(budget / cluster.column_bytes);
    for (std::int64_t begin = 0; begin < cluster.columns; begin += step) {
      group.push_back({c, begin, std::min(step, cluster.columns - begin)});
      close();
    }
    most = std::max(most, static_cast<double>(step) * cluster.column_bytes);
  }
  close();
  plan.bytes = fixed_bytes + static_cast<double>(plan.chunk_bytes) + most;
  return plan;
}

double bytes_of(const std::vector<Tensor>& tensors) {
  double bytes = 0;
  for (const Tensor& tensor : tensors)
    bytes += tensor.defined() ? static_cast<double>(tensor.nbytes()) : 0;
  return bytes;
}

/// For each of the K outputs, the gradients of a stage's values; undefined where it depends on
/// none.
using Gradients = std::vector<std::vector<Tensor>>;

/// One unit on its way through the stages.
struct UnitWork {
  const Unit* unit;
  std::set<std::string> weights;
  std::set<std::int64_t> stages;  ///< of its weights
  Tensor theta;                   ///< once a part of it was found
  std::vector<JacobianFactor> factors;
};

class Sweep {
 public:
  using Finished = std::function<void(std::size_t unit, UnitWork& work, bool lanczos)>;

  Sweep(const models::Model& model, const tasks::Task& task, const models::Batch& batch,
        const std::vector<Unit>& units, const LntkOptions& options)
      : model_(model),
        task_(task),
        batch_(batch),
        units_(units),
        options_(options),
        targets_(targets_of(model, units)),
        samples_(batch.size()) {
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

  void run(const Finished& finished) {
    std::vector<models::State> inputs(static_cast<std::size_t>(model_.stage_count()));
    Gradients gradients = output_gradients(forward(inputs));
    outputs_ = static_cast<std::int64_t>(gradients.size());
    for (std::int64_t stage = model_.stage_count() - 1; stage >= targets_.lowest; --stage) {
      stop_if_interrupted();
      if (options_.progress) {
        options_.progress(model_.stage_count() - 1 - stage, model_.stage_count() - targets_.lowest,
                          stage_name(model_, stage));
      }
      gradients = differentiate(stage, inputs, gradients, finished);
      inputs[static_cast<std::size_t>(stage)] = {};
    }
  }

  ScoreEstimate estimate(std::int64_t samples);

 private:
  /// Keeps the inputs of the stages from the lowest that is needed on.
  models::State forward(std::vector<models::State>& inputs) const {
    const torch::NoGradGuard no_grad;
    models::State state;
    for (std::int64_t stage = 0; stage < model_.stage_count(); ++stage) {
      if (stage >= targets_.lowest) inputs[static_cast<std::size_t>(stage)] = state;
      state = model_.run_stage(stage, batch_, state);
      check_finite(model_, stage, state);
    }
    return state;
  }

  /// The K gradients of the last stage's output with which the backward passes begin.
  Gradients output_gradients(const models::State& output) const {
    const torch::AutoGradMode grad(true);
    const models::State state = leaves_of(output);
    const std::vector<Tensor> leaves = values_of(state);
    if (options_.outputs == NtkOutputs::kLoss)
      return {torch::autograd::grad({task_.losses(state, batch_).sum()}, leaves)};
    const Tensor outputs = task_.outputs(state);
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

  std::set<std::size_t> units_at(std::int64_t stage, const std::vector<OpShape>& shapes) const {
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

  StagePlan plan(std::int64_t stage, const std::vector<OpShape>& shapes, double samples,
                 double outputs, double fixed_bytes) const {
    const auto here = units_at(stage, shapes);
    std::set<std::size_t> whole;
    for (const std::size_t u : here) {
      if (works_[u].stages.size() == 1) whole.insert(u);
    }
    const double element = static_cast<double>(model_.number_bytes());
    StagePlan plan =
        plan_stage(shapes, units_, whole, here, samples, outputs, element, fixed_bytes, options_);
    return plan;
  }

  Gradients differentiate(std::int64_t stage, const std::vector<models::State>& inputs,
                          const Gradients& gradients, const Finished& finished) {
    const bool reach = stage > targets_.lowest;
    models::State input = inputs[static_cast<std::size_t>(stage)];
    if (reach) input = leaves_of(input);
    std::vector<models::CapturedOp> ops;
    const std::vector<Tensor> output =
        values_of(model_.capture_stage(stage, batch_, input, targets_.weights, ops));
    const Captured captured = distinct_outputs(std::move(ops));
    const std::vector<OpShape> shapes = shapes_of(model_, captured, samples_, samples_);

    double fixed = 2 * static_cast<double>(outputs_) * bytes_of(gradients.front());
    for (const models::State& kept : inputs) fixed += bytes_of(values_of(kept));
    const double rows = static_cast<double>(samples_ * outputs_);
    fixed += 8 * rows * rows * kernels_at(stage);
    StagePlan work =
        plan(stage, shapes, static_cast<double>(samples_), static_cast<double>(outputs_), fixed);
    if (work.groups.empty() && !shapes.empty()) {
      throw WorkError("the memory limit of " + std::to_string(options_.memory_bytes) +
                      " bytes is too small for \"" + stage_name(model_, stage) + "\": at least " +
                      std::to_string(rounded(work.least_bytes)) +
                      " bytes are needed; fewer samples or outputs need less");
    }
    if (work.groups.empty()) work.groups.emplace_back();

    Gradients below;
    const std::vector<Tensor> leaves = reach ? values_of(input) : std::vector<Tensor>();
    for (std::size_t g = 0; g < work.groups.size(); ++g) {
      const Group& group = work.groups[g];
      const auto deltas =
          backward(captured, work, group, output, gradients,
                   g == 0 ? leaves : std::vector<Tensor>(), below, g + 1 == work.groups.size());
      const torch::NoGradGuard no_grad;
      for (const Part& part : group) collect(captured, work, part, deltas);
    }
    for (const std::size_t u : works_done_at(stage)) {
      finished(u, works_[u], work.by_lanczos.count(u) > 0);
      works_[u].theta = Tensor();
      works_[u].factors.clear();
    }
    return below;
  }

  /// Kernels held during a stage: of the units that have begun and not ended, and one for sums.
  double kernels_at(std::int64_t stage) const {
    const auto held = std::count_if(works_.begin(), works_.end(), [&](const UnitWork& work) {
      return *work.stages.begin() <= stage && stage <= *work.stages.rbegin();
    });
    return 1 + static_cast<double>(held);
  }

  std::vector<std::size_t> works_done_at(std::int64_t stage) const {
    std::vector<std::size_t> done;
    for (std::size_t u = 0; u < works_.size(); ++u) {
      if (*works_[u].stages.begin() == stage) done.push_back(u);
    }
    return done;
  }

  /// The δ's (n, K, T, columns) of a group's outputs by K backward passes; those of the stage's
  /// input go to `below`.
  std::map<std::size_t, Tensor> backward(const Captured& captured, const StagePlan& work,
                                         const Group& group, const std::vector<Tensor>& output,
                                         const Gradients& gradients,
                                         const std::vector<Tensor>& input, Gradients& below,
                                         bool last_group) const {
    std::vector<Tensor> targets;
    std::vector<const Part*> part_of;
    std::map<std::size_t, Tensor> deltas;
    std::vector<std::size_t> ids;
    for (const Part& part : group) {
      for (const std::size_t id : work.clusters[part.cluster].outputs) {
        const Tensor& target = captured.outputs[id];
        const std::int64_t width = target.size(-1);
        const std::int64_t tokens = target.numel() / width / samples_;
        targets.push_back(target);
        part_of.push_back(&part);
        ids.push_back(id);
        deltas[id] = torch::empty({samples_, outputs_, tokens, part.size}, target.options());
      }
    }
    targets.insert(targets.end(), input.begin(), input.end());
    if (targets.empty()) return deltas;
    for (std::size_t k = 0; k < gradients.size(); ++k) {
      const bool last = last_group && k + 1 == gradients.size();
      const auto found = gradients_of(output, targets, gradients[k], /*retain_graph=*/!last);
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
  void collect(const Captured& captured, const StagePlan& work, const Part& part,
               const std::map<std::size_t, Tensor>& deltas) {
    std::map<std::string, std::vector<WeightUse>> uses;
    for (const std::size_t i : work.clusters[part.cluster].ops) {
      models::CapturedOp op = captured.ops[i];
      const Tensor& delta = deltas.at(captured.output_of[i]);
      // x̂ meets δ column by column.
      if (op.kind == models::CapturedOp::Kind::kNorm && op.input.defined()) {
        op.input = op.input.narrow(-1, part.begin, delta.size(3));
      }
      if (!op.weight.empty()) uses[op.weight].push_back({op, delta, false});
      if (!op.bias.empty()) uses[op.bias].push_back({op, delta, true});
    }
    for (const auto& [name, found] : uses) add_factor(name, factor_of(found), work);
  }

  void add_factor(const std::string& weight, const JacobianFactor& factor, const StagePlan& work) {
    std::vector<std::size_t> by_gram;
    for (std::size_t u = 0; u < works_.size(); ++u) {
      if (!works_[u].weights.count(weight)) continue;
      if (work.by_lanczos.count(u)) {
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
      add_gram(factor, way, work.chunk_bytes, works_[by_gram.front()].theta, options_.parallel);
      return;
    }
    Tensor shared = zeros();
    add_gram(factor, way, work.chunk_bytes, shared, options_.parallel);
    for (const std::size_t u : by_gram) works_[u].theta.add_(shared);
  }

  const models::Model& model_;
  const tasks::Task& task_;
  const models::Batch& batch_;
  const std::vector<Unit>& units_;
  const LntkOptions& options_;
  const Targets targets_;
  const std::int64_t samples_;
  std::int64_t outputs_ = 0;
  std::vector<UnitWork> works_;
};

Eigen::Map<const Eigen::MatrixXd> as_matrix(const Tensor& contiguous) {
  return {contiguous.data_ptr<double>(), contiguous.size(0), contiguous.size(0)};
}

/// The leading eigenvectors of what vectors among the weights (biases, LayerNorms) add to the
/// kernel, which costs next to nothing and has much the same first eigenvectors as the whole,
/// beside a random column, without which an eigenvector orthogonal to all of them would be missed.
Eigen::MatrixXd start_block(const std::vector<JacobianFactor>& factors, int top,
                            std::uint64_t seed) {
  const std::int64_t rows = factors.front().rows();
  Tensor theta = torch::zeros({rows, rows}, torch::kDouble);
  bool any = false;
  for (const JacobianFactor& factor : factors) {
    if (!factor.explicit_rows()) continue;
    add_gram(factor, GramWay::kStreamed, kLargestChunk, theta);
    any = true;
  }
  if (!any) return random_block(rows, std::max(2, top + 1), seed);
  const Eigen::MatrixXd leading = leading_vectors(as_matrix(theta), std::max(4, top + 1), seed);
  Eigen::MatrixXd start(rows, leading.cols() + 1);
  start << leading, random_block(rows, 1, seed);
  return start;
}

ScoreEstimate Sweep::estimate(std::int64_t samples) {
  using Clock = std::chrono::steady_clock;
  ScoreEstimate estimate;
  const double scale = static_cast<double>(samples) / static_cast<double>(samples_);
  std::vector<models::State> inputs(static_cast<std::size_t>(model_.stage_count()));
  // On a GPU the first pass sets up what later ones find there, and calls return before it is done.
  const bool cuda = model_.device().is_cuda();
  if (cuda) forward(inputs);
  const auto now = [cuda] {
    if (cuda) torch::cuda::synchronize();
    return Clock::now();
  };
  const auto seconds_since = [&](Clock::time_point start) {
    return std::chrono::duration<double>(now() - start).count();
  };
  auto start = now();
  const models::State last = forward(inputs);
  double seconds = seconds_since(start);
  Gradients gradients = output_gradients(last);
  const double outputs = static_cast<double>(gradients.size());
  gradients.resize(1);
  outputs_ = 1;

  double kept = 0, kernel_multiply_adds = 0;
  for (const models::State& input : inputs) kept += bytes_of(values_of(input)) * scale;
  const double rows = static_cast<double>(samples) * outputs;
  for (std::int64_t stage = model_.stage_count() - 1; stage >= targets_.lowest; --stage) {
    const bool reach = stage > targets_.lowest;
    models::State input = inputs[static_cast<std::size_t>(stage)];
    if (reach) input = leaves_of(input);
    start = now();
    std::vector<models::CapturedOp> ops;
    const std::vector<Tensor> output =
        values_of(model_.capture_stage(stage, batch_, input, targets_.weights, ops));
    seconds += seconds_since(start);
    const Captured captured = distinct_outputs(std::move(ops));
    const std::vector<OpShape> shapes = shapes_of(model_, captured, samples_, samples);
    const double fixed = 2 * outputs * bytes_of(gradients.front()) * scale + kept +
                         8 * rows * rows * kernels_at(stage);
    kept -= bytes_of(values_of(inputs[static_cast<std::size_t>(stage)])) * scale;
    const StagePlan work = plan(stage, shapes, static_cast<double>(samples), outputs, fixed);
    estimate.least_bytes = std::max(estimate.least_bytes, rounded(work.least_bytes));
    estimate.bytes = std::max(estimate.bytes, rounded(work.bytes));
    kernel_multiply_adds += work.kernel_multiply_adds;

    std::vector<Tensor> targets = captured.outputs;
    const std::vector<Tensor> leaves = reach ? values_of(input) : std::vector<Tensor>();
    targets.insert(targets.end(), leaves.begin(), leaves.end());
    Gradients below;
    if (!targets.empty()) {
      start = now();
      const auto found = gradients_of(output, targets, gradients.front(), /*retain_graph=*/false);
      if (reach)
        below.emplace_back(found.end() - static_cast<std::ptrdiff_t>(leaves.size()), found.end());
      const int passes =
          static_cast<int>(outputs) * std::max(1, static_cast<int>(work.groups.size()));
      seconds += passes * seconds_since(start);
      estimate.backward_passes += passes;
    }
    gradients = std::move(below);
  }

  // A product of the kind that dominates, for the rate of this machine.
  const Tensor left = torch::ones({512, 4096}, values_of(last).front().options());
  torch::mm(left, left.t());
  start = now();
  torch::mm(left, left.t()).sum().item<float>();
  const double rate = 512.0 * 512 * 4096 / seconds_since(start);
  estimate.seconds = seconds * scale + kernel_multiply_adds / rate;
  return estimate;
}

}  // namespace

std::vector<UnitSpectrum> layerwise_spectra(const models::Model& model, const tasks::Task& task,
                                            const models::Batch& batch,
                                            const std::vector<Unit>& units,
                                            const LntkOptions& options) {
  std::vector<UnitSpectrum> spectra(units.size());
  if (units.empty()) return spectra;
  Sweep(model, task, batch, units, options).run([&](std::size_t u, UnitWork& work, bool lanczos) {
    UnitSpectrum& found = spectra[u];
    found.unit = work.unit->name;
    const std::string what = "unit \"" + found.unit + "\"";
    const std::uint64_t seed = derive_seed(options.seed, found.unit);
    if (!lanczos) {
      const Tensor theta = work.theta.contiguous();
      found.method = NtkMethod::kGram;
      found.spectrum = dense_spectrum(as_matrix(theta), options.top, seed, what);
      found.trace = theta.trace().item<double>();
    } else {
      found.method = NtkMethod::kLanczos;
      const Eigen::MatrixXd start = start_block(work.factors, options.top, seed);
      found.spectrum = block_lanczos(
          [&](const Eigen::MatrixXd& block) {
            Eigen::MatrixXd product = Eigen::MatrixXd::Zero(block.rows(), block.cols());
            for (const JacobianFactor& factor : work.factors) {
              product += kernel_product(factor, block);
            }
            return product;
          },
          start, options.top, kMostSteps, what);
      found.trace = std::numeric_limits<double>::quiet_NaN();
      if (options.trace) {
        found.trace = 0;
        for (const JacobianFactor& factor : work.factors) found.trace += kernel_trace(factor);
      }
    }
  });
  return spectra;
}

void visit_unit_grams(const models::Model& model, const tasks::Task& task,
                      const models::Batch& batch, const std::vector<Unit>& units,
                      const LntkOptions& options,
                      const std::function<void(const std::string&, const Tensor&)>& visit) {
  LntkOptions gram = options;
  gram.method = NtkMethod::kGram;
  Sweep(model, task, batch, units, gram).run([&](std::size_t, UnitWork& work, bool) {
    visit(work.unit->name, work.theta);
  });
}

void check_activations(const models::Model& model, const models::Batch& batch) {
  const torch::NoGradGuard no_grad;
  models::State state;
  for (std::int64_t stage = 0; stage < model.stage_count(); ++stage) {
    state = model.run_stage(stage, batch, state);
    check_finite(model, stage, state);
  }
}

ScoreEstimate estimate_spectra(const models::Model& model, const tasks::Task& task,
                               const models::Batch& small_batch, std::int64_t samples,
                               const std::vector<Unit>& units, const LntkOptions& options) {
  return Sweep(model, task, small_batch, units, options).estimate(samples);
}

}  // namespace strata::ntk
