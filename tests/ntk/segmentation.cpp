#include "tasks/segmentation.h"

#include <Eigen/Eigenvalues>
#include <cmath>

#include "catch.h"
#include "models/units.h"
#include "ntk/importance_metrics.h"
#include "ntk/lntk.h"
#include "peft/files.h"
#include "peft/methods.h"
#include "support/tiny_sam.h"

using namespace strata;
using namespace strata::models;
using namespace strata::ntk;
using torch::Tensor;

namespace {

constexpr std::int64_t kSamples = 3, kSlices = 2, kSide = 32;

Model make_model() {
  Model model = test::tiny_sam({"kidney", "tumor"}, 5);
  model = Model(
      peft::with_methods(
          model.blueprint(),
          peft::parse_methods({"lora:rank=2,alpha=2,targets=query+value+q_proj+v_proj"}, "--peft"),
          "sam"),
      5);
  // Positions and LoRA's B begin at 0, which would hide a good deal.
  const torch::NoGradGuard no_grad;
  torch::manual_seed(6);
  for (const Parameter& weight : model.blueprint().parameters())
    model.weight(weight.name).add_(torch::randn(weight.shape), 0.1);
  return model;
}

Batch make_batch() {
  torch::manual_seed(7);
  Batch batch;
  batch.pixels = torch::rand({kSamples, kSlices, 3, kSide, kSide});
  batch.labels = torch::randint(0, 3, {kSamples, kSlices, kSide, kSide}, torch::kLong);
  return batch;
}

/// Blocks, LoRA and the decoder, every layer that masks depend on alone, and weights of all stages.
std::vector<Unit> make_units(Model model) {
  std::vector<Unit> units;
  std::set<std::string> names;
  for (const std::string scheme : {"block", "lora", "lora+decoder", "attention", "bias"}) {
    peft::set_units(model, scheme, models::Buffers::kFrozen);
    for (const Unit& unit : model.units())
      if (names.insert(unit.name).second) units.push_back(unit);
  }
  Unit half;
  half.name = "every other weight";
  bool even = false;
  for (const Layer& layer : model.blueprint().layers()) {
    const bool given = layer.name.find("mask_embed") != std::string::npos ||
                       layer.name.find("point") != std::string::npos ||
                       layer.name.find("iou_prediction") != std::string::npos;
    if (given || layer.parameters.empty()) continue;
    Unit own;
    own.name = layer.name;
    for (const Parameter& parameter : layer.parameters) {
      own.parameters.push_back(parameter.name);
      even = !even;
      if (even) half.parameters.push_back(parameter.name);
    }
    units.push_back(own);
  }
  units.push_back(half);
  return units;
}

Model in_double(const Model& original) {
  Model model = original;
  for (const auto& [name, weight] : original.weights())
    model.weight(name) = weight.detach().to(torch::kDouble, false, /*copy=*/true).requires_grad_();
  return model;
}

/// The gradients of each of the numbers, (numbers, all weights of the unit).
Tensor jacobian(const Model& model, const std::vector<Tensor>& numbers, const Unit& unit) {
  std::vector<Tensor> weights, rows;
  for (const std::string& name : unit.parameters) weights.push_back(model.weight(name));
  for (const Tensor& number : numbers) {
    const auto slopes = torch::autograd::grad({number}, weights, {}, true, false, true);
    std::vector<Tensor> row;
    for (std::size_t w = 0; w < slopes.size(); ++w)
      row.push_back(slopes[w].defined() ? slopes[w].flatten()
                                        : torch::zeros_like(weights[w]).flatten());
    rows.push_back(torch::cat(row));
  }
  return torch::stack(rows);
}

std::vector<Tensor> parts_of(const Tensor& all) {
  std::vector<Tensor> numbers;
  for (std::int64_t i = 0; i < all.size(0); ++i) numbers.push_back(all[i]);
  return numbers;
}

std::vector<Tensor> numbers_of(const Model& model, const Batch& batch, bool loss) {
  const State output = model.run(batch);
  const tasks::TaskPtr task = tasks::segmentation();
  return parts_of(loss ? task->losses(output, batch) : task->outputs(output, batch).flatten());
}

}  // namespace

