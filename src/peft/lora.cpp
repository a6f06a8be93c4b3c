#include "peft/lora.h"

#include <algorithm>
#include <cmath>

#include "core/csv.h"
#include "models/pass.h"
#include "peft/limits.h"
#include "peft/patterns.h"
#include "peft/targeted.h"
#include "strata/core/error.h"

namespace strata::peft {
namespace {

using models::Blueprint;
using models::Layer;
using models::LayerKind;
using models::Parameter;
using torch::Tensor;

const std::string kLora = "lora";
constexpr const char* kBias = ".lora_B.bias";

/// As numbers, or as an option's text has them.
Kind<std::vector<std::int64_t>> whole_numbers() {
  using List = std::vector<std::int64_t>;
  const auto read = [](ObjectReader& reader, const std::string& key,
                       const std::optional<List>& fallback) {
    const Json& raw = reader.raw(key);
    if (raw.is_null()) return fallback.value_or(List());
    List found;
    for (const Json& value : raw.is_array() ? raw : Json::array({raw})) {
      std::int64_t read = 0;
      const bool text = value.is_string() && parse_integer(value.get<std::string>(), read);
      const Json number = text ? Json(read) : value;
      if (!number.is_number_integer() || number < 0 || number > kLargestField)
        reader.fail(key, excerpt(raw) + " is no list of whole numbers from 0 on");
      found.push_back(number);
    }
    return found;
  };
  return {read, [](const List& list) { return Json(list); }, Form::kList,
          "a list of blocks' numbers from 0"};
}

/// Whether what comes out is a map, (n, channels, h, w), and not rows.
bool is_map(const Layer& at) {
  return at.kind == LayerKind::kConvolution && !is_patches(at);
}

const Fields<LoraFields>& lora_fields() {
  const Kind<std::vector<std::string>> names = layer_names();
  static const Fields<LoraFields> fields({
      field("rank", &LoraFields::rank, whole(1), "rows of A, columns of B"),
      field("alpha", &LoraFields::alpha, number(1e-6, kLargestAlpha),
            "a pair's weight is `alpha` / `rank`"),
      field("targets", &LoraFields::targets, names,
            "the linear layers of blocks and connectors, or convolutions, that get a pair"),
      field("rank_pattern", &LoraFields::rank_pattern, rank_pattern_kind(),
            "other ranks than `rank`: `{output.dense: 4}`")
          .written_if_changed(),
      field("alpha_pattern", &LoraFields::alpha_pattern, alpha_pattern_kind(),
            "other numbers than `alpha`")
          .written_if_changed(),
      field("layers", &LoraFields::layers, whole_numbers(),
            "the blocks whose layers get a pair; all without")
          .written_if_changed(),
      field("exclude", &LoraFields::exclude, names, "targets that get none all the same")
          .written_if_changed(),
      field("rank_stabilized", &LoraFields::rank_stabilized, boolean(),
            "a pair's weight is `alpha` / √`rank` (rsLoRA)")
          .written_if_changed(),
      field("dora", &LoraFields::dora, boolean(),
            "rows of W + B A have trained lengths of their own (DoRA)")
          .written_if_changed(),
      field("bias", &LoraFields::bias, boolean(),
            "B has a trained bias (PEFT's `lora_bias`); not with `dora`")
          .written_if_changed(),
  });
  return fields;
}

class Lora : public Targeted {
 public:
  Lora(LoraFields fields, bool from_peft)
      : Targeted(fields.targets, from_peft, from_peft ? is_any_matrix : is_matrix_or_patches,
                 {"LoRA", "LoRA pairs"}),
        fields_(std::move(fields)),
        from_peft_(from_peft) {}
  const std::string& name() const override { return kLora; }
  const LoraFields& fields() const { return fields_; }
  bool from_peft() const { return from_peft_; }

  bool pairs(const Layer& layer) const {
    return has(layer) && !selects_any(fields_.exclude, layer) &&
           (fields_.layers.empty() || std::find(fields_.layers.begin(), fields_.layers.end(),
                                                block_number(layer)) != fields_.layers.end());
  }
  std::int64_t rank(const Layer& at) const {
    return by_pattern(fields_.rank_pattern, at, fields_.rank);
  }
  double alpha(const Layer& at) const {
    return by_pattern(fields_.alpha_pattern, at, fields_.alpha);
  }

