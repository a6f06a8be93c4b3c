#include "ntk/importance_metrics.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/interrupt.h"
#include "models/cost.h"
#include "models/short_weights.h"
#include "models/state_gradients.h"
#include "strata/core/error.h"

namespace strata::ntk {
namespace {

using torch::Tensor;

constexpr double kVarianceFloor = 1e-10;
constexpr std::int64_t kPiece = 1 << 20;

/// Sums over one weight's elements, from which the metrics of any unit follow by addition.
struct Sums {
  double count = 0;
  double magnitude = 0;           ///< |w|
  double square = 0;              ///< w²
  double gradient_square = 0;     ///< g²
  double saliency = 0;            ///< |g w|
  double curvature = 0;           ///< w (Hg)
  double absolute_curvature = 0;  ///< |w (Hg)|
  double flow = 0;                ///< |w ∂R/∂|w||
  double fisher = 0;              ///< mean of gᵢ²
  Tensor mean, variance;  ///< of gᵢ, flattened; undefined where the loss does not depend on w
};
using WeightSums = std::map<std::string, Sums>;

double total(const Tensor& tensor) {
  return tensor.sum(torch::kDouble).item<double>();
}

Tensor wide(const Tensor& tensor) {
  return tensor.detach().to(torch::kDouble);
}

/// Calls `work` with corresponding pieces of tensors of one shape, in double: a whole copy of the
/// largest weight in double would be a good part of the model.
template <typename Work>
void in_pieces(const std::vector<Tensor>& tensors, const Work& work) {
  std::vector<Tensor> flat;
  for (const Tensor& tensor : tensors) flat.push_back(tensor.detach().flatten());
  for (std::int64_t begin = 0; begin < flat.front().numel(); begin += kPiece) {
    std::vector<Tensor> pieces;
    for (const Tensor& tensor : flat) {
      const std::int64_t size = std::min(kPiece, tensor.numel() - begin);
      pieces.push_back(wide(tensor.narrow(0, begin, size)));
    }
    work(pieces);
  }
}

/// A model whose named weights are leaves of their own: over the same storage, or float32 copies of
/// short ones.
struct Differentiable {
  Differentiable(const models::Model& original, const tasks::Task& purpose,
                 const std::set<std::string>& weights)
      : model(original), task(purpose), names(weights.begin(), weights.end()) {
    for (const std::string& name : names) {
      leaves.push_back(models::computable(original.weight(name)).detach().requires_grad_(true));
      model.weight(name) = leaves.back();
    }
  }

  Tensor loss(const models::Batch& batch) const { return task.mean_loss(model.run(batch), batch); }

  models::Model model;
  const tasks::Task& task;
  std::vector<std::string> names;
  std::vector<Tensor> leaves;
};

/// By name; undefined, or absent, where the loss does not depend on the weight.
using Gradient = std::map<std::string, Tensor>;

/// One call of `options.progress` before each pass.
class Passes {
 public:
  Passes(const ImportanceOptions& options, std::int64_t total) : options_(options), total_(total) {}
  void next(const std::string& what) {
    stop_if_interrupted();
    if (options_.progress) options_.progress(done_, total_, what);
    ++done_;
  }

