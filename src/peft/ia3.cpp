#include "peft/ia3.h"

#include "models/pass.h"
#include "peft/targeted.h"
#include "strata/core/error.h"

namespace strata::peft {
namespace {

using models::Layer;
using models::LayerKind;
using torch::Tensor;

const std::string kIa3 = "ia3", kVector = ".ia3_l";

const Fields<Ia3Fields>& ia3_fields() {
  const Kind<std::vector<std::string>> names = layer_names();
  static const Fields<Ia3Fields> fields({
      field("targets", &Ia3Fields::targets, names,
            "the linear layers of blocks and connectors, or convolutions, that get a vector"),
      field("feedforward", &Ia3Fields::feedforward, names,
            "those of them whose input it multiplies, not the output"),
  });
  return fields;
}

class Ia3 : public Targeted {
 public:
  Ia3(Ia3Fields fields, bool from_peft)
      : Targeted(fields.targets, from_peft, is_matrix, {"IA³", "IA³'s vectors"}),
        fields_(std::move(fields)),
        from_peft_(from_peft) {}
  const std::string& name() const override { return kIa3; }
  const Ia3Fields& fields() const { return fields_; }

  std::vector<Layer> layers(const Layer& at) const override {
    if (!has(at)) return {};
    const models::Shape& shape = at.weight()->shape;
    models::Shape own = of_input(at) ? models::Shape{1, shape[1]} : models::Shape{shape[0], 1};
    if (at.kind == LayerKind::kConvolution) own = {1, of_input(at) ? shape[1] : shape[0], 1, 1};
    Layer layer = beside(at, kVector, LayerKind::kScale, own, {models::Init::Kind::kOnes});
    layer.width = of_input(at) ? shape[1] : shape[0];
    return {layer};
  }
  Tensor before(const Layer& at, const Tensor& input, models::Pass& pass) const override {
    return has(at) && of_input(at) ? pass.scale(at.name + kVector, input) : input;
  }
  Tensor after(const Layer& at, const Tensor&, const Tensor& output,
               models::Pass& pass) const override {
    return has(at) && !of_input(at) ? pass.scale(at.name + kVector, output) : output;
  }
  Json options() const override { return ia3_fields().write(fields_); }
  void check(const models::Blueprint& blueprint, const std::string& where) const override {
    Targeted::check(blueprint, where);
    const auto& layers = blueprint.architecture().layers();
    for (const std::string& target : fields_.feedforward) {
      const bool found = std::any_of(layers.begin(), layers.end(), [&](const Layer& layer) {
        return has(layer) && selects(target, layer);
      });
      if (!found && !from_peft_) {
        throw InputError(where + ": ia3.feedforward: \"" + target + "\" is none of the targets" +
                         did_you_mean(target, fields_.targets));
      }
    }
  }
  bool of_input(const Layer& at) const { return selects_any(fields_.feedforward, at); }
  using Targeted::peft_config;

 private:
  Ia3Fields fields_;
  bool from_peft_;
};

Json write_ia3(const Method& method, const models::Blueprint& blueprint) {
  const auto& ia3 = static_cast<const Ia3&>(method);
  Json json = ia3.peft_config("IA3", blueprint);
  json["fan_in_fan_out"] = false;
  json["feedforward_modules"] = target_modules(
      blueprint, [&](const Layer& layer) { return ia3.has(layer) && ia3.of_input(layer); });
  json["init_ia3_weights"] = true;
  return json;
}

MethodPtr read_ia3(ObjectReader& reader) {
  Ia3Fields fields;
  fields.targets = reader.texts("target_modules");
  fields.feedforward = reader.raw("feedforward_modules").is_null()
                           ? std::vector<std::string>()
                           : reader.texts("feedforward_modules");
  check_neutral_choices(reader);
  check_no_patterns(reader);
  return std::make_shared<Ia3>(std::move(fields), true);
}

}  // namespace

MethodPtr make_ia3(Ia3Fields fields) {
  return std::make_shared<Ia3>(std::move(fields), false);
}

MethodType ia3_type() {
  return from_fields({.name = kIa3,
                      .section = "ia3",
                      .plural = "IA³'s vectors",
                      .help = "vectors that outputs or inputs of layers are multiplied by (IA³)",
                      .trains = own_layers(kIa3),
                      .peft_type = "IA3",
                      .write_peft = write_ia3,
                      .read_peft = read_ia3},
                     ia3_fields(), make_ia3);
}

}  // namespace strata::peft
