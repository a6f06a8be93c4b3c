#include "peft/lora.h"

#include <algorithm>
#include <set>

#include "models/pass.h"
#include "peft/limits.h"
#include "strata/core/error.h"

namespace strata::peft {
namespace {

using models::Blueprint;
using models::Layer;
using torch::Tensor;

const std::string kLora = "lora";
constexpr double kLargestAlpha = 1e6;

const Fields<LoraFields>& lora_fields() {
  Kind<std::vector<std::string>> names = distinct_texts();
  names.allowed = "a list of ends of layers' names: `query`, `key`, `output.dense`, …";
  static const Fields<LoraFields> fields({
      field("rank", &LoraFields::rank, whole(1), "rows of A, columns of B"),
      field("alpha", &LoraFields::alpha, number(1e-6, kLargestAlpha),
            "a pair's weight is `alpha` / `rank`"),
      field("targets", &LoraFields::targets, names, "the linear layers of a block that get a pair"),
  });
  return fields;
}

bool all_digits(const std::string& text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// PEFT's rule for `target_modules`.
bool selects(const std::string& target, const std::string& name) {
  return name == target || (name.size() > target.size() && name.ends_with(target) &&
                            name[name.size() - target.size() - 1] == '.');
}

bool selects(const std::string& target, const Layer& layer) {
  return selects(target, layer.name) || (!layer.renamed.empty() && selects(target, layer.renamed));
}

bool can_have_pair(const Layer& layer) {
  return layer.kind == models::LayerKind::kLinear &&
         (layer.role == Role::kBody || layer.role == Role::kVision) && layer.method.empty();
}

/// The endings of a name at its dots, the shortest first.
std::vector<std::string> endings(const std::string& name) {
  std::vector<std::string> found;
  for (std::size_t dot = name.rfind('.');; dot = name.rfind('.', dot - 1)) {
    found.push_back(name.substr(dot == std::string::npos ? 0 : dot + 1));
    if (dot == std::string::npos || dot == 0) return found;
  }
}

/// What comes behind the number of its block in a layer's name; all of a name without one.
std::string behind_number(const std::string& name) {
  std::string tail = name;
  for (const std::string& ending : endings(name)) {
    if (all_digits(ending.substr(0, ending.find('.')))) return tail;
    tail = ending;
  }
  return name;
}

/// The same with the number and the word before it: "layer.3.output.dense".
std::string with_number(const std::string& name) {
  const std::size_t tail = behind_number(name).size();
  for (const std::string& ending : endings(name)) {
    if (ending.size() > tail && !all_digits(ending.substr(0, ending.find('.')))) return ending;
  }
  return name;
}

/// The architecture's layers by one of their two names.
struct Named {
  std::string name;
  const Layer* layer;
};
std::vector<Named> named_layers(const Blueprint& blueprint, std::string Layer::*name) {
  std::vector<Named> all;
  for (const Layer& layer : blueprint.architecture().layers()) {
    const std::string& own = (layer.*name).empty() ? layer.name : layer.*name;
    if (layer.weight()) all.push_back({own, &layer});
  }
  return all;
}

/// Whether an ending selects layers of which `may` is true alone.
template <typename May>
bool selects_only(const std::string& ending, const std::vector<Named>& all, const May& may) {
  return std::all_of(all.begin(), all.end(),
                     [&](const Named& at) { return !selects(ending, at.name) || may(at); });
}

class Lora : public Method {
 public:
  Lora(LoraFields fields, bool from_peft) : fields_(std::move(fields)), from_peft_(from_peft) {}
  const std::string& name() const override { return kLora; }
  const LoraFields& fields() const { return fields_; }

  bool targets(const Layer& layer) const {
    return can_have_pair(layer) &&
           std::any_of(fields_.targets.begin(), fields_.targets.end(),
                       [&](const std::string& target) { return selects(target, layer); });
  }

  std::vector<Layer> layers(const Layer& at) const override {
    if (!targets(at)) return {};
    const models::Shape& shape = at.weight()->shape;  // (out, in)
    const double bound = 1 / std::sqrt(static_cast<double>(shape[1]));
    return {factor(at, ".lora_A", fields_.rank, shape[1], {models::Init::Kind::kUniform, bound}),
            factor(at, ".lora_B", shape[0], fields_.rank, {})};
  }
  Tensor after(const Layer& at, const Tensor& input, const Tensor& output,
               models::Pass& pass) const override {
    if (!targets(at)) return output;
    const Tensor small = pass.linear(at.name + ".lora_A", input);
    return output + pass.linear(at.name + ".lora_B", small * scale());
  }

  Json options() const override { return lora_fields().write(fields_); }
  void check(const Blueprint& blueprint, const std::string& where) const override;

  std::vector<std::string> file_names(const Layer& layer,
                                      const models::Parameter& parameter) const override {
    const std::string prefix = "base_model.model.", ending = ".weight";
    std::vector<std::string> names = {prefix + parameter.name};
    if (layer.two_names) names.push_back(prefix + layer.renamed + ending);
    return names;
  }
  std::vector<FactorPair> factors(const Blueprint& blueprint) const override {
    std::vector<FactorPair> pairs;
    for (const Layer& layer : blueprint.architecture().layers()) {
      if (targets(layer))
        pairs.push_back({layer.name + ".lora_A.weight", layer.name + ".lora_B.weight",
                         layer.weight()->name, scale()});
    }
    return pairs;
  }

 private:
  double scale() const { return fields_.alpha / static_cast<double>(fields_.rank); }
  static Layer factor(const Layer& at, const std::string& ending, std::int64_t out, std::int64_t in,
                      models::Init init) {
    return {.name = at.name + ending,
            .kind = models::LayerKind::kLinear,
            .stage = at.stage,
            .role = at.role,
            .width = out,
            .parameters = {{at.name + ending + ".weight", {out, in}, init}},
            .renamed = at.renamed.empty() ? "" : at.renamed + ending,
            .two_names = at.two_names,
            .frozen = at.frozen};
  }

  LoraFields fields_;
  bool from_peft_;  ///< whose targets need not all select a layer
};

void Lora::check(const Blueprint& blueprint, const std::string& where) const {
  if (!(fields_.alpha > 0 && fields_.alpha <= kLargestAlpha))
    throw InputError(where + ": lora_alpha must be above 0 and at most 1e6");
  const std::vector<std::string> known = lora_targets(blueprint);
  if (known.empty()) no_place(where, blueprint, "LoRA pairs");
  if (fields_.targets.empty()) {
    throw InputError(where + ": LoRA needs at least one target; the targets are " +
                     quoted_list(known));
  }
  bool any = false;
  std::set<std::string> seen;
  for (const std::string& target : fields_.targets) {
    bool found = false, others = false;
    for (const Layer& layer : blueprint.architecture().layers()) {
      if (!layer.weight() || !selects(target, layer)) continue;
      (can_have_pair(layer) ? found : others) = true;
    }
    any = any || found;
    if (others || (!found && !from_peft_)) {
      throw InputError(where + ": unknown LoRA target \"" + target + "\"" +
                       did_you_mean(target, known) + "; the targets are " + quoted_list(known));
    }
    if (!seen.insert(target).second)
      throw InputError(where + ": the LoRA target \"" + target + "\" is named twice");
  }
  if (!any) {
    throw InputError(where + ": target_modules: no layer of the model is called " +
                     quoted_list(fields_.targets));
  }
  for (const Layer& layer : blueprint.architecture().layers()) {
    if (!targets(layer)) continue;
    const models::Shape& shape = layer.weight()->shape;
    require_range(where, "lora_rank", fields_.rank, 1, std::min(shape[0], shape[1]));
  }
}

/// A field of PEFT's LoraConfig that must be absent, null or what it is when nothing asks for it.
void check_neutral(ObjectReader& reader, const std::string& key, const Json& neutral) {
  const Json& found = reader.raw(key);
  const bool empty = found.is_null() || ((found.is_array() || found.is_object()) && found.empty());
  if (!empty && found != neutral)
    reader.fail(key, excerpt(found) + " is not supported; only " + neutral.dump() + " is");
}

void check_neutral_fields(ObjectReader& reader) {
  for (const auto& [key, neutral] :
       std::vector<std::pair<std::string, Json>>{{"alpha_pattern", Json::object()},
                                                 {"bias", "none"},
                                                 {"exclude_modules", nullptr},
                                                 {"fan_in_fan_out", false},
                                                 {"layer_replication", nullptr},
                                                 {"layers_to_transform", nullptr},
                                                 {"lora_bias", false},
                                                 {"lora_dropout", 0.0},
                                                 {"modules_to_save", nullptr},
                                                 {"rank_pattern", Json::object()},
                                                 {"target_parameters", nullptr},
                                                 {"trainable_token_indices", nullptr},
                                                 {"use_dora", false},
                                                 {"use_qalora", false},
                                                 {"use_rslora", false}}) {
    check_neutral(reader, key, neutral);
  }
}

/// Whether an ending is of layers of several kinds and says so little that other models' poolers
/// are called so, too: "dense".
bool is_vague(const std::string& ending, const std::vector<Named>& all) {
  std::set<std::string> tails;
  for (const Named& at : all)
    if (selects(ending, at.name)) tails.insert(behind_number(at.name));
  return ending.find('.') == std::string::npos && tails.size() > 1;
}

/// Appends the targets of one naming.
void add_target_modules(const Lora& lora, const std::vector<Named>& all,
                        std::vector<std::string>& targets) {
  const auto targeted = [&](const Named& at) { return lora.targets(*at.layer); };
  std::set<std::string> done;  // kinds of layers that have an ending
  for (const Named& at : all) {
    if (!targeted(at)) continue;
    const std::string tail = behind_number(at.name);
    if (done.count(tail)) continue;
    std::string ending;
    for (const std::string& candidate : endings(tail)) {
      if (ending.empty() && selects_only(candidate, all, targeted) && !is_vague(candidate, all))
        ending = candidate;
    }
    if (ending.empty()) {
      targets.push_back(with_number(at.name));
      continue;
    }
    done.insert(tail);
    // An ending of two kinds of layers stands where the second would.
    targets.erase(std::remove(targets.begin(), targets.end(), ending), targets.end());
    targets.push_back(ending);
  }
}

}  // namespace

MethodPtr make_lora(LoraFields fields) {
  return std::make_shared<Lora>(std::move(fields), false);
}

std::vector<std::string> lora_targets(const Blueprint& blueprint) {
  std::vector<std::string> names;
  for (const auto name : {&Layer::name, &Layer::renamed}) {
    const auto all = named_layers(blueprint, name);
    for (const Named& at : all) {
      if (!can_have_pair(*at.layer)) continue;
      const std::string tail = behind_number(at.name);
      const auto ends = endings(tail);
      const auto ending = std::find_if(ends.begin(), ends.end(), [&](const std::string& candidate) {
        return selects_only(candidate, all, [&](const Named& other) {
          return can_have_pair(*other.layer) && behind_number(other.name) == tail;
        });
      });
      const std::string& found = ending == ends.end() ? tail : *ending;
      if (std::find(names.begin(), names.end(), found) == names.end()) names.push_back(found);
    }
  }
  return names;
}

std::string lora_config(const Method& method, const Blueprint& blueprint) {
  const auto& lora = static_cast<const Lora&>(method);
  std::vector<std::string> targets;
  add_target_modules(lora, named_layers(blueprint, &Layer::name), targets);
  const auto& layers = blueprint.architecture().layers();
  if (std::any_of(layers.begin(), layers.end(), [](const Layer& at) { return at.two_names; }))
    add_target_modules(lora, named_layers(blueprint, &Layer::renamed), targets);
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
  json["target_modules"] = targets;
  json["task_type"] = nullptr;
  return json.dump(2) + "\n";
}

MethodPtr read_lora_config(ObjectReader& reader) {
  LoraFields fields;
  reader.choice("peft_type", {"LORA"});
  fields.rank = reader.integer("r", 1, kLargestField);
  fields.alpha = reader.number("lora_alpha", 0, kLargestAlpha, fields.alpha);
  fields.targets = reader.texts("target_modules");
  check_neutral_fields(reader);
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
                      .trains = own_layers(kLora)},
                     lora_fields(), make_lora);
}

}  // namespace strata::peft
