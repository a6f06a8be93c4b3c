#include "peft/lokr.h"

#include <algorithm>

#include "models/pass.h"
#include "peft/limits.h"
#include "peft/patterns.h"
#include "peft/targeted.h"

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

/// The sizes of w1 (l × m) and w2 (k × n) of a weight (out, in, …), whose window has `window`
/// numbers.
struct Sizes {
  std::int64_t l, k, m, n, window;
};
Sizes sizes_of(const Layer& at) {
  const models::Shape& shape = at.weight()->shape;
  const auto [l, k] = nearest_factors(shape[0]);
  const auto [m, n] = nearest_factors(shape[1]);
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
    const Sizes size = sizes_of(at);
    const std::int64_t r = rank(at), columns = size.n * size.window;
    std::vector<Layer> own = {beside(at, ".lokr_w1", LayerKind::kLinear, {size.l, size.m}, {})};
    if (splits(at)) {
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
    const Sizes size = sizes_of(at);
    const std::string name = at.name + ".lokr_w1";
    const Tensor first = pass.each(name);
    Tensor second;
    if (splits(at)) {
      second = torch::matmul(pass.each(at.name + ".lokr_w2_a"), pass.each(at.name + ".lokr_w2_b"));
      pass.made_by(name, static_cast<double>(size.k * rank(at) * size.n * size.window),
                   second.requires_grad());
    } else {
      second = pass.each(at.name + ".lokr_w2");
    }
    const Tensor left = first.view({-1, size.l, 1, size.m, 1, 1});
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
  bool splits(const Layer& at) const {
    const Sizes size = sizes_of(at);
    return 2 * rank(at) < std::max(size.k, size.n);
  }

  LokrFields fields_;
  bool from_peft_;  ///< whose names need not all select a layer
};

Json write_lokr(const Method& method, const models::Blueprint& blueprint) {
  const auto& lokr = static_cast<const Lokr&>(method);
  Json json = lokr.peft_config("LOKR", blueprint);
  json["alpha"] = lokr.fields().alpha;
  json["decompose_both"] = false;
  json["decompose_factor"] = -1;
  json["init_weights"] = true;
  json["r"] = lokr.fields().rank;
  json["use_effective_conv2d"] = false;
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
  check_neutral(reader, "decompose_both", false);
  check_neutral(reader, "decompose_factor", -1);
  check_neutral(reader, "use_effective_conv2d", false);
  return std::make_shared<Lokr>(std::move(fields), true);
}

}  // namespace

std::pair<std::int64_t, std::int64_t> nearest_factors(std::int64_t number) {
  std::int64_t smaller = 1;
  for (std::int64_t factor = 2; factor * factor <= number; ++factor)
    if (number % factor == 0) smaller = factor;
  return {smaller, number / smaller};
}

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
