#include "peft/merge.h"

#include <algorithm>
#include <set>

#include "models/pass.h"
#include "models/short_weights.h"
#include "peft/methods.h"
#include "strata/core/error.h"

namespace strata::peft {
namespace {

using models::Blueprint;
using models::Layer;
using models::LayerKind;
using torch::Tensor;

constexpr std::int64_t kImagesAtOnce = 512;

/// The layers that have some of a method beside them.
std::vector<const Layer*> changed_layers(const Blueprint& blueprint) {
  std::set<std::string> beside;
  for (const Layer& layer : blueprint.layers())
    if (!layer.method.empty()) beside.insert(layer.name);
  std::vector<const Layer*> changed;
  for (const Layer& layer : blueprint.architecture().layers()) {
    if (!layer.weight()) continue;
    const auto first = beside.lower_bound(layer.name + ".");
    if (first != beside.end() && first->compare(0, layer.name.size() + 1, layer.name + ".") == 0)
      changed.push_back(&layer);
  }
  return changed;
}

/// What a layer makes of its input once the methods have acted: x Wᵀ + b.
struct Folded {
  Tensor weight, bias;
};

/// A pass in double over the weights that a layer and the methods at it have.
class Probe {
 public:
  explicit Probe(const models::Model& model) : blueprint_(model.blueprint()) {
    for (const Layer& layer : blueprint_.layers())
      if (!layer.method.empty()) take(model, layer);
    for (const Layer* layer : changed_layers(blueprint_)) take(model, *layer);
  }

  Folded linear(const Layer& at) const {
    const std::int64_t in = at.weight()->numel() / at.weight()->shape[0];
    models::Pass pass(blueprint_, weights_);
    const Tensor nothing = pass.linear(at.name, torch::zeros({1, in}, torch::kDouble));
    const Tensor units = pass.linear(at.name, torch::eye(in, torch::kDouble));
    return {(units - nothing).t().reshape(at.weight()->shape), nothing.flatten()};
  }

  /// From images that are 0 but for one number, in the one window that a place far enough from the
  /// padding sees.
  Folded convolution(const Layer& at) const {
    const models::Shape& shape = at.weight()->shape;
    const std::int64_t channels = shape[1], size = shape[2], columns = channels * size * size;
    const std::int64_t place = (at.padding + at.stride - 1) / at.stride;
    const std::int64_t begin = place * at.stride - at.padding, side = begin + size;
    models::Pass pass(blueprint_, weights_);
    const auto at_place = [&](const Tensor& images) {
      return pass.convolution(at.name, images).select(3, place).select(2, place);
    };
    const Tensor nothing = at_place(torch::zeros({1, channels, side, side}, torch::kDouble));
    Tensor weight = torch::empty({shape[0], columns}, torch::kDouble);
    for (std::int64_t first = 0; first < columns; first += kImagesAtOnce) {
      const std::int64_t count = std::min(kImagesAtOnce, columns - first);
      const Tensor ones = torch::eye(columns, torch::kDouble).narrow(0, first, count);
      Tensor images = torch::zeros({count, channels, side, side}, torch::kDouble);
      images.narrow(2, begin, size)
          .narrow(3, begin, size)
          .copy_(ones.view({count, channels, size, size}));
      weight.narrow(1, first, count).copy_((at_place(images) - nothing).t());
    }
    return {weight.view(shape), nothing.flatten()};
  }

  /// What is behind a norm acts on each of its numbers by itself.
  Folded norm(const Layer& at) const {
    models::Pass pass(blueprint_, weights_);
    const auto after = [&](double value) {
      Tensor rows = torch::full({1, at.width}, value, torch::kDouble);
      if (at.kind == LayerKind::kBatchNorm) rows = rows.view({1, at.width, 1, 1});
      for (const auto& attachment : blueprint_.attachments())
        rows = attachment->after(at, Tensor(), rows, pass);
      return rows.flatten();
    };
    const Tensor nothing = after(0), factor = after(1) - nothing;
    return {
        weights_.at(at.weight()->name) * factor,
        (at.bias() ? weights_.at(at.bias()->name) : torch::zeros_like(factor)) * factor + nothing};
  }

 private:
  void take(const models::Model& model, const Layer& layer) {
    for (const auto* own : {&layer.parameters, &layer.buffers}) {
      for (const models::Parameter& parameter : *own)
        weights_[parameter.name] =
            models::computable(model.weight(parameter.name)).cpu().to(torch::kDouble);
    }
  }

  const Blueprint& blueprint_;
  models::Weights weights_;
};

Folded fold(const Probe& probe, const Layer& at) {
  switch (at.kind) {
    case LayerKind::kLinear:
      return probe.linear(at);
    case LayerKind::kConvolution:
      // One over patches is computed as a linear layer.
      return at.before_batch_norm ? probe.convolution(at) : probe.linear(at);
    default:
      return probe.norm(at);
  }
}

void check_folds(const Blueprint& blueprint, const std::string& where) {
  const Methods methods = methods_of(blueprint);
  if (methods.empty())
    throw InputError(where + ": the model has nothing to merge: its methods would be those of " +
                     section_names());
  for (const MethodPtr& method : methods) {
    if (method->folds()) continue;
    throw InputError(where + ": the model's " + type_of(*method).plural +
                     " cannot be merged: what they do is not linear, so that no weight of the "
                     "model's does the same");
  }
}

}  // namespace

models::Model merged(const models::Model& model, const std::string& where) {
  const torch::NoGradGuard no_grad;
  const Blueprint& blueprint = model.blueprint();
  check_folds(blueprint, where);
  const Probe probe(model);
  models::Model plain = model;
  plain.set_attachments({}, 0);
  for (const Layer& layer : blueprint.layers()) {
    if (layer.method.empty()) continue;
    for (const models::Parameter& parameter : layer.parameters)
      plain.weights().erase(parameter.name);
  }
  for (const Layer* at : changed_layers(blueprint)) {
    const Folded folded = fold(probe, *at);
    const auto set = [&](const models::Parameter& parameter, const Tensor& value) {
      plain.weight(parameter.name) =
          value.to(torch::kFloat).contiguous().to(model.weight(parameter.name).device());
    };
    set(*at->weight(), folded.weight);
    if (at->bias()) {
      set(*at->bias(), folded.bias);
    } else if (folded.bias.abs().max().item<double>() != 0) {
      throw InputError(where + ": \"" + at->name +
                       "\" has no bias that the methods' shift could be merged into");
    }
  }
  return plain;
}

}  // namespace strata::peft