TEST_CASE("kernels of SAM's units are those of a float64 Jacobian by brute force") {
  const Model model = make_model();
  const Batch batch = make_batch();
  const std::vector<Unit> units = make_units(model);
  CHECK(units.size() > 80);
  const Model exact = in_double(model);
  for (const bool loss : {false, true}) {
    const auto numbers = numbers_of(exact, batch, loss);
    CHECK(numbers.size() == (loss ? 3U : 9U));
    for (const NtkMethod method : {NtkMethod::kGram, NtkMethod::kLanczos}) {
      LntkOptions options;
      options.outputs = loss ? NtkOutputs::kLoss : NtkOutputs::kOutputs;
      options.method = method;
      const auto spectra = layerwise_spectra(model, *tasks::segmentation(), batch, units, options);
      REQUIRE(spectra.size() == units.size());
      for (std::size_t u = 0; u < units.size(); ++u) {
        CAPTURE(units[u].name, loss);
        const Tensor rows = jacobian(exact, numbers, units[u]);
        const Tensor values = std::get<0>(torch::linalg_eigh(rows.mm(rows.t()), "L"));
        const double expected = values[-1].item<double>();
        CHECK(spectra[u].spectrum.values.front() == Approx(expected).epsilon(1e-4));
      }
    }
  }
}

TEST_CASE("kernels in random directions are those of all logits' Jacobian, times the directions") {
  const Model model = make_model();
  const Batch batch = make_batch();
  const std::vector<Unit> units = make_units(model);
  const Model exact = in_double(model);
  constexpr std::int64_t kDirections = 4;
  const tasks::TaskPtr task = tasks::segmentation_in_random_directions(kDirections, 11);

  // The signs, as a linear map of logits: what each unit vector of a small stack is taken to.
  const std::int64_t logits = kSlices * 3 * kSide * kSide;
  const auto of = [&](const Tensor& masks, std::int64_t stacks) {
    Batch like;
    like.pixels = torch::zeros({stacks, kSlices, 3, 1, 1});
    return task->outputs({{{models::kMaskLogits, masks}}, {}}, like);
  };
  const Tensor signs = of(torch::eye(logits, torch::kDouble).view({-1, 3, kSide, kSide}), logits);
  CHECK(torch::equal(signs.abs(), torch::full_like(signs, 0.5)));  // 1/√4
  CHECK(std::abs(signs.sum().item<double>()) < 0.5 * 4 * std::sqrt(4.0 * logits));
  CHECK(signs.t()
            .mm(signs)
            .div(logits / 4.0)
            .sub(torch::eye(4, torch::kDouble))
            .abs()
            .max()
            .item<double>() < 0.1);

  const Tensor all = exact.run(batch).values.at(models::kMaskLogits).reshape({kSamples, logits});
  const auto numbers = parts_of(all.mm(signs).flatten());
  LntkOptions options;
  options.trace = true;
  const auto spectra = layerwise_spectra(model, *task, batch, units, options);
  for (std::size_t u = 0; u < units.size(); ++u) {
    CAPTURE(units[u].name);
    const Tensor rows = jacobian(exact, numbers, units[u]);
    const Tensor values = std::get<0>(torch::linalg_eigh(rows.mm(rows.t()), "L"));
    CHECK(spectra[u].spectrum.values.front() == Approx(values[-1].item<double>()).epsilon(1e-4));
    CHECK(spectra[u].trace == Approx(values.sum().item<double>()).epsilon(1e-4));
  }
  const auto other = tasks::segmentation_in_random_directions(kDirections, 12);
  CHECK_FALSE(torch::equal(other->outputs(model.run(batch), batch),
                           task->outputs(model.run(batch), batch)));
}