 private:
  const ImportanceOptions& options_;
  std::int64_t done_ = 0, total_;
};

/// Calls `work` with `rows` samples at a time and their share of the batch.
template <typename Work>
void in_parts(const models::Batch& batch, std::int64_t rows, const Work& work) {
  for (std::int64_t begin = 0; begin < batch.size(); begin += rows) {
    const std::int64_t count = std::min(rows, batch.size() - begin);
    work(models::rows_of(batch, begin, count),
         static_cast<double>(count) / static_cast<double>(batch.size()));
  }
}

/// Adds the gradient of `value`. (Tensors that autograd leaves in a weight's grad() may share their
/// storage, so that adding to one in place would change another.)
void add_gradient_of(const Tensor& value, const std::vector<std::string>& names,
                     const std::vector<Tensor>& leaves, Gradient& sum) {
  for (const std::string& name : names) sum[name];
  if (!value.requires_grad()) return;
  const auto found = torch::autograd::grad({value}, leaves, {}, /*retain_graph=*/false,
                                           /*create_graph=*/false, /*allow_unused=*/true);
  for (std::size_t i = 0; i < names.size(); ++i) {
    Tensor& own = sum[names[i]];
    if (found[i].defined()) own = own.defined() ? own + found[i] : found[i];
  }
}

Gradient loss_gradient(const models::Model& model, const tasks::Task& task,
                       const std::set<std::string>& names, const models::Batch& batch,
                       std::int64_t rows, Passes& passes) {
  const Differentiable own(model, task, names);
  Gradient gradient;
  in_parts(batch, rows, [&](const models::Batch& part, double share) {
    passes.next("gradient");
    add_gradient_of(own.loss(part) * share, own.names, own.leaves, gradient);
  });
  return gradient;
}

/// Hg for `names`, by differentiating ⟨∇L, g⟩ over the weights of `direction` with g held constant.
Gradient curvature(const models::Model& model, const tasks::Task& task,
                   const std::set<std::string>& names, const std::set<std::string>& direction,
                   const Gradient& gradient, const models::Batch& batch, std::int64_t rows,
                   Passes& passes) {
  std::set<std::string> all = names;
  all.insert(direction.begin(), direction.end());
  const Differentiable own(model, task, all);
  std::vector<std::string> leaf_names, along_names;
  std::vector<Tensor> leaves, along;
  for (std::size_t i = 0; i < own.names.size(); ++i) {
    if (names.count(own.names[i])) {
      leaf_names.push_back(own.names[i]);
      leaves.push_back(own.leaves[i]);
    }
    if (direction.count(own.names[i])) {
      along_names.push_back(own.names[i]);
      along.push_back(own.leaves[i]);
    }
  }
  Gradient products;
  in_parts(batch, rows, [&](const models::Batch& part, double share) {
    passes.next("curvature");
    const auto slopes = torch::autograd::grad({own.loss(part) * share}, along, {}, true,
                                              /*create_graph=*/true, /*allow_unused=*/true);
    Tensor slope_along_gradient = torch::zeros({}, along.front().options());
    for (std::size_t i = 0; i < slopes.size(); ++i) {
      if (slopes[i].defined()) {
        slope_along_gradient =
            slope_along_gradient + (slopes[i] * gradient.at(along_names[i])).sum();
      }
    }
    add_gradient_of(slope_along_gradient, leaf_names, leaves, products);
  });
  return products;
}

void add_weights(const models::Model& model, WeightSums& sums) {
  for (auto& [name, of] : sums) {
    of.count = static_cast<double>(model.weight(name).numel());
    in_pieces({model.weight(name)}, [&of = of](const std::vector<Tensor>& piece) {
      of.magnitude += total(piece[0].abs());
      of.square += total(piece[0].square());
    });
  }
}

void add_gradient(const models::Model& model, const Gradient& gradient, WeightSums& sums) {
  for (auto& [name, of] : sums) {
    const Tensor& slope = gradient.at(name);
    if (!slope.defined()) continue;
    in_pieces({slope, model.weight(name)}, [&of = of](const std::vector<Tensor>& piece) {
      of.gradient_square += total(piece[0].square());
      of.saliency += total((piece[0] * piece[1]).abs());
    });
  }
}

void add_curvature(const models::Model& model, const Gradient& products, WeightSums& sums) {
  for (auto& [name, of] : sums) {
    const Tensor& product = products.at(name);
    if (!product.defined()) continue;
    in_pieces({product, model.weight(name)}, [&of = of](const std::vector<Tensor>& piece) {
      const Tensor change = piece[0] * piece[1];
      of.curvature += total(change);
      of.absolute_curvature += total(change.abs());
    });
  }
}

/// Sample by sample, mean and variance by Welford's recurrence.
void add_samples(const models::Model& model, const tasks::Task& task, const models::Batch& batch,
                 bool moments, WeightSums& sums, Passes& passes) {
  std::set<std::string> names;
  for (const auto& [name, of] : sums) names.insert(name);
  const std::int64_t samples = batch.size();
  for (std::int64_t i = 0; i < samples; ++i) {
    const auto gradient =
        loss_gradient(model, task, names, models::rows_of(batch, i, 1), 1, passes);
    for (const auto& [name, slope] : gradient) {
      if (!slope.defined()) continue;
      Sums& of = sums.at(name);
      if (moments && !of.mean.defined()) {
        of.mean = torch::zeros({slope.numel()}, slope.options().dtype(torch::kDouble));
        of.variance = torch::zeros_like(of.mean);
      }
      std::int64_t begin = 0;
      in_pieces({slope}, [&](const std::vector<Tensor>& piece) {
        const Tensor& value = piece[0];
        of.fisher += total(value.square()) / static_cast<double>(samples);
        if (!moments) return;
        const Tensor mean = of.mean.narrow(0, begin, value.numel());
        const Tensor change = value - mean;
        mean.add_(change, 1 / static_cast<double>(i + 1));
        of.variance.narrow(0, begin, value.numel())
            .add_(change * (value - mean), 1 / static_cast<double>(samples - 1));
        begin += value.numel();
      });
    }
  }
}

/// Of one input, stage by stage from the top with the stages' inputs kept, so that one stage's
/// weights are in double at a time. The table of words becomes one in which every word's vector is
/// the sum of all, which is what a one-hot vector of ones selects.
class SynapticFlow {
 public:
  SynapticFlow(const models::Model& original, const models::Batch& like)
      : original_(original),
        ones_(original.blueprint().example(original.architecture().text_tokens())) {
    const auto device = like.pixels.device();
    ones_.pixels = torch::ones_like(ones_.pixels).to(device);
    for (Tensor* text : {&ones_.input_ids, &ones_.attention_mask, &ones_.decoder_ids})
      if (text->defined()) *text = text->to(device);
  }