  std::vector<Layer> layers(const Layer& at) const override {
    if (!pairs(at)) return {};
    const models::Shape& shape = at.weight()->shape;  // (out, in) or (out, in, size, size)
    const std::int64_t r = rank(at), inputs = at.weight()->numel() / shape[0];
    models::Shape down = shape, up = {shape[0], r};
    down[0] = r;
    if (shape.size() == 4) up.insert(up.end(), {1, 1});
    std::vector<Layer> own = {beside(at, ".lora_A", at.kind, down, kaiming(inputs), ".weight"),
                              beside(at, ".lora_B", at.kind, up, {}, ".weight")};
    own.front().stride = at.stride;
    own.front().padding = at.padding;
    if (fields_.bias) own.back().parameters.push_back({at.name + kBias, {shape[0]}, {}, true});
    if (fields_.dora) own.push_back(magnitude(at));
    return own;
  }
  Tensor after(const Layer& at, const Tensor& input, const Tensor& output,
               models::Pass& pass) const override {
    if (!pairs(at)) return output;
    const std::string down = at.name + ".lora_A", up = at.name + ".lora_B";
    const bool maps = is_map(at);
    const auto apply = [&](const std::string& factor, const Tensor& to) {
      return maps ? pass.convolution(factor, to) : pass.linear(factor, to);
    };
    const Tensor small = apply(down, input);
    if (fields_.bias) return output + apply(up, small) * scale(at);
    const Tensor change = apply(up, small * scale(at));
    return fields_.dora ? with_magnitude(at, output, change, pass) : output + change;
  }

  /// PEFT itself finds LoRA pairs of models that answer in words under the names of any
  /// transformers.
  std::vector<std::string> file_names(const Layer& layer,
                                      const Parameter& parameter) const override {
    std::vector<std::string> names = Targeted::file_names(layer, parameter);
    names.resize(layer.two_names ? 2 : 1);
    return names;
  }

  Json options() const override { return lora_fields().write(fields_); }
  void check(const Blueprint& blueprint, const std::string& where) const override;

  std::vector<FactorPair> factors(const Blueprint& blueprint) const override {
    std::vector<FactorPair> found;
    for (const Layer& layer : blueprint.architecture().layers()) {
      if (pairs(layer))
        found.push_back({layer.name + ".lora_A.weight", layer.name + ".lora_B.weight",
                         fields_.dora ? "" : layer.weight()->name, scale(layer),
                         fields_.bias ? layer.name + kBias : ""});
    }
    return found;
  }

 private:
  double scale(const Layer& at) const {
    const auto r = static_cast<double>(rank(at));
    return alpha(at) / (fields_.rank_stabilized ? std::sqrt(r) : r);
  }
  static Layer magnitude(const Layer& at) {
    const std::int64_t out = at.weight()->shape[0];
    models::Init norms{models::Init::Kind::kRowNorms};
    norms.of = at.weight()->name;
    models::Shape shape = {out};
    if (at.kind == LayerKind::kConvolution) shape = {1, out, 1, 1};
    Layer layer = beside(at, ".lora_magnitude_vector", LayerKind::kScale, shape, norms);
    layer.width = out;
    return layer;
  }
  /// m ⊙ (W x + s B A x) / ‖W + s B A‖ + b, by rows; the norm is taken as a constant (DoRA, §4.3).
  Tensor with_magnitude(const Layer& at, const Tensor& output, const Tensor& change,
                        models::Pass& pass) const {
    const std::string name = at.name + ".lora_magnitude_vector";
    const bool maps = is_map(at);
    Tensor bias = at.bias() ? pass.weight(at.bias()->name) : Tensor();
    Tensor norms;
    {
      const torch::NoGradGuard no_grad;
      const Tensor down = pass.weight(at.name + ".lora_A.weight").flatten(1);
      const Tensor up = pass.weight(at.name + ".lora_B.weight").flatten(1);
      const Tensor matrix = pass.weight(at.weight()->name).flatten(1);
      norms =
          torch::linalg_vector_norm(matrix + scale(at) * torch::mm(up, down), 2, {1}, false, {});
      pass.made_by(name, static_cast<double>(up.numel() * down.size(1)), false);
    }
    if (maps) {
      norms = norms.view({1, -1, 1, 1});
      if (bias.defined()) bias = bias.view({1, -1, 1, 1});
    }
    const Tensor without = bias.defined() ? output - bias : output;
    const Tensor scaled = pass.scale(name, (without + change) / norms);
    return bias.defined() ? with_bias(at, scaled + bias, norms, pass) : scaled;
  }

