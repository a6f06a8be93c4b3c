#pragma once
// The importance metrics that have data, in double and one sample at a time, without the scorer.

#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "catch.h"
#include "models/batch.h"
#include "models/model.h"
#include "ntk/importance_metrics.h"

namespace strata::test {

inline const std::vector<std::string> kMetricsWithData = {
    "grad_norm", "rgn", "snr", "magnitude", "snip", "grasp", "gradflow", "fisher"};

/// The same model in double, its weights copies that require gradients.
inline models::Model in_double(const models::Model& original) {
  models::Model model = original;
  for (const auto& [name, weight] : original.weights()) {
    model.weight(name) =
        weight.detach().to(torch::kDouble, /*non_blocking=*/false, /*copy=*/true).requires_grad_();
  }
  return model;
}

/// weights() without buffers.
inline models::Weights parameters_of(const models::Model& model) {
  models::Weights found = model.weights();
  for (const models::Parameter& buffer : model.blueprint().buffers()) found.erase(buffer.name);
  return found;
}

/// Of all parameters, in the order of parameters_of(); 0 where the loss does not depend on one.
inline std::vector<torch::Tensor> all_gradients(const models::Model& model,
                                                const torch::Tensor& loss) {
  std::vector<torch::Tensor> leaves;
  for (const auto& [name, weight] : parameters_of(model)) leaves.push_back(weight);
  std::vector<torch::Tensor> found =
      torch::autograd::grad({loss}, leaves, {}, /*retain_graph=*/false, /*create_graph=*/false,
                            /*allow_unused=*/true);
  for (std::size_t i = 0; i < found.size(); ++i)
    if (!found[i].defined()) found[i] = torch::zeros_like(leaves[i]);
  return found;
}

/// The quantities of every weight, flattened, all double; a row of `samples` is one sample's
/// gradient.
struct BruteForce {
  using Loss = std::function<torch::Tensor(const models::Model&, const models::Batch&)>;
  std::map<std::string, torch::Tensor> weight, gradient, curvature, samples;

  /// `loss`: the mean over a batch's samples.
  BruteForce(const models::Model& original, const models::Batch& batch, const Loss& loss,
             const std::set<std::string>& frozen = {}) {
    const models::Model model = in_double(original);
    const auto slopes = all_gradients(model, loss(model, batch));
    std::vector<std::vector<torch::Tensor>> single;
    for (std::int64_t i = 0; i < batch.size(); ++i)
      single.push_back(all_gradients(model, loss(model, models::rows_of(batch, i, 1))));
    // Hg by central differences of the gradient along itself, frozen weights held.
    std::set<std::string> free;
    for (const Unit& unit : original.units())
      free.insert(unit.parameters.begin(), unit.parameters.end());
    for (const std::string& name : frozen) free.erase(name);
    double norm = 0;
    std::size_t place = 0;
    for (const auto& [name, tensor] : parameters_of(model)) {
      const torch::Tensor& slope = slopes[place++];
      if (free.count(name)) norm += slope.square().sum().item<double>();
    }
    const double step = 2e-6 / std::sqrt(norm);
    const auto moved = [&](double by) {
      const models::Model other = in_double(original);
      std::size_t i = 0;
      for (const auto& [name, tensor] : parameters_of(other)) {
        const torch::Tensor& slope = slopes[i++];
        if (free.count(name)) tensor.data().add_(slope, by);
      }
      return all_gradients(other, loss(other, batch));
    };
    const auto ahead = moved(step), behind = moved(-step);
    std::size_t i = 0;
    for (const auto& [name, tensor] : parameters_of(model)) {
      weight[name] = tensor.detach().flatten();
      gradient[name] = slopes[i].flatten();
      curvature[name] = ((ahead[i] - behind[i]) / (2 * step)).flatten();
      std::vector<torch::Tensor> each;
      for (const auto& of : single) each.push_back(of[i].flatten());
      samples[name] = torch::stack(each);
      ++i;
    }
  }

  double value(const std::string& metric, const Unit& unit) const {
    const auto joined = [&](const std::map<std::string, torch::Tensor>& parts) {
      std::vector<torch::Tensor> found;
      for (const std::string& name : unit.parameters) found.push_back(parts.at(name));
      return torch::cat(found, -1);
    };
    const torch::Tensor w = joined(weight), g = joined(gradient), hg = joined(curvature);
    const torch::Tensor each = joined(samples);
    const auto number = [](const torch::Tensor& tensor) { return tensor.item<double>(); };
    if (metric == "grad_norm") return number(g.dot(g));
    if (metric == "rgn") return number(g.norm() / w.norm());
    if (metric == "snr") {
      // Behind a ReLU that lets nothing through there is no signal.
      if (number(each.abs().max()) == 0) return 0;
      const torch::Tensor floor = 1e-10 * each.square().mean();
      return number((each.mean(0).square() / (each.var(0, /*unbiased=*/true) + floor)).mean());
    }
    if (metric == "magnitude") return number(w.abs().mean());
    if (metric == "snip") return number((g * w).abs().sum());
    if (metric == "grasp") return std::abs(number(w.dot(hg)));
    if (metric == "gradflow") return number((w * hg).abs().sum());
    REQUIRE(metric == "fisher");
    return number(each.square().mean(0).sum());
  }
};

/// Every metric of every unit.
inline void check_metrics(const models::Model& model, const tasks::Task& task,
                          const models::Batch& batch, const std::vector<Unit>& units,
                          const BruteForce& expected, double tolerance) {
  const auto found = ntk::importance_scores(model, task, batch, units, kMetricsWithData);
  for (const std::string& metric : kMetricsWithData) {
    REQUIRE(found.at(metric).size() == units.size());
    for (std::size_t i = 0; i < units.size(); ++i) {
      CAPTURE(metric, units[i].name);
      // grasp is a difference of large sums: its error is one of its terms.
      const double scale = expected.value(metric == "grasp" ? "gradflow" : metric, units[i]);
      CHECK(std::abs(found.at(metric)[i] - expected.value(metric, units[i])) <= tolerance * scale);
      CHECK(found.at(metric)[i] >= 0);
    }
  }
}

}  // namespace strata::test