TEST_CASE("every importance measure of SAM's units is that of a float64 computation") {
  const Model model = in_double(make_model());
  const Batch batch = make_batch();
  const std::vector<Unit> units = make_units(model);
  const auto numbers = numbers_of(model, batch, true);
  const Tensor mean = torch::stack(numbers).mean();
  const std::vector<std::string> metrics = {"grad_norm", "rgn",    "magnitude",
                                            "snip",      "fisher", "snr"};
  const auto found = importance_scores(model, *tasks::segmentation(), batch, units, metrics);
  for (std::size_t u = 0; u < units.size(); ++u) {
    CAPTURE(units[u].name);
    const Tensor each = jacobian(model, numbers, units[u]);
    const Tensor g = jacobian(model, {mean}, units[u])[0];
    std::vector<Tensor> parts;
    for (const std::string& name : units[u].parameters)
      parts.push_back(model.weight(name).detach().flatten());
    const Tensor w = torch::cat(parts);
    const auto check = [&](const std::string& metric, const Tensor& expected) {
      CAPTURE(metric);
      CHECK(found.at(metric)[u] == Approx(expected.item<double>()).epsilon(1e-6));
    };
    check("grad_norm", g.dot(g));
    check("rgn", g.norm() / w.norm());
    check("magnitude", w.abs().mean());
    check("snip", (g * w).abs().sum());
    check("fisher", each.square().mean(0).sum());
    const Tensor floor = 1e-10 * each.square().mean();
    check("snr", (each.mean(0).square() / (each.var(0, /*unbiased=*/true) + floor)).mean());
  }
}

TEST_CASE("curvature and synaptic flow of SAM's units are those of finite differences") {
  const Model model = in_double(make_model());
  const Batch batch = make_batch();
  Model blocks = model;
  peft::set_units(blocks, "block", models::Buffers::kFrozen);
  const std::vector<Unit> units = blocks.units();
  const auto found =
      importance_scores(blocks, *tasks::segmentation(), batch, units, {"grasp", "gradflow"});
  Unit all;
  for (const Unit& unit : units)
    all.parameters.insert(all.parameters.end(), unit.parameters.begin(), unit.parameters.end());
  const auto slope_at = [&](const Model& at, const Unit& unit) {
    return jacobian(at, {torch::stack(numbers_of(at, batch, true)).mean()}, unit)[0];
  };
  const Tensor g = slope_at(model, all);
  const double step = 2e-6 / g.norm().item<double>();
  const auto moved = [&](double by) {
    Model other = in_double(model);
    std::int64_t begin = 0;
    for (const std::string& name : all.parameters) {
      Tensor weight = other.weight(name);
      weight.data().add_(g.narrow(0, begin, weight.numel()).view(weight.sizes()), by);
      begin += weight.numel();
    }
    return other;
  };
  const Model ahead = moved(step), behind = moved(-step);
  for (std::size_t u = 0; u < units.size(); ++u) {
    CAPTURE(units[u].name);
    const Tensor hg = (slope_at(ahead, units[u]) - slope_at(behind, units[u])) / (2 * step);
    std::vector<Tensor> parts;
    for (const std::string& name : units[u].parameters)
      parts.push_back(model.weight(name).detach().flatten());
    const Tensor w = torch::cat(parts);
    const double flow = (w * hg).abs().sum().item<double>();
    CHECK(found.at("gradflow")[u] == Approx(flow).epsilon(1e-4).margin(1e-9));
    CHECK(std::abs(found.at("grasp")[u] - std::abs(w.dot(hg).item<double>())) < 1e-4 * flow + 1e-9);
  }
}

TEST_CASE("a unit that no mask depends on scores nothing") {
  const Model model = make_model();
  Unit unit;
  unit.name = "quality";
  for (const Parameter& parameter : model.blueprint().parameters())
    if (parameter.name.find("iou_prediction_head") != std::string::npos)
      unit.parameters.push_back(parameter.name);
  REQUIRE_FALSE(unit.parameters.empty());
  const auto spectra = layerwise_spectra(model, *tasks::segmentation(), make_batch(), {unit}, {});
  CHECK(spectra.front().spectrum.values.front() == 0);
  CHECK(spectra.front().spectrum.converged);
  const auto found = importance_scores(model, *tasks::segmentation(), make_batch(), {unit},
                                       {"grad_norm", "fisher"});
  CHECK(found.at("grad_norm").front() == 0);
  CHECK(found.at("fisher").front() == 0);
}