  /// Through `output`, of which it was subtracted, a bias is taken to have m / ‖W + s B A‖ of its
  /// gradient: the rest of it.
  static Tensor with_bias(const Layer& at, const Tensor& sum, const Tensor& norms,
                          models::Pass& pass) {
    const std::string& bias = at.bias()->name;
    if (!pass.wants(bias)) return sum;
    const Tensor lengths = pass.weight(at.name + ".lora_magnitude_vector").view_as(norms);
    const Tensor rest = (1 - lengths / norms).detach().expand_as(sum);
    if (!is_map(at)) return pass.used(models::Use::kScaled, bias, rest, sum);
    const auto rows = [](const Tensor& maps) { return maps.permute({0, 2, 3, 1}).contiguous(); };
    return pass.used(models::Use::kScaled, bias, rows(rest), rows(sum)).permute({0, 3, 1, 2});
  }

  LoraFields fields_;
  bool from_peft_;  ///< whose targets need not all select a layer
};

void Lora::check(const Blueprint& blueprint, const std::string& where) const {
  if (!(fields_.alpha > 0 && fields_.alpha <= kLargestAlpha))
    throw InputError(where + ": lora_alpha must be above 0 and at most 1e6");
  if (fields_.bias && fields_.dora)
    throw InputError(where + ": a LoRA pair's bias does not go with DoRA; PEFT has either alone");
  Targeted::check(blueprint, where);
  const auto& layers = blueprint.architecture().layers();
  if (!from_peft_) {
    check_patterns(fields_.rank_pattern, fields_.alpha_pattern, blueprint, is_matrix_or_patches,
                   "a LoRA pair", where);
    check_names(fields_.exclude, blueprint, is_matrix_or_patches, "a LoRA pair", where);
  }
  bool any = false;
  for (const Layer& layer : layers) {
    if (!pairs(layer)) continue;
    any = true;
    if (layer.role == Role::kHead) continue;  // a few labels, of which PEFT takes any rank
    const models::Shape& shape = layer.weight()->shape;
    require_range(where, "lora_rank", rank(layer), 1,
                  std::min(shape[0], layer.weight()->numel() / shape[0]));
  }
  if (!any)
    throw InputError(where + ": no target is left: `layers` and `exclude` take all of them away");
}

void check_neutral_fields(ObjectReader& reader) {
  for (const auto& [key, neutral] :
       std::vector<std::pair<std::string, Json>>{{"alora_invocation_tokens", nullptr},
                                                 {"arrow_config", nullptr},
                                                 {"fan_in_fan_out", false},
                                                 {"kasa_config", nullptr},
                                                 {"layer_replication", nullptr},
                                                 {"layers_pattern", nullptr},
                                                 {"monteclora_config", nullptr},
                                                 {"target_parameters", nullptr},
                                                 {"trainable_token_indices", nullptr},
                                                 {"use_bdlora", nullptr},
                                                 {"use_qalora", false}}) {
    check_neutral(reader, key, neutral);
  }
}

/// Those of PEFT's fields that are ours under other names; each may be null.
void read_choices(ObjectReader& reader, LoraFields& fields) {
  const auto is_there = [&](const char* key) { return !reader.raw(key).is_null(); };
  read_patterns(reader, fields.rank_pattern, fields.alpha_pattern);
  if (is_there("layers_to_transform"))
    fields.layers = whole_numbers().read(reader, "layers_to_transform", {});
  if (is_there("exclude_modules")) fields.exclude = reader.texts("exclude_modules");
  if (is_there("lora_bias")) fields.bias = reader.boolean("lora_bias", false);
  if (is_there("use_dora")) fields.dora = reader.boolean("use_dora", false);
  if (is_there("use_rslora")) fields.rank_stabilized = reader.boolean("use_rslora", false);
}

}  // namespace

MethodPtr make_lora(LoraFields fields) {
  return std::make_shared<Lora>(std::move(fields), false);
}

std::vector<std::string> lora_targets(const Blueprint& blueprint) {
  return target_names(blueprint, is_matrix_or_patches);
}

Blueprint with_ranks(const Blueprint& blueprint, const std::map<std::string, std::int64_t>& ranks) {
  Blueprint changed = blueprint;
  models::Attachments attachments = blueprint.attachments();
  std::map<std::string, std::int64_t> left = ranks;
  for (auto& attachment : attachments) {
    const auto* lora = dynamic_cast<const Lora*>(attachment.get());
    if (!lora) continue;
    LoraFields fields = lora->fields();
    fields.rank_pattern.clear();
    for (const Layer& layer : blueprint.architecture().layers()) {
      if (!lora->pairs(layer)) continue;
      const auto own = ranks.find(layer.name + ".lora_A.weight");
      fields.rank_pattern[layer.name] = own == ranks.end() ? lora->rank(layer) : own->second;
      left.erase(layer.name + ".lora_A.weight");
    }
    auto method = std::make_shared<Lora>(std::move(fields), lora->from_peft());
    method->check(blueprint, "ranks");
    attachment = std::move(method);
  }
  if (!left.empty()) throw InputError("\"" + left.begin()->first + "\" is of no LoRA pair");
  changed.set_attachments(std::move(attachments));
  return changed;
}

namespace {

Json lora_config(const Method& method, const Blueprint& blueprint) {
  const auto& lora = static_cast<const Lora&>(method);
  Json json = Json::object();
  json["base_model_name_or_path"] = nullptr;
  json["bias"] = "none";
  json["fan_in_fan_out"] = false;
  json["inference_mode"] = true;
  json["init_lora_weights"] = true;
  // An integer where it is one, as PEFT declares the field.
  const auto alpha = static_cast<std::int64_t>(lora.fields().alpha);
  if (static_cast<double>(alpha) == lora.fields().alpha) {
    json["lora_alpha"] = alpha;
  } else {
    json["lora_alpha"] = lora.fields().alpha;
  }
  json["lora_dropout"] = 0.0;
  json["modules_to_save"] = nullptr;
  json["peft_type"] = "LORA";
  json["r"] = lora.fields().rank;
  json["target_modules"] =
      target_modules(blueprint, [&](const Layer& layer) { return lora.pairs(layer); });
  json["task_type"] = nullptr;
  write_patterns({[&](const Layer& layer) { return lora.pairs(layer); },
                  [&](const Layer& layer) { return lora.rank(layer); },
                  [&](const Layer& layer) { return lora.alpha(layer); }},
                 lora.fields().rank, lora.fields().alpha, blueprint, json);
  if (lora.fields().bias) json["lora_bias"] = true;
  if (lora.fields().dora) json["use_dora"] = true;
  if (lora.fields().rank_stabilized) json["use_rslora"] = true;
  return json;
}

}  // namespace

MethodPtr read_lora_config(ObjectReader& reader) {
  LoraFields fields;
  fields.rank = reader.integer("r", 1, kLargestField);
  fields.alpha = reader.number("lora_alpha", 0, kLargestAlpha, fields.alpha);
  fields.targets = reader.texts("target_modules");
  read_choices(reader, fields);
  check_neutral_fields(reader);
  pass_over_dropout(reader, "lora_dropout");
  // Others (pissa, olora, …) change the model's own weights when PEFT adds the pairs.
  const Json& start = reader.raw("init_lora_weights");
  if (!start.is_null() && !start.is_boolean() && start != "gaussian" && start != "eva") {
    reader.fail("init_lora_weights",
                excerpt(start) +
                    " is not supported, as it changes the model's own weights; only "
                    "true, false, \"gaussian\" and \"eva\" are");
  }
  return std::make_shared<Lora>(std::move(fields), true);
}

MethodType lora_type() {
  return from_fields({.name = kLora,
                      .section = "lora",
                      .plural = "LoRA pairs",
                      .help = "low-rank pairs beside linear layers of the blocks",
                      .needs = "lora_rank",
                      .trains = own_layers(kLora),
                      .peft_type = "LORA",
                      .write_peft = lora_config,
                      .read_peft = read_lora_config},
                     lora_fields(), make_lora);
}

}  // namespace strata::peft
