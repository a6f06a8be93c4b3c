#include "peft/targeted.h"

#include <cmath>
#include <utility>

namespace strata::peft {

using models::Layer;

models::Init kaiming(std::int64_t columns) {
  return {models::Init::Kind::kUniform, 1 / std::sqrt(static_cast<double>(columns))};
}

Kind<std::vector<std::string>> layer_names() {
  Kind<std::vector<std::string>> names = distinct_texts();
  names.allowed = "a list of ends of layers' names: `query`, `key`, `output.dense`, …";
  return names;
}

std::vector<std::string> Targeted::file_names(const Layer& layer,
                                              const models::Parameter& parameter) const {
  std::vector<std::string> names = {kPeftPrefix + parameter.name};
  for (const std::string& other : other_names(layer))
    names.push_back(kPeftPrefix + other + parameter.name.substr(layer.name.size()));
  return names;
}

void Targeted::check(const models::Blueprint& blueprint, const std::string& where) const {
  check_targets(blueprint, targets_, may_, from_peft_, words_, where);
}

Layer Targeted::beside(const Layer& at, const std::string& ending, models::LayerKind kind,
                       models::Shape shape, models::Init init, const std::string& tail) {
  const std::int64_t width = shape[0];
  std::vector<std::string> aliases;
  for (const std::string& alias : at.aliases) aliases.push_back(alias + ending);
  return {.name = at.name + ending,
          .kind = kind,
          .stage = at.stage,
          .role = at.role,
          .width = width,
          .parameters = {{at.name + ending + tail, std::move(shape), std::move(init)}},
          .renamed = at.renamed.empty() ? "" : at.renamed + ending,
          .aliases = std::move(aliases),
          .two_names = at.two_names,
          .frozen = at.frozen};
}

Json Targeted::peft_config(const std::string& peft_type, const models::Blueprint& blueprint) const {
  Json json = Json::object();
  json["base_model_name_or_path"] = nullptr;
  json["inference_mode"] = true;
  json["modules_to_save"] = nullptr;
  json["peft_type"] = peft_type;
  json["target_modules"] =
      target_modules(blueprint, [&](const Layer& layer) { return has(layer); });
  json["task_type"] = nullptr;
  return json;
}

void check_neutral(ObjectReader& reader, const std::string& key, const Json& neutral) {
  const Json& found = reader.raw(key);
  const bool empty = found.is_null() || ((found.is_array() || found.is_object()) && found.empty());
  if (!empty && found != neutral)
    reader.fail(key, excerpt(found) + " is not supported; only " + neutral.dump() + " is");
}

void pass_over_dropout(ObjectReader& reader, const std::string& key) {
  if (!reader.raw(key).is_null()) reader.number(key, 0, 1);
}

void check_neutral_choices(ObjectReader& reader) {
  for (const auto& [key, neutral] :
       std::vector<std::pair<std::string, Json>>{{"exclude_modules", nullptr},
                                                 {"fan_in_fan_out", false},
                                                 {"layers_pattern", nullptr},
                                                 {"layers_to_transform", nullptr},
                                                 {"target_parameters", nullptr}}) {
    check_neutral(reader, key, neutral);
  }
  for (const char* key : {"module_dropout", "rank_dropout"}) pass_over_dropout(reader, key);
}

void check_no_patterns(ObjectReader& reader) {
  for (const char* key : {"rank_pattern", "alpha_pattern"})
    check_neutral(reader, key, Json::object());
}

}  // namespace strata::peft
