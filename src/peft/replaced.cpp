#include "peft/replaced.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <set>

#include "peft/files.h"
#include "peft/targeted.h"
#include "strata/core/error.h"

namespace strata::peft {
namespace {

using models::Blueprint;
using models::Layer;
using models::Parameter;
using models::StoredParameter;

/// "classifier" is the module of "classifier.1", too.
bool is_in(const std::string& module, const std::string& layer) {
  return ("." + layer + ".").find("." + module + ".") != std::string::npos;
}

constexpr const char* kNormWrapper = ".ln_tuning_layers";

class Replaced {
 public:
  enum class For : std::uint8_t {
    kReading,     ///< under every name of a layer
    kWriting,     ///< under those that transformers has
    kWritingBoth  ///< the same of a ViT, whose layers all have two
  };
  explicit Replaced(For use) : use_(use) {}
  static Replaced writing(const Blueprint& blueprint) {
    return Replaced(has_two_names(blueprint.architecture()) ? For::kWritingBoth : For::kWriting);
  }
  /// Its parameter, as PEFT's wrapper of a layer calls it: ".base_layer", "" for none. Of several
  /// the first is written.
  void add(const Layer& layer, const Parameter& parameter,
           const std::vector<std::string>& wrappers) {
    if (!known_.insert(parameter.name).second) return;
    const std::string tail = parameter.name.substr(layer.name.size());
    std::vector<std::string> names = {layer.name};
    if (!layer.renamed.empty() && use_ != For::kWriting) names.push_back(layer.renamed);
    const auto others = use_ == For::kReading ? layer.aliases : other_names(layer);
    if (use_ != For::kWritingBoth) names.insert(names.end(), others.begin(), others.end());
    StoredParameter stored{parameter, {}};
    for (const std::string& name : names) {
      for (const std::string& wrapper : wrappers) {
        stored.names.push_back(kPeftPrefix + name + wrapper + tail);
        if (use_ != For::kReading) break;
      }
    }
    all_.push_back(std::move(stored));
  }
  void add_whole(const Layer& layer, const std::vector<std::string>& wrappers) {
    for (const auto* own : {&layer.parameters, &layer.buffers})
      for (const Parameter& parameter : *own) add(layer, parameter, wrappers);
  }
  std::vector<StoredParameter> take() { return std::move(all_); }

