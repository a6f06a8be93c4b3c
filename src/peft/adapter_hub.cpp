#include "peft/adapter_hub.h"

#include <algorithm>
#include <cmath>

#include "peft/adapter.h"
#include "peft/adaptformer.h"
#include "peft/methods.h"
#include "peft/targeted.h"
#include "strata/core/error.h"

namespace strata::peft {
namespace {

using models::Blueprint;
using models::Layer;

/// The fields of a bottleneck's configuration that tell AdapterHub's forms apart.
struct HubForm {
  const char* name;
  bool attention, parallel, sum_before;
};
constexpr HubForm kSequential{"seq_bn", false, false, true};
constexpr HubForm kDouble{"double_seq_bn", true, false, false};
constexpr HubForm kParallel{"par_bn", false, true, false};

/// What a layer's name ends with, the longest first, and what AdapterHub has in its place, before
/// and behind the adapter's name.
struct HubName {
  std::string own, before, behind;
};
const std::vector<HubName>& hub_names() {
  const std::string own = "output.adapters.strata.", attention = ".attention_adapters.adapters.",
                    output = ".output.output_adapters.adapters.";
  static const std::vector<HubName> names = {
      {".attention.output.dense." + own + "adapter_down.0", attention, ".adapter_down.0"},
      {".attention.output.dense." + own + "adapter_up", attention, ".adapter_up"},
      {".output.dense." + own + "adapter_down.0", output, ".adapter_down.0"},
      {".output.dense." + own + "adapter_up", output, ".adapter_up"},
      {"." + own + "adapter_down.0", output, ".adapter_down.0"},
      {"." + own + "adapter_up", output, ".adapter_up"},
      {".adaptmlp.down_proj", output, ".adapter_down.0"},
      {".adaptmlp.up_proj", output, ".adapter_up"},
  };
  return names;
}

bool is_of(const Method& method, const MethodType& type) {
  return type_of(method).name == type.name;
}

/// nullptr where there is none.
const HubForm* form_of(const Method& method, const Blueprint& blueprint) {
  if (!has_two_names(blueprint.architecture())) return nullptr;
  const Json options = method.options();
  if (is_of(method, adapter_type())) return options.contains("placement") ? &kDouble : &kSequential;
  const bool normed = options.value("normed", false);
  return is_of(method, adaptformer_type()) && !normed ? &kParallel : nullptr;
}

std::int64_t hub_width(const Blueprint& blueprint) {
  return blueprint.architecture().config().at("hidden_size").get<std::int64_t>();
}

/// A factor of which AdapterHub makes a bottleneck of this size: width // factor.
double factor_of(std::int64_t width, std::int64_t size) {
  const auto whole = static_cast<double>(width);
  const double factor = whole / static_cast<double>(size);
  return std::floor(whole / factor) == static_cast<double>(size) && width % size == 0
             ? factor
             : whole / (static_cast<double>(size) + 0.5);
}

void check_computed(ObjectReader& bottleneck) {
  for (const auto& [key, neutral] :
       std::vector<std::pair<std::string, Json>>{{"adapter_residual_before_ln", false},
                                                 {"cross_adapter", false},
                                                 {"inv_adapter", nullptr},
                                                 {"leave_out", Json::array()},
                                                 {"ln_after", false},
                                                 {"ln_before", false},
                                                 {"non_linearity", "relu"},
                                                 {"original_ln_after", true},
                                                 {"output_adapter", true},
                                                 {"phm_layer", false},
                                                 {"residual_before_ln", true},
                                                 {"use_gating", false}}) {
    check_neutral(bottleneck, key, neutral);
  }
}

}  // namespace

std::string hub_form(const Method& method, const Blueprint& blueprint) {
  const HubForm* form = form_of(method, blueprint);
  return form ? form->name : "";
}

Json hub_config(const Method& method, const Blueprint& blueprint) {
  const HubForm& form = *form_of(method, blueprint);
  const Json options = method.options(), base = blueprint.architecture().config();
  Json bottleneck = {{"adapter_residual_before_ln", false},
                     {"cross_adapter", false},
                     {"dropout", 0.0},
                     {"init_weights", "bert"},
                     {"inv_adapter", nullptr},
                     {"is_parallel", form.parallel},
                     {"leave_out", Json::array()},
                     {"ln_after", false},
                     {"ln_before", false},
                     {"mh_adapter", form.attention},
                     {"non_linearity", "relu"},
                     {"original_ln_after", true},
                     {"original_ln_before", form.sum_before},
                     {"output_adapter", true},
                     {"phm_layer", false},
                     {"residual_before_ln", true},
                     {"scaling", 1.0},
                     {"use_gating", false}};
  if (form.parallel) {
    bottleneck["scaling"] = options.at("scale");
    bottleneck["reduction_factor"] = factor_of(hub_width(blueprint), options.at("bottleneck"));
  } else {
    bottleneck["reduction_factor"] = options.at("reduction");
  }
  return {{"config", bottleneck},
          {"hidden_size", hub_width(blueprint)},
          {"model_class", base.at("architectures").at(0)},
          {"model_name", ""},
          {"model_type", base.at("model_type")},
          {"name", "strata"},
          {"version", "adapters.1.3.0"}};
}

bool is_hub_config(ObjectReader& config) {
  return config.has("config") && config.has("model_class") && !config.has("peft_type");
}

MethodPtr read_hub(ObjectReader& config, const Blueprint& blueprint) {
  if (!has_two_names(blueprint.architecture()))
    config.fail("model_type", "folders of AdapterHub are read of a ViT alone");
  if (!config.has("name")) config.fail("name", "it is missing");
  const std::int64_t width = hub_width(blueprint);
  const auto wide = static_cast<double>(width);
  ObjectReader bottleneck = config.object("config", true);
  check_computed(bottleneck);
  const bool attention = bottleneck.boolean("mh_adapter", false);
  const double factor = bottleneck.number("reduction_factor", 1e-6, wide);
  const double scale = bottleneck.number("scaling", -1e6, 1e6, 1.0);
  if (bottleneck.boolean("is_parallel", false)) {
    if (attention) bottleneck.fail("mh_adapter", "true is not supported beside the MLP");
    const auto size = static_cast<std::int64_t>(std::floor(wide / factor));
    return make_adaptformer({std::max<std::int64_t>(1, size), scale, 0, false});
  }
  if (scale != 1) bottleneck.fail("scaling", "only 1 is supported");
  if (factor != std::floor(factor)) bottleneck.fail("reduction_factor", "it must be whole");
  const HubForm& form = attention ? kDouble : kSequential;
  if (bottleneck.boolean("original_ln_before", false) != form.sum_before) {
    bottleneck.fail("original_ln_before", std::string("of ") + form.name + " only " +
                                              (form.sum_before ? "true" : "false") +
                                              " is supported");
  }
  return make_adapters(static_cast<std::int64_t>(factor),
                       attention ? AdapterPlace::kHoulsby : AdapterPlace::kPfeiffer);
}

std::vector<models::StoredParameter> hub_parameters(const Method& method,
                                                    const Blueprint& blueprint,
                                                    const std::string& name) {
  std::vector<models::StoredParameter> parameters;
  for (const Layer& layer : blueprint.layers()) {
    if (layer.method != method.name()) continue;
    const auto known =
        std::find_if(hub_names().begin(), hub_names().end(),
                     [&](const HubName& hub) { return layer.name.ends_with(hub.own); });
    const std::string block = layer.name.substr(0, layer.name.size() - known->own.size());
    for (const models::Parameter& parameter : layer.parameters) {
      const std::string tail = parameter.name.substr(layer.name.size());
      parameters.push_back({parameter, {block + known->before + name + known->behind + tail}});
    }
  }
  return parameters;
}

}  // namespace strata::peft
