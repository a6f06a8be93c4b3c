#include "peft/tsa.h"

#include "models/pass.h"
#include "peft/limits.h"

namespace strata::peft {
namespace {

using models::Layer;
using torch::Tensor;

const std::string kTsa = "tsa";

bool adapts(const Layer& at) {
  return at.part == models::Part::kResidual;
}

class Tsa : public Method {
 public:
  const std::string& name() const override { return kTsa; }

  std::vector<Layer> layers(const Layer& at) const override {
    if (!adapts(at)) return {};
    const models::Shape& shape = at.weight()->shape;
    const std::string name = at.name + ".tsa";
    return {{.name = name,
             .kind = models::LayerKind::kConvolution,
             .stage = at.stage,
             .role = at.role,
             .width = at.width,
             .parameters = {{name + "_alpha",
                             {shape[0], shape[1], 1, 1},
                             {models::Init::Kind::kIdentity, 1e-4}}},
             .stride = at.stride}};
  }
  Tensor after(const Layer& at, const Tensor& input, const Tensor& output,
               models::Pass& pass) const override {
    return adapts(at) ? output + pass.convolution(at.name + ".tsa", input) : output;
  }
  Json options() const override { return Json::object(); }
  void check(const models::Blueprint& blueprint, const std::string& where) const override {
    require_place(where, blueprint, adapts, "TSA's convolutions");
  }
};

}  // namespace

MethodPtr make_tsa() {
  return std::make_shared<Tsa>();
}

MethodType tsa_type() {
  struct Options {};
  static const Fields<Options> fields({});
  return from_fields({.name = kTsa,
                      .section = "tsa",
                      .plural = "TSA's convolutions",
                      .help = "a 1 × 1 convolution beside those of residual branches (TSA)",
                      .trains = own_layers(kTsa)},
                     fields, [](const Options&) { return make_tsa(); });
}

}  // namespace strata::peft
