#include "ntk/rivals.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>

#include "strata/core/error.h"

namespace strata {
namespace {

using torch::Tensor;

constexpr double kVarianceFloor = 1e-10;

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
  Tensor mean, variance;  ///< of gᵢ, elementwise; undefined where the loss does not depend on w
};
using WeightSums = std::map<std::string, Sums>;

double total(const Tensor& tensor) {
  return tensor.sum(torch::kDouble).item<double>();
}

Tensor wide(const Tensor& tensor) {
  return tensor.detach().to(torch::kDouble);
}

/// A model whose named weights are leaves of their own over the same storage.
struct Differentiable {
  Differentiable(const Transformer& original, const std::set<std::string>& weights)
      : model(original), names(weights.begin(), weights.end()) {
    for (const std::string& name : names) {
      leaves.push_back(original.weight(name).detach().requires_grad_(true));
      model.weight(name) = leaves.back();
    }
  }

  Tensor loss(const Batch& batch) const {
    return torch::cross_entropy_loss(model.forward(batch), batch.labels);
  }

  /// In the order of `names`; undefined for weights that `value` does not depend on.
  std::vector<Tensor> gradients(const Tensor& value, bool retain, bool differentiable) const {
    return torch::autograd::grad({value}, leaves, {}, retain, differentiable,
                                 /*allow_unused=*/true);
  }

  Transformer model;
  std::vector<std::string> names;
  std::vector<Tensor> leaves;
};

void add_weights(const Transformer& model, WeightSums& sums) {
  for (auto& [name, of] : sums) {
    const Tensor weight = wide(model.weight(name));
    of.count = static_cast<double>(weight.numel());
    of.magnitude = total(weight.abs());
    of.square = total(weight.square());
  }
}

/// g, and unless `direction` is empty Hg, by differentiating ⟨∇L, g⟩ over the weights that it names
/// with g held constant.
void add_gradient(const Differentiable& own, const Batch& batch,
                  const std::set<std::string>& direction, WeightSums& sums) {
  const bool curvature = !direction.empty();
  const Tensor loss = own.loss(batch);
  const auto gradients = own.gradients(loss, /*retain=*/curvature, false);
  std::vector<Tensor> products(gradients.size());
  if (curvature) {
    const auto slopes = own.gradients(loss, true, /*differentiable=*/true);
    Tensor slope_along_gradient = torch::zeros_like(loss);
    for (std::size_t i = 0; i < slopes.size(); ++i) {
      if (slopes[i].defined() && direction.count(own.names[i])) {
        slope_along_gradient = slope_along_gradient + (slopes[i] * gradients[i]).sum();
      }
    }
    products = own.gradients(slope_along_gradient, false, false);
  }

  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const auto at = sums.find(own.names[i]);
    if (at == sums.end() || !gradients[i].defined()) continue;
    const Tensor weight = wide(own.leaves[i]), gradient = wide(gradients[i]);
    at->second.gradient_square = total(gradient.square());
    at->second.saliency = total((gradient * weight).abs());
    if (!products[i].defined()) continue;
    const Tensor change = wide(products[i]) * weight;
    at->second.curvature = total(change);
    at->second.absolute_curvature = total(change.abs());
  }
}

Batch row(const Batch& batch, std::int64_t i) {
  const auto cut = [&](const Tensor& tensor) {
    return tensor.defined() ? tensor.narrow(0, i, 1) : tensor;
  };
  Batch one = batch;
  one.input_ids = cut(batch.input_ids);
  one.attention_mask = cut(batch.attention_mask);
  one.pixels = cut(batch.pixels);
  one.labels = cut(batch.labels);
  return one;
}

/// Sample by sample, mean and variance by Welford's recurrence.
void add_samples(const Differentiable& own, const Batch& batch, bool moments, WeightSums& sums) {
  const std::int64_t samples = batch.size();
  for (std::int64_t i = 0; i < samples; ++i) {
    const auto gradients = own.gradients(own.loss(row(batch, i)), false, false);
    for (std::size_t w = 0; w < gradients.size(); ++w) {
      if (!gradients[w].defined()) continue;
      Sums& of = sums.at(own.names[w]);
      const Tensor gradient = wide(gradients[w]);
      of.fisher += total(gradient.square()) / static_cast<double>(samples);
      if (!moments) continue;
      if (!of.mean.defined()) {
        of.mean = torch::zeros_like(gradient);
        of.variance = torch::zeros_like(gradient);
      }
      const Tensor change = gradient - of.mean;
      of.mean.add_(change, 1 / static_cast<double>(i + 1));
      of.variance.add_(change * (gradient - of.mean), 1 / static_cast<double>(samples - 1));
    }
  }
}

