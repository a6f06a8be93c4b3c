#include "models/architectures/layer_list.h"

namespace strata::models {

Layer& LayerList::add(Layer layer) {
  layer.stage = static_cast<std::int64_t>(stages_.size()) - 1;
  layer.role = stages_.back().role;
  layer.group = stages_.back().group;
  layers_.push_back(std::move(layer));
  return layers_.back();
}

Layer& LayerList::add_linear(const std::string& name, std::int64_t out, std::int64_t in,
                             Init matrix, bool bias) {
  Layer layer{.name = name, .kind = LayerKind::kLinear, .width = out};
  layer.parameters.push_back({name + ".weight", {out, in}, matrix});
  if (bias) layer.parameters.push_back({name + ".bias", {out}, {}, true});
  return add(std::move(layer));
}

Layer& LayerList::add_patches(const std::string& name, std::int64_t out, std::int64_t in,
                              std::int64_t size, Init matrix, bool bias) {
  Layer layer{.name = name, .kind = LayerKind::kConvolution, .width = out};
  layer.parameters.push_back({name + ".weight", {out, in, size, size}, matrix});
  if (bias) layer.parameters.push_back({name + ".bias", {out}, {}, true});
  return add(std::move(layer));
}

Layer& LayerList::add_norm(const std::string& name, std::int64_t size) {
  return add({.name = name,
              .kind = LayerKind::kNorm,
              .width = size,
              .parameters = {{name + ".weight", {size}, {Init::Kind::kOnes}},
                             {name + ".bias", {size}, {}, true}}});
}

Layer& LayerList::add_rms_norm(const std::string& name, std::int64_t size, double offset) {
  const Init init{offset == 0 ? Init::Kind::kOnes : Init::Kind::kZeros};
  return add({.name = name,
              .kind = LayerKind::kRmsNorm,
              .width = size,
              .parameters = {{name + ".weight", {size}, init}}});
}

Layer& LayerList::add_table(const std::string& name, std::int64_t rows, std::int64_t width,
                            Init init) {
  return add({.name = name,
              .kind = LayerKind::kEmbedding,
              .width = width,
              .parameters = {{name + ".weight", {rows, width}, init}}});
}

Layer& LayerList::add_tokens(const std::string& name, Shape shape, Init init) {
  const std::int64_t width = shape.back();
  return add({.name = name,
              .kind = LayerKind::kTokens,
              .width = width,
              .parameters = {{name, std::move(shape), init}}});
}

Layer& LayerList::add_place(const std::string& name, LayerKind kind, std::int64_t width) {
  return add({.name = name, .kind = kind, .width = width});
}

}  // namespace strata::models