  /// Σ |w ∂R/∂|w|| of each weight in `names`.
  std::map<std::string, double> of(const std::set<std::string>& names) const {
    std::vector<models::State> inputs(1);
    {
      const torch::NoGradGuard no_grad;
      for (std::int64_t stage = 0; stage < original_.stage_count(); ++stage)
        inputs.push_back(absolute(stage, {}).model.run_stage(stage, ones_, inputs.back()));
    }
    std::map<std::string, double> flow;
    std::vector<Tensor> slope;  // of the sum of all outputs
    for (const Tensor& output : values_of(inputs.back())) slope.push_back(torch::ones_like(output));
    for (std::int64_t stage = original_.stage_count(); stage-- > 0;) {
      const Stage own = absolute(stage, names);
      const models::State input = leaves_of(inputs[static_cast<std::size_t>(stage)]);
      std::vector<Tensor> leaves = own.leaves;
      for (const Tensor& value : values_of(input)) leaves.push_back(value);
      if (leaves.empty()) break;
      const auto slopes =
          models::gradients_of(values_of(own.model.run_stage(stage, ones_, input)), leaves, slope);
      for (std::size_t i = 0; i < own.leaves.size(); ++i) {
        double& sum = flow[own.names[i]];
        if (!slopes[i].defined()) continue;
        in_pieces({slopes[i], leaves[i]}, [&](const std::vector<Tensor>& piece) {
          sum += total((piece[0] * piece[1]).abs());
        });
      }
      slope.assign(slopes.begin() + static_cast<std::ptrdiff_t>(own.leaves.size()), slopes.end());
    }
    return flow;
  }

 private:
  struct Stage {
    models::Model model;
    std::vector<std::string> names;
    std::vector<Tensor> leaves;
  };

  /// The model with |w| in double for the weights of a stage; those in `names` are leaves.
  Stage absolute(std::int64_t stage, const std::set<std::string>& names) const {
    Stage own{original_, {}, {}};
    for (const auto& [name, weight] : original_.weights()) {
      const models::Layer& layer = original_.blueprint().layer_of(name);
      const bool here = layer.stage == stage;
      if (!here && !layer.frozen) continue;  // a frozen one may be computed with by two stages
      const Tensor leaf = wide(weight).abs();
      const bool words = here && layer.vocabulary;
      if (names.count(name)) {
        leaf.requires_grad_(true);
        own.names.push_back(name);
        own.leaves.push_back(leaf);
      }
      own.model.weight(name) = words ? leaf.sum(0, /*keepdim=*/true).expand_as(leaf) : leaf;
    }
    return own;
  }

