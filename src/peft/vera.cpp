#include "peft/vera.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/pass.h"
#include "peft/limits.h"
#include "peft/targeted.h"

namespace strata::peft {
namespace {

using models::Layer;
using models::LayerKind;
using torch::Tensor;

const std::string kVera = "vera", kA = "vera_A", kB = "vera_B";
const std::string kInner = ".vera_lambda_d", kOuter = ".vera_lambda_b";

const Fields<VeraFields>& vera_fields() {
  const Kind<std::vector<std::string>> names = layer_names();
  static const Fields<VeraFields> fields({
      field("rank", &VeraFields::rank, whole(1), "rows of A, columns of B"),
      field("targets", &VeraFields::targets, names,
            "the linear layers of blocks and connectors that get vectors"),
  });
  return fields;
}

/// What PEFT's kaiming_uniform_ takes from torch's generator of the CPU: 24 bits a number, and a
/// fused multiply-add, as torch computes it where the processor has one.
std::vector<float> kaiming_numbers(at::CPUGeneratorImpl& generator, const models::Shape& shape) {
  const double deviation = std::sqrt(2.0) / std::sqrt(static_cast<double>(shape[1]));
  const auto bound = static_cast<float>(std::sqrt(3.0) * deviation);
  std::vector<float> numbers(static_cast<std::size_t>(shape[0] * shape[1]));
  for (float& number : numbers) {
    const auto drawn = static_cast<float>(generator.random() & 0xFFFFFF);
    number = std::fma(drawn * 0x1p-24F, 2 * bound, -bound);
  }
  return numbers;
}

class Vera : public Targeted {
 public:
  Vera(VeraFields fields, bool from_peft)
      : Targeted(fields.targets, from_peft, is_linear_matrix, {"VeRA", "VeRA's vectors"}),
        fields_(std::move(fields)) {}
  const std::string& name() const override { return kVera; }
  const VeraFields& fields() const { return fields_; }
  using Targeted::peft_config;

  std::vector<Layer> shared_layers(const std::vector<Layer>& architecture) const override {
    std::int64_t out = 0, in = 0;
    for (const Layer& at : architecture) {
      if (!has(at)) continue;
      out = std::max(out, at.weight()->shape[0]);
      in = std::max(in, at.weight()->shape[1]);
    }
    return {projection(kA, fields_.rank, in), projection(kB, out, fields_.rank)};
  }
  std::vector<Layer> layers(const Layer& at) const override {
    if (!has(at)) return {};
    const models::Init tenth{models::Init::Kind::kNormal, 0, 0.1};
    return {beside(at, kInner, LayerKind::kScale, {fields_.rank}, tenth),
            beside(at, kOuter, LayerKind::kScale, {at.weight()->shape[0]}, {})};
  }
  Tensor after(const Layer& at, const Tensor& input, const Tensor& output,
               models::Pass& pass) const override {
    if (!has(at)) return output;
    const models::Shape& shape = at.weight()->shape;
    const Tensor down = pass.weight(kA).narrow(1, 0, shape[1]).unsqueeze(0);
    const Tensor up = pass.weight(kB).narrow(0, 0, shape[0]).unsqueeze(0);
    const Tensor inner =
        pass.scale(at.name + kInner, pass.product(at.name + kInner, at, input, down));
    return output + pass.scale(at.name + kOuter, pass.product(at.name + kOuter, at, inner, up));
  }
  std::vector<std::string> file_names(const Layer& layer,
                                      const models::Parameter& parameter) const override {
    if (layer.name == kA || layer.name == kB) return {"base_model." + parameter.name};
    return Targeted::file_names(layer, parameter);
  }
  std::set<std::string> left_out() const override {
    return fields_.prng_key ? std::set<std::string>{kA, kB} : std::set<std::string>{};
  }
  std::map<std::string, std::vector<float>> drawn_again(
      const models::Blueprint& blueprint) const override {
    if (!fields_.prng_key) return {};
    const at::Generator generator = at::detail::createCPUGenerator(*fields_.prng_key);
    std::map<std::string, std::vector<float>> drawn;
    for (const std::string& name : {kA, kB})  // in this order
      drawn[name] =
          kaiming_numbers(*generator.get<at::CPUGeneratorImpl>(), blueprint.parameter(name).shape);
    return drawn;
  }
  Json options() const override { return vera_fields().write(fields_); }
  void check(const models::Blueprint& blueprint, const std::string& where) const override {
    Targeted::check(blueprint, where);
    require_range(where, "vera.rank", fields_.rank, 1, kLargestRank);
  }

 private:
  static constexpr std::int64_t kLargestRank = 1 << 16;

  /// As torch.nn.init.kaiming_uniform_ draws it.
  static Layer projection(const std::string& name, std::int64_t out, std::int64_t in) {
    const double bound = std::sqrt(6 / static_cast<double>(std::max<std::int64_t>(1, in)));
    return {.name = name,
            .kind = LayerKind::kLinear,
            .width = out,
            .parameters = {{name, {out, in}, {models::Init::Kind::kUniform, bound}}},
            .frozen = true};
  }

  VeraFields fields_;
};

Json write_vera(const Method& method, const models::Blueprint& blueprint) {
  const auto& vera = static_cast<const Vera&>(method);
  Json json = vera.peft_config("VERA", blueprint);
  json["bias"] = "none";
  json["d_initial"] = 0.1;
  json["fan_in_fan_out"] = false;
  json["init_weights"] = true;
  json["projection_prng_key"] = vera.fields().prng_key.value_or(0);
  json["r"] = vera.fields().rank;
  json["save_projection"] = true;
  json["vera_dropout"] = 0.0;
  return json;
}

MethodPtr read_vera(ObjectReader& reader) {
  VeraFields fields;
  fields.rank = reader.integer("r", 1, kLargestField);
  fields.targets = reader.texts("target_modules");
  check_neutral_choices(reader);
  check_no_patterns(reader);
  pass_over_dropout(reader, "vera_dropout");
  if (!reader.boolean("save_projection", true)) {
    fields.prng_key =
        reader.integer("projection_prng_key", 0, std::numeric_limits<std::int64_t>::max(), 0);
  }
  return std::make_shared<Vera>(std::move(fields), true);
}

}  // namespace

MethodPtr make_vera(VeraFields fields) {
  return std::make_shared<Vera>(std::move(fields), false);
}

MethodType vera_type() {
  return from_fields({.name = kVera,
                      .section = "vera",
                      .plural = "VeRA's vectors",
                      .help = "vectors around two frozen matrices that all layers share (VeRA)",
                      .trains = own_layers(kVera),
                      .peft_type = "VERA",
                      .write_peft = write_vera,
                      .read_peft = read_vera},
                     vera_fields(), make_vera);
}

}  // namespace strata::peft
