#include "peft/adapter.h"

#include <algorithm>

#include "models/pass.h"
#include "peft/limits.h"

namespace strata::peft {
namespace {

using models::Layer;
using torch::Tensor;

const std::string kAdapter = "adapter";

class Adapters : public Method {
 public:
  explicit Adapters(std::int64_t reduction) : reduction_(reduction) {}
  const std::string& name() const override { return kAdapter; }
  std::int64_t reduction() const { return reduction_; }

  std::vector<Layer> layers(const Layer& at) const override {
    if (at.kind != models::LayerKind::kBlock) return {};
    // Never 0, as AdapterHub has it.
    const std::int64_t size = std::max<std::int64_t>(1, at.width / reduction_);
    return {linear(at, down(at), size, at.width), linear(at, up(at), at.width, size)};
  }
  Tensor after(const Layer& at, const Tensor&, const Tensor& rows,
               models::Pass& pass) const override {
    if (at.kind != models::LayerKind::kBlock) return rows;
    const Tensor bottleneck =
        pass.activation(models::Activation::kRelu, pass.linear(down(at), rows));
    return rows + pass.linear(up(at), bottleneck);
  }
  Json options() const override { return {{"reduction", reduction_}}; }
  void check(const models::Blueprint& blueprint, const std::string& where) const override {
    require_place(where, blueprint, models::LayerKind::kBlock, "adapters");
    for (const Layer& layer : blueprint.architecture().layers()) {
      if (layer.kind == models::LayerKind::kBlock)
        require_range(where, "adapter_reduction", reduction_, 1, layer.width);
    }
  }

 private:
  static std::string down(const Layer& at) {
    return at.name + ".output.adapters.strata.adapter_down.0";
  }
  static std::string up(const Layer& at) { return at.name + ".output.adapters.strata.adapter_up"; }
  static Layer linear(const Layer& at, const std::string& name, std::int64_t out, std::int64_t in) {
    return {.name = name,
            .kind = models::LayerKind::kLinear,
            .stage = at.stage,
            .role = at.role,
            .width = out,
            .parameters = {{name + ".weight", {out, in}, library_normal()},
                           {name + ".bias", {out}, {}, true}}};
  }

  std::int64_t reduction_;
};

}  // namespace

MethodPtr make_adapters(std::int64_t reduction) {
  return std::make_shared<Adapters>(reduction);
}

MethodType adapter_type() {
  struct Options {
    std::int64_t reduction = 16;
  };
  static const Fields<Options> fields({
      field("reduction", &Options::reduction, whole(1), "hidden size over the bottleneck's"),
  });
  return from_fields(
      {.name = kAdapter,
       .section = "adapters",
       .plural = "adapters",
       .help = "a bottleneck behind every block (Pfeiffer)",
       .needs = "adapter_reduction",
       .trains = own_layers(kAdapter),
       .own_number =
           [](const Method& method) { return static_cast<const Adapters&>(method).reduction(); },
       .from_own_number = make_adapters,
       .largest_own_number = kLargestField},
      fields, [](const Options& options) { return make_adapters(options.reduction); });
}

}  // namespace strata::peft