  const models::Model& original_;
  models::Batch ones_;
};

double signal_to_noise(const Unit& unit, const WeightSums& sums) {
  double count = 0, square = 0, ratios = 0;
  for (const std::string& name : unit.parameters) {
    count += sums.at(name).count;
    square += sums.at(name).fisher;
  }
  // Gradients that are exactly 0 carry no signal.
  if (square == 0) return 0;
  for (const std::string& name : unit.parameters) {
    const Sums& of = sums.at(name);
    if (!of.mean.defined()) continue;
    in_pieces({of.mean, of.variance}, [&](const std::vector<Tensor>& piece) {
      ratios += total(piece[0].square() / (piece[1] + kVarianceFloor * square / count));
    });
  }
  return ratios / count;
}

template <double Sums::*Part>
double total(const Unit& unit, const WeightSums& sums) {
  double result = 0;
  for (const std::string& name : unit.parameters) result += sums.at(name).*Part;
  return result;
}

double relative_gradient_norm(const Unit& unit, const WeightSums& sums) {
  const double square = total<&Sums::square>(unit, sums);
  if (square == 0)
    throw WorkError("rgn of unit \"" + unit.name + "\" does not exist: its weights are all 0");
  return std::sqrt(total<&Sums::gradient_square>(unit, sums) / square);
}

double mean_magnitude(const Unit& unit, const WeightSums& sums) {
  return total<&Sums::magnitude>(unit, sums) / total<&Sums::count>(unit, sums);
}

double curvature_along_gradient(const Unit& unit, const WeightSums& sums) {
  return std::abs(total<&Sums::curvature>(unit, sums));
}

/// What a measure's value is made of.
enum Quantity : unsigned {
  kWeights = 1,    ///< sums over the weights
  kGradient = 2,   ///< and over the mean loss's gradient
  kCurvature = 4,  ///< Hg, for which g is of all weights
  kSamples = 8,    ///< each sample's gradient
  kMoments = 16,   ///< their mean and variance
  kFlow = 32,      ///< synaptic flow
};

struct Measure {
  const char* name;
  unsigned needs;
  double (*value)(const Unit& unit, const WeightSums& sums);
};

constexpr Measure kMeasures[] = {
    {"grad_norm", kGradient, total<&Sums::gradient_square>},
    {"rgn", kWeights | kGradient, relative_gradient_norm},
    {"snr", kWeights | kSamples | kMoments, signal_to_noise},
    {"magnitude", kWeights, mean_magnitude},
    {"snip", kGradient, total<&Sums::saliency>},
    {"grasp", kCurvature, curvature_along_gradient},
    {"gradflow", kCurvature, total<&Sums::absolute_curvature>},
    {"synflow", kFlow, total<&Sums::flow>},
    {"fisher", kSamples, total<&Sums::fisher>},
};

/// @throws InputError
const Measure& measure_of(const std::string& metric) {
  require_name("metric", metric, importance_metrics());
  return *std::find_if(std::begin(kMeasures), std::end(kMeasures),
                       [&](const Measure& measure) { return measure.name == metric; });
}

void check(const models::Batch& batch, const std::vector<Unit>& units,
           const std::vector<std::string>& metrics) {
  if (batch.size() == 0) throw InputError("there are no samples to score on");
  for (const std::string& metric : metrics) {
    if ((measure_of(metric).needs & kMoments) && batch.size() < 2)
      throw InputError(metric + ": found 1 sample, at least 2 are needed for a variance");
  }
  for (const Unit& unit : units) {
    if (unit.parameters.empty()) throw InputError("unit \"" + unit.name + "\" has no weights");
  }
}

/// What the metrics that were asked for take.
struct Needs {
  Needs(const models::Model& model, const models::Batch& batch, std::int64_t n,
        const std::vector<Unit>& units, const std::vector<std::string>& metrics,
        const std::set<std::string>& frozen)
      : model(model), all_rows(n) {
    unsigned needs = 0;
    for (const std::string& metric : metrics) needs |= measure_of(metric).needs;
    weights = needs & kWeights;
    gradient = needs & kGradient;
    curvature = needs & kCurvature;
    samples = needs & kSamples;
    moments = needs & kMoments;
    flow = needs & kFlow;
    for (const Unit& unit : units) own.insert(unit.parameters.begin(), unit.parameters.end());
    if (curvature) {
      for (const Unit& unit : model.units()) {
        for (const std::string& name : unit.parameters) {
          if (frozen.count(name) == 0) direction.insert(name);
        }
      }
    }
    std::set<std::string> leaves = own;
    leaves.insert(direction.begin(), direction.end());
    size = static_cast<double>(model.number_bytes());
    leaf_count = count(leaves);
    const models::TrainingCost cost = models::training_cost(model.blueprint(), batch, leaves);
    sample_bytes = size / 4 * (cost.activation_bytes + cost.working_bytes);
    std::map<std::int64_t, double> stages;
    for (const auto& [name, weight] : model.weights()) {
      stages[model.stage_of(name)] += static_cast<double>(models::number_count(weight));
      largest_piece =
          std::max(largest_piece, static_cast<double>(std::min(kPiece, weight.numel())));
    }
    for (const auto& [stage, number] : stages) largest_stage = std::max(largest_stage, number);
  }