/// |w| for all weights, double. The table of words becomes one in which every word's vector is the
/// sum of all, which is what a one-hot vector of ones selects.
void add_flow(const Transformer& original, const Batch& like, WeightSums& sums) {
  constexpr std::string_view kWords = "word_embeddings.weight";
  Transformer model = original;
  std::vector<std::string> names;
  std::vector<Tensor> leaves;
  for (const auto& [name, weight] : original.weights()) {
    const Tensor leaf = wide(weight).abs();
    const bool words = name.size() >= kWords.size() &&
                       name.compare(name.size() - kWords.size(), kWords.size(), kWords) == 0;
    if (sums.count(name)) {
      leaf.requires_grad_(true);
      names.push_back(name);
      leaves.push_back(leaf);
    }
    model.weight(name) = words ? leaf.sum(0, /*keepdim=*/true).expand_as(leaf) : leaf;
  }

  const TransformerConfig& config = model.config();
  Batch ones = row(like, 0);
  if (ones.input_ids.defined()) {
    const std::int64_t tokens = config.max_position_embeddings;
    ones.input_ids = torch::zeros({1, tokens}, ones.input_ids.options());
    ones.attention_mask = torch::ones({1, tokens}, ones.attention_mask.options());
  }
  ones.pixels = torch::ones_like(ones.pixels);
  const auto slopes = torch::autograd::grad({model.forward(ones).sum()}, leaves, {}, false, false,
                                            /*allow_unused=*/true);
  for (std::size_t i = 0; i < slopes.size(); ++i) {
    if (slopes[i].defined()) sums.at(names[i]).flow = total((slopes[i] * leaves[i].detach()).abs());
  }
}

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
    if (of.mean.defined()) {
      ratios += total(of.mean.square() / (of.variance + kVarianceFloor * square / count));
    }
  }
  return ratios / count;
}

double value_of(const std::string& metric, const Unit& unit, const WeightSums& sums) {
  const auto total = [&](double Sums::*part) {
    double result = 0;
    for (const std::string& name : unit.parameters) result += sums.at(name).*part;
    return result;
  };
  if (metric == "grad_norm") return total(&Sums::gradient_square);
  if (metric == "rgn") {
    const double square = total(&Sums::square);
    if (square == 0) {
      throw WorkError("rgn of unit \"" + unit.name + "\" does not exist: its weights are all 0");
    }
    return std::sqrt(total(&Sums::gradient_square) / square);
  }
  if (metric == "snr") return signal_to_noise(unit, sums);
  if (metric == "magnitude") return total(&Sums::magnitude) / total(&Sums::count);
  if (metric == "snip") return total(&Sums::saliency);
  if (metric == "grasp") return std::abs(total(&Sums::curvature));
  if (metric == "gradflow") return total(&Sums::absolute_curvature);
  if (metric == "synflow") return total(&Sums::flow);
  return total(&Sums::fisher);
}

void check(const Batch& batch, const std::vector<Unit>& units,
           const std::vector<std::string>& metrics) {
  const auto& known = rival_metrics();
  if (batch.size() == 0) throw InputError("there are no samples to score on");
  for (const std::string& metric : metrics) {
    if (std::find(known.begin(), known.end(), metric) == known.end()) {
      throw InputError("unknown metric \"" + metric + "\"" + did_you_mean(metric, known) +
                       "; the metrics are " + quoted_list(known));
    }
    if (metric == "snr" && batch.size() < 2) {
      throw InputError("snr: found 1 sample, at least 2 are needed for a variance");
    }
  }
  for (const Unit& unit : units) {
    if (unit.parameters.empty()) throw InputError("unit \"" + unit.name + "\" has no weights");
  }
}

}  // namespace

const std::vector<std::string>& rival_metrics() {
  static const std::vector<std::string> names{
      "grad_norm", "rgn", "snr", "magnitude", "snip", "grasp", "gradflow", "synflow", "fisher"};
  return names;
}

std::map<std::string, std::vector<double>> rival_scores(const Transformer& model,
                                                        const Batch& batch,
                                                        const std::vector<Unit>& units,
                                                        const std::vector<std::string>& metrics) {
  check(batch, units, metrics);
  std::map<std::string, std::vector<double>> scores;
  for (const std::string& metric : metrics) scores[metric] = {};
  if (units.empty()) return scores;
  const torch::AutoGradMode gradients_on(true);
  const auto asked = [&](std::initializer_list<const char*> any) {
    return std::find_first_of(metrics.begin(), metrics.end(), any.begin(), any.end()) !=
           metrics.end();
  };

  WeightSums sums;
  std::set<std::string> own, direction;
  for (const Unit& unit : units) own.insert(unit.parameters.begin(), unit.parameters.end());
  for (const std::string& name : own) sums[name];
  if (asked({"grasp", "gradflow"})) {
    for (const Unit& unit : model.units()) {
      direction.insert(unit.parameters.begin(), unit.parameters.end());
    }
  }

  if (asked({"magnitude", "rgn", "snr"})) add_weights(model, sums);
  if (!direction.empty() || asked({"grad_norm", "rgn", "snip"})) {
    std::set<std::string> leaves = own;
    leaves.insert(direction.begin(), direction.end());
    add_gradient(Differentiable(model, leaves), batch, direction, sums);
  }
  if (asked({"snr", "fisher"})) {
    add_samples(Differentiable(model, own), batch, asked({"snr"}), sums);
  }
  if (asked({"synflow"})) add_flow(model, batch, sums);

  for (auto& [metric, values] : scores) {
    for (const Unit& unit : units) {
      values.push_back(value_of(metric, unit, sums));
      if (!std::isfinite(values.back())) {
        throw WorkError(metric + " of unit \"" + unit.name + "\" is not finite");
      }
    }
  }
  return scores;
}

}  // namespace strata