 private:
  For use_;
  std::set<std::string> known_;
  std::vector<StoredParameter> all_;
};

/// What PEFT calls the biases of a method's own layers: "lora_only".
std::string only_of(std::string type) {
  std::transform(type.begin(), type.end(), type.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return type + "_only";
}

void add_biases(ObjectReader& config, const std::string& type, const Method* method,
                const Blueprint& blueprint, Replaced& replaced) {
  if (config.raw("bias").is_null()) return;
  const std::string only = only_of(type);
  const std::string which = config.choice("bias", {"none", "all", only});
  if (which == "none") return;
  for (const Layer& layer : blueprint.architecture().layers()) {
    const bool changed = method && !method->layers(layer).empty();
    if (!layer.bias() || (which == only && !changed)) continue;
    replaced.add(layer, *layer.bias(), {changed ? ".base_layer" : ""});
  }
}

void add_modules(ObjectReader& config, const Blueprint& blueprint, Replaced& replaced) {
  if (config.raw("modules_to_save").is_null()) return;
  for (const std::string& module : config.texts("modules_to_save")) {
    bool found = false;
    std::vector<std::string> known;
    for (const Layer& layer : blueprint.architecture().layers()) {
      if (!layer.weight()) continue;
      known.push_back(layer.name);
      const auto in_module = [&](const std::string& name) { return is_in(module, name); };
      if (!in_module(layer.name) && !(layer.renamed.size() && in_module(layer.renamed)) &&
          std::none_of(layer.aliases.begin(), layer.aliases.end(), in_module))
        continue;
      found = true;
      replaced.add_whole(layer, {"", ".modules_to_save"});
    }
    if (!found) {
      config.fail("modules_to_save",
                  "the model has no module \"" + module + "\"" + did_you_mean(module, known));
    }
  }
}

void add_norms(ObjectReader& config, const Blueprint& blueprint, Replaced& replaced) {
  check_neutral(config, "exclude_modules", nullptr);
  const std::vector<std::string> targets = config.texts("target_modules");
  bool found = false;
  for (const Layer& layer : blueprint.architecture().layers()) {
    if (!is_norm(layer) || !selects_any(targets, layer)) continue;
    found = true;
    replaced.add_whole(layer, {kNormWrapper});
  }
  if (!found) {
    config.fail("target_modules",
                "no normalisation layer of the model is called " + quoted_list(targets));
  }
}

std::vector<StoredParameter> named_by(ObjectReader& config, const Method* method,
                                      const Blueprint& blueprint, Replaced replaced) {
  const std::string type = config.text("peft_type");
  if (type == kNormTuning) add_norms(config, blueprint, replaced);
  add_modules(config, blueprint, replaced);
  add_biases(config, type, method, blueprint, replaced);
  return replaced.take();
}

enum class NamedAs : std::uint8_t { kNothing, kModule, kOwnBias, kOtherBias, kNever };

/// What has to name the layer where these of its parameters are not the base's.
NamedAs naming_of(const Layer& layer, const Method& method, const std::set<std::string>& changed) {
  bool any = false, others = false;
  for (const auto* own : {&layer.parameters, &layer.buffers}) {
    for (const Parameter& parameter : *own) {
      if (!changed.count(parameter.name)) continue;
      any = true;
      others = others || !layer.bias() || parameter.name != layer.bias()->name;
    }
  }
  if (!any) return NamedAs::kNothing;
  const bool acts = !method.layers(layer).empty();
  if (layer.role == Role::kHead)
    return acts || !layer.weight() ? NamedAs::kNever : NamedAs::kModule;
  if (others) return NamedAs::kNever;
  return acts ? NamedAs::kOwnBias : NamedAs::kOtherBias;
}

}  // namespace

std::vector<StoredParameter> replaced_by(ObjectReader& config, const Method* method,
                                         const Blueprint& blueprint) {
  return named_by(config, method, blueprint, Replaced(Replaced::For::kReading));
}

std::optional<WithMethod> with_method(Json config, const Method& method, const Blueprint& blueprint,
                                      const std::set<std::string>& parameters) {
  Json modules = Json::array();
  std::set<NamedAs> found;
  for (const Layer& layer : blueprint.architecture().layers()) {
    const NamedAs named = naming_of(layer, method, parameters);
    found.insert(named);
    if (named == NamedAs::kModule) modules.push_back(layer.name);
  }
  const bool biases = found.count(NamedAs::kOwnBias) + found.count(NamedAs::kOtherBias) > 0;
  if (found.count(NamedAs::kNever) || (biases && !config.contains("bias"))) return {};
  if (!modules.empty()) config["modules_to_save"] = modules;
  if (biases)
    config["bias"] = found.count(NamedAs::kOtherBias)
                         ? "all"
                         : only_of(config.at("peft_type").get<std::string>());
  const Document document{kPeftConfigFile, config, {}};
  ObjectReader reader(document);
  return WithMethod{config, named_by(reader, &method, blueprint, Replaced::writing(blueprint))};
}

bool is_norm(const Layer& layer) {
  return layer.kind == models::LayerKind::kNorm || layer.kind == models::LayerKind::kRmsNorm ||
         layer.kind == models::LayerKind::kBatchNorm;
}

NormTuning norm_tuning(const Blueprint& blueprint, const std::set<std::string>& layers) {
  Replaced replaced = Replaced::writing(blueprint);
  Json modules = Json::array();
  for (const Layer& layer : blueprint.architecture().layers()) {
    if (!layers.count(layer.name)) continue;
    replaced.add_whole(layer, {is_norm(layer) ? kNormWrapper : ""});
    if (!is_norm(layer)) modules.push_back(layer.name);
  }
  Json config = Json::object();
  config["base_model_name_or_path"] = nullptr;
  config["exclude_modules"] = nullptr;
  config["inference_mode"] = true;
  config["modules_to_save"] = modules.empty() ? Json() : modules;
  config["peft_type"] = kNormTuning;
  config["target_modules"] = target_modules(blueprint, [&](const Layer& layer) {
    return is_norm(layer) && layers.count(layer.name) > 0;
  });
  config["task_type"] = nullptr;
  return {config, replaced.take()};
}

}  // namespace strata::peft