  double count(const std::set<std::string>& names) const {
    double number = 0;
    for (const std::string& name : names)
      number += static_cast<double>(models::number_count(model.weight(name)));
    return number;
  }

  /// Of the leaves that are copies.
  double copied_bytes(std::set<std::string> names) const {
    if (curvature) names.insert(direction.begin(), direction.end());
    double number = 0;
    for (const std::string& name : names) {
      const Tensor& weight = model.weight(name);
      if (models::is_short(weight)) number += static_cast<double>(weight.numel());
    }
    return size * number;
  }

  /// While the weights of `group` are scored with `rows` samples at a time.
  std::int64_t bytes(const std::set<std::string>& group, std::int64_t rows) const {
    const double own_bytes = size * count(group), part = static_cast<double>(rows);
    const double summed = rows < all_rows ? 2 * own_bytes : own_bytes;
    double most = 0;
    if (gradient) most = summed + part * sample_bytes;
    if (curvature) most = 3 * size * leaf_count + summed + 3 * part * sample_bytes;
    if (samples) {
      most = std::max(most, own_bytes + (moments ? 16 * count(group) : 0) + sample_bytes +
                                (curvature ? size * leaf_count : 0));
    }
    if (gradient || curvature || samples) most += copied_bytes(group);
    // One input in double, and its stages' inputs.
    if (flow) most = std::max(most, 24 * largest_stage + 8 / size * sample_bytes);
    return static_cast<std::int64_t>(most + 24 * largest_piece);
  }

  std::int64_t passes(const ImportancePlan& plan) const {
    const std::int64_t parts = (all_rows + plan.rows - 1) / plan.rows;
    const auto groups = static_cast<std::int64_t>(plan.groups.size());
    std::int64_t number = flow ? 1 : 0;
    if (curvature) number += parts + groups * parts;
    if (gradient && !curvature) number += groups * parts;
    if (samples) number += groups * all_rows;
    return number;
  }

  const models::Model& model;
  std::int64_t all_rows;
  bool weights, gradient, curvature, samples, moments, flow;
  std::set<std::string> own, direction;
  double size = 4;          // bytes a number
  double leaf_count = 0;    // of all weights that g in Hg needs
  double sample_bytes = 0;  // activations of one sample
  double largest_stage = 0, largest_piece = 0;
};

}  // namespace

bool reads_samples(const std::string& metric) {
  return measure_of(metric).needs & (kGradient | kCurvature | kSamples);
}

const std::vector<std::string>& importance_metrics() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Measure& measure : kMeasures) all.emplace_back(measure.name);
    return all;
  }();
  return names;
}

