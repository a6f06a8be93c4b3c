#include "models/architectures/sam_layers.h"

#include <cmath>

namespace strata::models {
namespace {

/// Weight and bias are drawn alike, from the numbers that come together in an output.
Layer& add_drawn(Layer layer, const Shape& shape, std::int64_t together, bool bias,
                 LayerList& list) {
  const Init init{Init::Kind::kUniform, 1 / std::sqrt(static_cast<double>(together))};
  layer.parameters.push_back({layer.name + ".weight", shape, init});
  if (bias) layer.parameters.push_back({layer.name + ".bias", {layer.width}, init, true});
  return list.add(std::move(layer));
}

}  // namespace

Layer& add_sam_linear(const std::string& name, std::int64_t out, std::int64_t in, bool bias,
                      LayerList& list) {
  return add_drawn({.name = name, .kind = LayerKind::kLinear, .width = out}, {out, in}, in, bias,
                   list);
}

Layer& add_sam_convolution(const std::string& name, std::int64_t out, std::int64_t in,
                           std::int64_t size, bool bias, LayerList& list) {
  return add_drawn({.name = name, .kind = LayerKind::kConvolution, .width = out},
                   {out, in, size, size}, in * size * size, bias, list);
}

Layer& add_sam_upsampling(const std::string& name, std::int64_t out, std::int64_t in,
                          LayerList& list) {
  constexpr std::int64_t kSide = 2;
  // PyTorch counts what a place spreads to, not what comes together.
  return add_drawn({.name = name, .kind = LayerKind::kUpsampling, .width = out},
                   {in, out, kSide, kSide}, out * kSide * kSide, true, list);
}

}  // namespace strata::models
