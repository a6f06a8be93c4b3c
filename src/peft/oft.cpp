#include "peft/oft.h"

#include <algorithm>
#include <cmath>

#include "models/pass.h"
#include "peft/limits.h"
#include "peft/targeted.h"
#include "strata/core/error.h"

namespace strata::peft {
namespace {

using models::Layer;
using models::LayerKind;
using torch::Tensor;

const std::string kOft = "oft", kRotation = ".oft_R";

const Fields<OftFields>& oft_fields() {
  const Kind<std::vector<std::string>> names = layer_names();
  static const Fields<OftFields> fields({
      field("block", &OftFields::block, whole(2), "numbers of an input that are turned together"),
      field(
          "targets", &OftFields::targets, names,
          "the linear layers of blocks and connectors, or convolutions of 1 x 1, whose inputs are "
          "turned"),
      field("series", &OftFields::series, boolean(),
            "five terms of the Cayley transform's series, as PEFT has it, or the transform itself"),
  });
  return fields;
}

/// (…, b(b-1)/2) to skew-symmetric (…, b, b), rows of the upper triangle one after the other.
Tensor skew(const Tensor& numbers, std::int64_t size) {
  const Tensor at = torch::triu_indices(size, size, 1, numbers.options().dtype(torch::kLong));
  std::vector<std::int64_t> shape = numbers.sizes().vec();
  shape.back() = size * size;
  const Tensor places = (at[0] * size + at[1]).expand(numbers.sizes());
  const Tensor upper = torch::zeros(shape, numbers.options()).scatter(-1, places, numbers);
  shape.back() = size;
  shape.push_back(size);
  const Tensor square = upper.view(shape);
  return square - square.transpose(-2, -1);
}

/// Numbers whose skew-symmetric matrices are as long as `longest` at most, those of (n, blocks, …)
/// each; gradients are those by what is cut, as PEFT, which cuts its weights themselves, has them.
Tensor cut(const Tensor& numbers, double longest) {
  const Tensor values = numbers.detach();
  const Tensor lengths =
      std::sqrt(2.0) * torch::linalg_vector_norm(values, 2, {-1}, /*keepdim=*/true, {});
  return numbers + values * ((longest / lengths).clamp_max(1) - 1);
}

/// Matrix products in series().
std::int64_t powers(std::int64_t terms) {
  return terms == 2 ? 0 : std::max<std::int64_t>(terms, 4) - 2;
}

/// I + 2Q of two terms, else I + 2Q + 2Q² + … + Q^(terms - 1), the last one once; of three terms
/// PEFT makes four.
Tensor series(const Tensor& q, std::int64_t terms) {
  Tensor power = q, sum = torch::eye(q.size(-1), q.options()) + 2 * q;
  const std::int64_t all = powers(terms);
  for (std::int64_t i = 0; i < all; ++i) {
    power = torch::matmul(power, q);
    sum = sum + (i + 1 < all ? 2 : 1) * power;
  }
  return sum;
}

/// The divisor of a number that is nearest to another, the smaller of two.
std::int64_t nearest_divisor(std::int64_t number, std::int64_t to) {
  for (std::int64_t by = 0; to < number; ++by) {
    if (by < to && number % (to - by) == 0) return to - by;
    if (number % (to + by) == 0) return to + by;
  }
  return number;
}

/// (I + Q)⁻¹ (I - Q) from the right: X with X (I + Q) = I - Q.
Tensor cayley(const Tensor& q) {
  const Tensor identity = torch::eye(q.size(-1), q.options()).expand_as(q);
  const Tensor turned = std::get<0>(
      torch::linalg_solve_ex((identity + q).transpose(-2, -1), (identity - q).transpose(-2, -1)));
  return turned.transpose(-2, -1);
}

class Oft : public Targeted {
 public:
  Oft(OftFields fields, bool from_peft)
      : Targeted(fields.targets, from_peft, is_pointwise, {"OFT", "OFT's rotations"}),
        fields_(std::move(fields)),
        from_peft_(from_peft) {}
  const std::string& name() const override { return kOft; }
  const OftFields& fields() const { return fields_; }
  using Targeted::peft_config;

