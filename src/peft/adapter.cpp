#include "peft/adapter.h"

#include <algorithm>

#include "models/pass.h"
#include "peft/limits.h"

namespace strata::peft {
namespace {

using models::Layer;
using torch::Tensor;

const std::string kAdapter = "adapter";

const Choices<AdapterPlace>& places() {
  static const Choices<AdapterPlace> choices(
      {{AdapterPlace::kPfeiffer, "pfeiffer"}, {AdapterPlace::kHoulsby, "houlsby"}});
  return choices;
}

class Adapters : public Method {
 public:
  Adapters(std::int64_t reduction, AdapterPlace place) : reduction_(reduction), place_(place) {}
  const std::string& name() const override { return kAdapter; }
  bool folds() const override { return false; }
  bool has_companions() const override { return true; }
  /// What version 1 of the file says of it.
  std::int64_t number() const { return place_ == AdapterPlace::kPfeiffer ? reduction_ : 0; }

  std::vector<Layer> layers(const Layer& at) const override {
    if (!adapts(at)) return {};
    // Never 0, as AdapterHub has it.
    const std::int64_t size = std::max<std::int64_t>(1, at.width / reduction_);
    return {linear(at, down(at), size, at.width), linear(at, up(at), at.width, size)};
  }
  Tensor after(const Layer& at, const Tensor&, const Tensor& rows,
               models::Pass& pass) const override {
    if (!adapts(at)) return rows;
    const Tensor bottleneck =
        pass.activation(models::Activation::kRelu, pass.linear(down(at), rows));
    return rows + pass.linear(up(at), bottleneck);
  }
  Json options() const override {
    Json json = {{"reduction", reduction_}};
    if (place_ != AdapterPlace::kPfeiffer) json["placement"] = places().name(place_);
    return json;
  }
  void check(const models::Blueprint& blueprint, const std::string& where) const override {
    require_place(
        where, blueprint, [&](const Layer& at) { return adapts(at); }, "adapters");
    for (const Layer& layer : blueprint.architecture().layers()) {
      if (adapts(layer)) require_range(where, "adapter_reduction", reduction_, 1, layer.width);
    }
  }

 private:
  bool adapts(const Layer& at) const {
    if (place_ == AdapterPlace::kPfeiffer) return at.kind == models::LayerKind::kBlock;
    return at.part == models::Part::kAttentionOutput || at.part == models::Part::kMlpOutput;
  }
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
  AdapterPlace place_;
};

}  // namespace

MethodPtr make_adapters(std::int64_t reduction, AdapterPlace place) {
  return std::make_shared<Adapters>(reduction, place);
}

MethodType adapter_type() {
  struct Options {
    std::int64_t reduction = 16;
    AdapterPlace place = AdapterPlace::kPfeiffer;
  };
  static const Fields<Options> fields({
      field("reduction", &Options::reduction, whole(1), "hidden size over the bottleneck's"),
      field("placement", &Options::place, choice(places()),
            "one behind every block, or two in it: behind its attention and behind its MLP"),
  });
  return from_fields(
      {.name = kAdapter,
       .section = "adapters",
       .plural = "adapters",
       .help = "a bottleneck behind every block (Pfeiffer), or two in it (Houlsby)",
       .needs = "adapter_reduction",
       .trains = own_layers(kAdapter),
       .own_number =
           [](const Method& method) { return static_cast<const Adapters&>(method).number(); },
       .from_own_number = [](std::int64_t reduction) { return make_adapters(reduction); },
       .largest_own_number = kLargestField},
      fields,
      [](const Options& options) { return make_adapters(options.reduction, options.place); });
}

}  // namespace strata::peft
