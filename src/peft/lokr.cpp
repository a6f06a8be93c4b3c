#include "peft/lokr.h"

#include <algorithm>

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

const std::string kLokr = "lokr";

const Fields<LokrFields>& lokr_fields() {
  const Kind<std::vector<std::string>> names = layer_names();
  static const Fields<LokrFields> fields({
      field("rank", &LokrFields::rank, whole(1), "columns of w2_a"),
      field("alpha", &LokrFields::alpha, number(1e-6, kLargestAlpha),
            "the product's weight is `alpha` / `rank`"),
      field("targets", &LokrFields::targets, names,
            "the linear layers of blocks and connectors, or convolutions, whose weight it changes"),
      field("rank_pattern", &LokrFields::rank_pattern, rank_pattern_kind(),
            "other ranks than `rank`: `{output.dense: 4}`")
          .written_if_changed(),
      field("alpha_pattern", &LokrFields::alpha_pattern, alpha_pattern_kind(),
            "other numbers than `alpha`")
          .written_if_changed(),
  });
  return fields;
}

/// The pair (a, b) with a · b = number whose a is `factor` or, where that is no divisor, a ≤ b,
/// whose sum is least with a up to `factor`, -1 being no bound.
std::pair<std::int64_t, std::int64_t> two_factors(std::int64_t number, std::int64_t factor) {
  if (factor > 0 && number % factor == 0) return {factor, number / factor};
  std::int64_t smaller = 1;
  for (std::int64_t a = 2; a * a <= number && (factor < 0 || a <= factor); ++a)
    if (number % a == 0) smaller = a;
  return {smaller, number / smaller};
}

/// The sizes of w1 (l × m) and w2 (k × n) of a weight (out, in, …), whose window has `window`
/// numbers.
struct Sizes {
  std::int64_t l, k, m, n, window;
};
Sizes sizes_of(const Layer& at, std::int64_t factor) {
  const models::Shape& shape = at.weight()->shape;
  const auto [l, k] = two_factors(shape[0], factor);
  const auto [m, n] = two_factors(shape[1], factor);
  return {l, k, m, n, at.weight()->numel() / shape[0] / shape[1]};
}

class Lokr : public Targeted {
 public:
  Lokr(LokrFields fields, bool from_peft)
      : Targeted(fields.targets, from_peft, is_matrix, {"LoKr", "LoKr's factors"}),
        fields_(std::move(fields)),
        from_peft_(from_peft) {}
  const std::string& name() const override { return kLokr; }
  const LokrFields& fields() const { return fields_; }
  using Targeted::peft_config;
  std::int64_t rank(const Layer& at) const {
    return by_pattern(fields_.rank_pattern, at, fields_.rank);
  }
  double alpha(const Layer& at) const {
    return by_pattern(fields_.alpha_pattern, at, fields_.alpha);
  }

  std::vector<Layer> layers(const Layer& at) const override {
    if (!has(at)) return {};
    const Sizes size = sizes_of(at, fields_.factor);
    const std::int64_t r = rank(at), columns = size.n * size.window;
    std::vector<Layer> own;
    if (splits_first(at)) {
      own.push_back(beside(at, ".lokr_w1_a", LayerKind::kLinear, {size.l, r}, {}));
      own.push_back(beside(at, ".lokr_w1_b", LayerKind::kLinear, {r, size.m}, kaiming(size.m)));
    } else {
      own.push_back(beside(at, ".lokr_w1", LayerKind::kLinear, {size.l, size.m}, {}));
    }
    if (splits(at) && windowed(at)) {
      const models::Shape& shape = at.weight()->shape;
      own.push_back(beside(at, ".lokr_t2", LayerKind::kLinear, {r, r, shape[2], shape[3]},
                           kaiming(r * size.window)));
      own.push_back(beside(at, ".lokr_w2_a", LayerKind::kLinear, {r, size.k}, kaiming(size.k)));
      own.push_back(beside(at, ".lokr_w2_b", LayerKind::kLinear, {r, size.n}, kaiming(size.n)));
    } else if (splits(at)) {
      own.push_back(beside(at, ".lokr_w2_a", LayerKind::kLinear, {size.k, r}, kaiming(r)));
      own.push_back(beside(at, ".lokr_w2_b", LayerKind::kLinear, {r, columns}, kaiming(columns)));
    } else {
      models::Shape shape = at.weight()->shape;
      shape[0] = size.k;
      shape[1] = size.n;
      own.push_back(beside(at, ".lokr_w2", LayerKind::kLinear, shape, kaiming(columns)));
    }
    return own;
  }
  Tensor after(const Layer& at, const Tensor& input, const Tensor& output,
               models::Pass& pass) const override {
    if (!has(at)) return output;
    const Sizes size = sizes_of(at, fields_.factor);
    const std::string name = at.name + (splits_first(at) ? ".lokr_w1_a" : ".lokr_w1");
    const Tensor first = first_of(at, pass), second = second_of(at, pass);
    if (splits(at))
      pass.made_by(name, static_cast<double>(size.k * rank(at) * size.n * size.window),
                   second.requires_grad());
    const Tensor left = first.reshape({-1, size.l, 1, size.m, 1, 1});
    const Tensor right = second.reshape({-1, 1, size.k, 1, size.n, size.window});
    const Tensor change = left * right * (alpha(at) / static_cast<double>(rank(at)));
    std::vector<std::int64_t> shape = at.weight()->shape;
    shape.insert(shape.begin(), change.size(0));
    return output + pass.product(name, at, input, change.reshape(shape));
  }
  Json options() const override { return lokr_fields().write(fields_); }
  void check(const models::Blueprint& blueprint, const std::string& where) const override {
    Targeted::check(blueprint, where);
    if (!from_peft_)
      check_patterns(fields_.rank_pattern, fields_.alpha_pattern, blueprint, is_matrix,
                     "LoKr's factors", where);
  }