  std::vector<Layer> layers(const Layer& at) const override {
    if (!has(at)) return {};
    const std::int64_t b = block(at), blocks = fields_.shared ? 1 : at.weight()->shape[1] / b;
    return {beside(at, kRotation, LayerKind::kLinear, {blocks, b * (b - 1) / 2}, {}, ".weight")};
  }
  /// x R for rows x, each block by itself: PEFT's R is the transpose of one that stands before x.
  Tensor before(const Layer& at, const Tensor& input, models::Pass& pass) const override {
    if (!has(at)) return input;
    const bool maps = at.kind == LayerKind::kConvolution;
    const Tensor rows = maps ? input.permute({0, 2, 3, 1}) : input;
    const std::int64_t b = block(at), blocks = rows.size(-1) / b;
    const std::string name = at.name + kRotation;
    Tensor numbers = pass.each(name + ".weight");  // (1 or n, blocks or 1, b(b-1)/2)
    if (fields_.longest > 0)
      numbers = cut(numbers, fields_.longest / std::sqrt(static_cast<double>(numbers.size(1))));
    const Tensor q = skew(numbers, b);
    const Tensor made = fields_.series ? series(q, fields_.terms) : cayley(q);
    pass.made_by(name, static_cast<double>(powers(fields_.terms) * q.size(1) * b * b * b),
                 made.requires_grad());
    const Tensor turn = made.expand({-1, blocks, -1, -1});
    const Tensor turned = pass.product(name, at, rows, turn.transpose(-2, -1));
    return maps ? turned.permute({0, 3, 1, 2}) : turned;
  }
  Json options() const override { return oft_fields().write(fields_); }
  void check(const models::Blueprint& blueprint, const std::string& where) const override {
    Targeted::check(blueprint, where);
    for (const Layer& layer : blueprint.architecture().layers()) {
      if (!has(layer)) continue;
      if (block(layer) < 2)
        throw InputError(where + ": OFT's blocks of the inputs of \"" + layer.name +
                         "\" would have one number each, of which there is no rotation");
      if (from_peft_ || layer.weight()->shape[1] % fields_.block == 0) continue;
      throw InputError(where + ": oft.block: found " + std::to_string(fields_.block) +
                       ", but it must divide the " + std::to_string(layer.weight()->shape[1]) +
                       " inputs of \"" + layer.name + "\"");
    }
  }

 private:
  std::int64_t block(const Layer& at) const {
    const std::int64_t in = at.weight()->shape[1];
    return fields_.blocks > 0 ? in / nearest_divisor(in, fields_.blocks)
                              : nearest_divisor(in, fields_.block);
  }

  OftFields fields_;
  bool from_peft_;
};

Json write_oft(const Method& method, const models::Blueprint& blueprint) {
  const auto& oft = static_cast<const Oft&>(method);
  Json json = oft.peft_config("OFT", blueprint);
  json["bias"] = "none";
  json["block_share"] = oft.fields().shared;
  json["coft"] = oft.fields().longest > 0;
  if (oft.fields().longest > 0) json["eps"] = oft.fields().longest;
  json["fan_in_fan_out"] = false;
  json["init_weights"] = true;
  json["num_cayley_neumann_terms"] = oft.fields().terms;
  json["oft_block_size"] = oft.fields().blocks > 0 ? 0 : oft.fields().block;
  json["r"] = oft.fields().blocks;
  json["use_cayley_neumann"] = oft.fields().series;
  return json;
}

MethodPtr read_oft(ObjectReader& reader) {
  OftFields fields;
  fields.blocks = reader.integer("r", 0, kLargestField, 0);
  if (fields.blocks == 0)
    fields.block = reader.integer("oft_block_size", 2, kLargestField);
  else
    check_neutral(reader, "oft_block_size", 0);
  fields.targets = reader.texts("target_modules");
  fields.series = reader.boolean("use_cayley_neumann", true);
  check_neutral_choices(reader);
  check_no_patterns(reader);
  fields.shared = reader.boolean("block_share", false);
  if (reader.boolean("coft", false)) fields.longest = reader.number("eps", 1e-12, 1e6, 6e-5);
  constexpr std::int64_t kMostTerms = 64;
  if (fields.series)
    fields.terms = reader.integer("num_cayley_neumann_terms", 2, kMostTerms, fields.terms);
  return std::make_shared<Oft>(std::move(fields), true);
}

}  // namespace

MethodPtr make_oft(OftFields fields) {
  return std::make_shared<Oft>(std::move(fields), false);
}

MethodType oft_type() {
  return from_fields({.name = kOft,
                      .section = "oft",
                      .plural = "OFT's rotations",
                      .help = "rotations of the inputs of linear layers and of convolutions of "
                              "1 x 1, in blocks (OFT)",
                      .trains = own_layers(kOft),
                      .peft_type = "OFT",
                      .write_peft = write_oft,
                      .read_peft = read_oft},
                     oft_fields(), make_oft);
}

}  // namespace strata::peft
