#include "peft/loha.h"

#include "models/pass.h"
#include "peft/limits.h"
#include "peft/patterns.h"
#include "peft/targeted.h"
#include "peft/tucker.h"

namespace strata::peft {
namespace {

using models::Layer;
using models::LayerKind;
using torch::Tensor;

const std::string kLoha = "loha";

const Fields<LohaFields>& loha_fields() {
  const Kind<std::vector<std::string>> names = layer_names();
  static const Fields<LohaFields> fields({
      field("rank", &LohaFields::rank, whole(1), "columns of w1_a and w2_a"),
      field("alpha", &LohaFields::alpha, number(1e-6, kLargestAlpha),
            "the product's weight is `alpha` / `rank`"),
      field("targets", &LohaFields::targets, names,
            "the linear layers of blocks and connectors, or convolutions, whose weight it changes"),
      field("rank_pattern", &LohaFields::rank_pattern, rank_pattern_kind(),
            "other ranks than `rank`: `{output.dense: 4}`")
          .written_if_changed(),
      field("alpha_pattern", &LohaFields::alpha_pattern, alpha_pattern_kind(),
            "other numbers than `alpha`")
          .written_if_changed(),
  });
  return fields;
}

class Loha : public Targeted {
 public:
  Loha(LohaFields fields, bool from_peft)
      : Targeted(fields.targets, from_peft, is_matrix, {"LoHa", "LoHa's factors"}),
        fields_(std::move(fields)),
        from_peft_(from_peft) {}
  const std::string& name() const override { return kLoha; }
  const LohaFields& fields() const { return fields_; }
  using Targeted::peft_config;
  std::int64_t rank(const Layer& at) const {
    return by_pattern(fields_.rank_pattern, at, fields_.rank);
  }
  double alpha(const Layer& at) const {
    return by_pattern(fields_.alpha_pattern, at, fields_.alpha);
  }

  std::vector<Layer> layers(const Layer& at) const override {
    if (!has(at)) return {};
    const std::int64_t r = rank(at), out = at.weight()->shape[0];
    if (windowed(at)) return windowed_layers(at);
    const std::int64_t in = at.weight()->numel() / out;
    return {beside(at, ".hada_w1_a", LayerKind::kLinear, {out, r}, kaiming(r)),
            beside(at, ".hada_w1_b", LayerKind::kLinear, {r, in}, kaiming(in)),
            beside(at, ".hada_w2_a", LayerKind::kLinear, {out, r}, kaiming(r)),
            beside(at, ".hada_w2_b", LayerKind::kLinear, {r, in}, {})};
  }
  Tensor after(const Layer& at, const Tensor& input, const Tensor& output,
               models::Pass& pass) const override {
    if (!has(at)) return output;
    const auto product = [&](const std::string& which) {
      const Tensor a = pass.each(at.name + ".hada_w" + which + "_a");
      const Tensor b = pass.each(at.name + ".hada_w" + which + "_b");
      return windowed(at) ? tucker_product(pass.each(at.name + ".hada_t" + which), a, b)
                          : torch::matmul(a, b);
    };
    const double scale = alpha(at) / static_cast<double>(rank(at));
    const Tensor change = product("1") * product("2") * scale;
    std::vector<std::int64_t> shape = at.weight()->shape;
    shape.insert(shape.begin(), change.size(0));
    const std::string name = at.name + ".hada_w1_a";
    pass.made_by(name, 2.0 * static_cast<double>(rank(at) * at.weight()->numel()),
                 change.requires_grad());
    return output + pass.product(name, at, input, change.reshape(shape));
  }
  Json options() const override { return loha_fields().write(fields_); }
  void check(const models::Blueprint& blueprint, const std::string& where) const override {
    Targeted::check(blueprint, where);
    if (!from_peft_)
      check_patterns(fields_.rank_pattern, fields_.alpha_pattern, blueprint, is_matrix,
                     "LoHa's factors", where);
    for (const Layer& layer : blueprint.architecture().layers()) {
      if (!has(layer)) continue;
      const models::Parameter& weight = *layer.weight();
      require_range(where, "loha.rank", rank(layer), 1,
                    std::min(weight.shape[0], weight.numel() / weight.shape[0]));
    }
  }

 private:
  bool windowed(const Layer& at) const {
    return fields_.tucker && at.kind == LayerKind::kConvolution && at.weight()->shape.back() > 1;
  }
  std::vector<Layer> windowed_layers(const Layer& at) const {
    const models::Shape& shape = at.weight()->shape;
    const std::int64_t r = rank(at);
    const models::Shape core = {r, r, shape[2], shape[3]};
    const models::Init fresh = kaiming(r * shape[2] * shape[3]);
    return {beside(at, ".hada_t1", LayerKind::kLinear, core, fresh),
            beside(at, ".hada_w1_a", LayerKind::kLinear, {r, shape[0]}, kaiming(shape[0])),
            beside(at, ".hada_w1_b", LayerKind::kLinear, {r, shape[1]}, kaiming(shape[1])),
            beside(at, ".hada_t2", LayerKind::kLinear, core, fresh),
            beside(at, ".hada_w2_a", LayerKind::kLinear, {r, shape[0]}, kaiming(shape[0])),
            beside(at, ".hada_w2_b", LayerKind::kLinear, {r, shape[1]}, {})};
  }

  LohaFields fields_;
  bool from_peft_;  ///< whose names need not all select a layer
};

Json write_loha(const Method& method, const models::Blueprint& blueprint) {
  const auto& loha = static_cast<const Loha&>(method);
  Json json = loha.peft_config("LOHA", blueprint);
  json["alpha"] = loha.fields().alpha;
  json["init_weights"] = true;
  json["r"] = loha.fields().rank;
  json["use_effective_conv2d"] = loha.fields().tucker;
  write_patterns({[&](const Layer& layer) { return loha.has(layer); },
                  [&](const Layer& layer) { return loha.rank(layer); },
                  [&](const Layer& layer) { return loha.alpha(layer); }},
                 loha.fields().rank, loha.fields().alpha, blueprint, json);
  return json;
}

MethodPtr read_loha(ObjectReader& reader) {
  LohaFields fields;
  fields.rank = reader.integer("r", 1, kLargestField);
  fields.alpha = reader.number("alpha", 1e-6, kLargestAlpha, fields.alpha);
  fields.targets = reader.texts("target_modules");
  read_patterns(reader, fields.rank_pattern, fields.alpha_pattern);
  check_neutral_choices(reader);
  fields.tucker = reader.boolean("use_effective_conv2d", false);
  return std::make_shared<Loha>(std::move(fields), true);
}

}  // namespace

MethodPtr make_loha(LohaFields fields) {
  return std::make_shared<Loha>(std::move(fields), false);
}

MethodType loha_type() {
  return from_fields({.name = kLoha,
                      .section = "loha",
                      .plural = "LoHa's factors",
                      .help = "a Hadamard product of two low-rank products beside a weight (LoHa)",
                      .trains = own_layers(kLoha),
                      .peft_type = "LOHA",
                      .write_peft = write_loha,
                      .read_peft = read_loha},
                     loha_fields(), make_loha);
}

}  // namespace strata::peft