 private:
  bool splits_first(const Layer& at) const {
    const Sizes size = sizes_of(at, fields_.factor);
    return fields_.both && 2 * rank(at) < std::max(size.l, size.m);
  }
  bool splits(const Layer& at) const {
    const Sizes size = sizes_of(at, fields_.factor);
    return 2 * rank(at) < std::max(size.k, size.n);
  }
  bool windowed(const Layer& at) const {
    return fields_.tucker && at.kind == LayerKind::kConvolution && at.weight()->shape.back() > 1;
  }
  Tensor first_of(const Layer& at, models::Pass& pass) const {
    if (!splits_first(at)) return pass.each(at.name + ".lokr_w1");
    return torch::matmul(pass.each(at.name + ".lokr_w1_a"), pass.each(at.name + ".lokr_w1_b"));
  }
  Tensor second_of(const Layer& at, models::Pass& pass) const {
    if (!splits(at)) return pass.each(at.name + ".lokr_w2");
    const Tensor a = pass.each(at.name + ".lokr_w2_a"), b = pass.each(at.name + ".lokr_w2_b");
    return windowed(at) ? tucker_product(pass.each(at.name + ".lokr_t2"), a, b)
                        : torch::matmul(a, b);
  }

  LokrFields fields_;
  bool from_peft_;  ///< whose names need not all select a layer
};

Json write_lokr(const Method& method, const models::Blueprint& blueprint) {
  const auto& lokr = static_cast<const Lokr&>(method);
  Json json = lokr.peft_config("LOKR", blueprint);
  json["alpha"] = lokr.fields().alpha;
  json["decompose_both"] = lokr.fields().both;
  json["decompose_factor"] = lokr.fields().factor;
  json["init_weights"] = true;
  json["r"] = lokr.fields().rank;
  json["use_effective_conv2d"] = lokr.fields().tucker;
  write_patterns({[&](const Layer& layer) { return lokr.has(layer); },
                  [&](const Layer& layer) { return lokr.rank(layer); },
                  [&](const Layer& layer) { return lokr.alpha(layer); }},
                 lokr.fields().rank, lokr.fields().alpha, blueprint, json);
  return json;
}

MethodPtr read_lokr(ObjectReader& reader) {
  LokrFields fields;
  fields.rank = reader.integer("r", 1, kLargestField);
  fields.alpha = reader.number("alpha", 1e-6, kLargestAlpha, fields.alpha);
  fields.targets = reader.texts("target_modules");
  read_patterns(reader, fields.rank_pattern, fields.alpha_pattern);
  check_neutral_choices(reader);
  fields.both = reader.boolean("decompose_both", false);
  fields.factor = reader.integer("decompose_factor", -1, kLargestField, fields.factor);
  fields.tucker = reader.boolean("use_effective_conv2d", false);
  return std::make_shared<Lokr>(std::move(fields), true);
}

}  // namespace

MethodPtr make_lokr(LokrFields fields) {
  return std::make_shared<Lokr>(std::move(fields), false);
}

MethodType lokr_type() {
  return from_fields({.name = kLokr,
                      .section = "lokr",
                      .plural = "LoKr's factors",
                      .help = "a Kronecker product beside a weight (LoKr)",
                      .trains = own_layers(kLokr),
                      .peft_type = "LOKR",
                      .write_peft = write_lokr,
                      .read_peft = read_lokr},
                     lokr_fields(), make_lokr);
}

}  // namespace strata::peft