ImportancePlan plan_importance(const models::Model& model, const models::Batch& batch,
                               std::int64_t samples, const std::vector<Unit>& units,
                               const std::vector<std::string>& metrics,
                               const ImportanceOptions& options) {
  check(batch, units, metrics);
  const Needs needs(model, batch, samples, units, metrics, options.frozen);
  ImportancePlan plan;
  plan.rows = samples;
  std::set<std::string> group, largest;
  for (std::size_t i = 0; i < units.size(); ++i) {
    const std::set<std::string> alone(units[i].parameters.begin(), units[i].parameters.end());
    plan.least_bytes = std::max(plan.least_bytes, needs.bytes(alone, 1));
    group.insert(alone.begin(), alone.end());
    if (plan.groups.empty() || needs.bytes(group, 1) > options.memory_bytes) {
      plan.groups.emplace_back();
      group = alone;
    }
    plan.groups.back().push_back(i);
    if (needs.bytes(group, 1) > needs.bytes(largest, 1)) largest = group;
  }
  if (plan.least_bytes > options.memory_bytes) {
    plan.groups.clear();
    plan.bytes = plan.least_bytes;
    return plan;
  }
  while (plan.rows > 1 && needs.bytes(largest, plan.rows) > options.memory_bytes) --plan.rows;
  plan.bytes = needs.bytes(largest, plan.rows);
  plan.passes = needs.passes(plan);
  return plan;
}

std::map<std::string, std::vector<double>> importance_scores(
    const models::Model& model, const tasks::Task& task, const models::Batch& batch,
    const std::vector<Unit>& units, const std::vector<std::string>& metrics,
    const ImportanceOptions& options) {
  const ImportancePlan plan = plan_importance(model, batch, batch.size(), units, metrics, options);
  std::map<std::string, std::vector<double>> scores;
  for (const std::string& metric : metrics) scores[metric] = {};
  if (units.empty()) return scores;
  if (plan.groups.empty()) {
    throw WorkError("the memory limit of " + std::to_string(options.memory_bytes) +
                    " bytes is too small for " + quoted_list(metrics) + ": at least " +
                    std::to_string(plan.least_bytes) + " bytes are needed");
  }
  const torch::AutoGradMode gradients_on(true);
  const Needs needs(model, batch, batch.size(), units, metrics, options.frozen);
  Passes passes(options, plan.passes);

  std::map<std::string, double> flow;
  if (needs.flow) {
    passes.next("synaptic flow");
    flow = SynapticFlow(model, batch).of(needs.own);
  }
  Gradient gradient;  // of all that g in Hg needs
  if (needs.curvature) {
    std::set<std::string> leaves = needs.own;
    leaves.insert(needs.direction.begin(), needs.direction.end());
    gradient = loss_gradient(model, task, leaves, batch, plan.rows, passes);
  }
  for (const auto& group : plan.groups) {
    WeightSums sums;
    std::set<std::string> names;
    for (const std::size_t i : group) {
      names.insert(units[i].parameters.begin(), units[i].parameters.end());
    }
    for (const std::string& name : names) sums[name].flow = needs.flow ? flow.at(name) : 0;
    if (needs.weights) add_weights(model, sums);
    if (needs.curvature) {
      add_gradient(model, gradient, sums);
      add_curvature(
          model, curvature(model, task, names, needs.direction, gradient, batch, plan.rows, passes),
          sums);
    } else if (needs.gradient) {
      add_gradient(model, loss_gradient(model, task, names, batch, plan.rows, passes), sums);
    }
    if (needs.samples) add_samples(model, task, batch, needs.moments, sums, passes);
    for (auto& [metric, values] : scores) {
      for (const std::size_t i : group) {
        values.push_back(measure_of(metric).value(units[i], sums));
        if (!std::isfinite(values.back())) {
          throw WorkError(metric + " of unit \"" + units[i].name + "\" is not finite");
        }
      }
    }
  }
  return scores;
}

}  // namespace strata::ntk
