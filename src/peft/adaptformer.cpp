#include "peft/adaptformer.h"

#include "models/pass.h"
#include "peft/limits.h"
#include "peft/targeted.h"

namespace strata::peft {
namespace {

using models::Layer;
using models::Part;
using torch::Tensor;

const std::string kAdaptFormer = "adaptformer";

const Fields<AdaptFormerFields>& adaptformer_fields() {
  static const Fields<AdaptFormerFields> fields({
      field("bottleneck", &AdaptFormerFields::bottleneck, whole(1), "numbers between both layers"),
      field("scale", &AdaptFormerFields::scale, number(1e-6, 1e6),
            "what the branch is weighted by"),
      field("dropout", &AdaptFormerFields::dropout, number(0, 0.999), "of the bottleneck"),
      field("normed", &AdaptFormerFields::normed, boolean(),
            "the branch reads what the MLP reads, not what its norm reads"),
  });
  return fields;
}

class AdaptFormer : public Method {
 public:
  explicit AdaptFormer(AdaptFormerFields fields) : fields_(fields) {}
  const std::string& name() const override { return kAdaptFormer; }
  bool folds() const override { return false; }
  bool has_companions() const override { return true; }

  std::vector<Layer> layers(const Layer& at) const override {
    if (at.part != Part::kMlpNorm) return {};
    return {linear(at, down(at), fields_.bottleneck, at.width, kaiming(at.width)),
            linear(at, up(at), at.width, fields_.bottleneck, {})};
  }
  Tensor after(const Layer& at, const Tensor& input, const Tensor& output,
               models::Pass& pass) const override {
    if (at.part == Part::kMlpNorm) {
      const Tensor inner = pass.activation(models::Activation::kRelu,
                                           pass.linear(down(at), fields_.normed ? output : input));
      pass.note(kAdaptFormer,
                fields_.scale * pass.linear(up(at), pass.dropout(inner, fields_.dropout)));
    } else if (at.part == Part::kMlpOutput) {
      return output + pass.noted(kAdaptFormer);
    }
    return output;
  }
  Json options() const override { return adaptformer_fields().write(fields_); }
  void check(const models::Blueprint& blueprint, const std::string& where) const override {
    const Layer& place = require_place(
        where, blueprint, [](const Layer& layer) { return layer.part == Part::kMlpNorm; },
        "AdaptFormer's branches");
    require_range(where, "adaptformer.bottleneck", fields_.bottleneck, 1, place.width);
  }

 private:
  /// "vit.encoder.layer.0.adaptmlp.": as the authors call it.
  static std::string branch(const Layer& at) {
    return at.name.substr(0, at.name.rfind('.')) + ".adaptmlp.";
  }
  static std::string down(const Layer& at) { return branch(at) + "down_proj"; }
  static std::string up(const Layer& at) { return branch(at) + "up_proj"; }
  static Layer linear(const Layer& at, const std::string& name, std::int64_t out, std::int64_t in,
                      models::Init init) {
    return {.name = name,
            .kind = models::LayerKind::kLinear,
            .stage = at.stage,
            .role = at.role,
            .width = out,
            .parameters = {{name + ".weight", {out, in}, init}, {name + ".bias", {out}, {}, true}}};
  }

  AdaptFormerFields fields_;
};

}  // namespace

MethodPtr make_adaptformer(AdaptFormerFields fields) {
  return std::make_shared<AdaptFormer>(fields);
}

MethodType adaptformer_type() {
  return from_fields({.name = kAdaptFormer,
                      .section = "adaptformer",
                      .plural = "AdaptFormer's branches",
                      .help = "a bottleneck beside the MLP of every block (AdaptFormer)",
                      .trains = own_layers(kAdaptFormer)},
                     adaptformer_fields(), make_adaptformer);
}

}  // namespace strata::peft
