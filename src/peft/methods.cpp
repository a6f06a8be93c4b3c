#include "peft/methods.h"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "models/units.h"
#include "peft/adapter.h"
#include "peft/adaptformer.h"
#include "peft/attention.h"
#include "peft/bias.h"
#include "peft/decoder.h"
#include "peft/ia3.h"
#include "peft/layernorm.h"
#include "peft/loha.h"
#include "peft/lokr.h"
#include "peft/lora.h"
#include "peft/norm.h"
#include "peft/oft.h"
#include "peft/prompt.h"
#include "peft/ssf.h"
#include "peft/tsa.h"
#include "peft/vera.h"
#include "strata/core/error.h"

namespace strata::peft {
namespace {

using models::Blueprint;

std::vector<std::string> sections() {
  std::vector<std::string> names;
  for (const MethodType& type : method_types())
    if (!type.section.empty()) names.push_back(type.section);
  std::sort(names.begin(), names.end());
  return names;
}

const MethodType* find_type(const std::string& name, std::string MethodType::*by) {
  for (const MethodType& type : method_types())
    if (type.*by == name && !name.empty()) return &type;
  return nullptr;
}

bool has_method(const Blueprint& blueprint, const std::string& name) {
  const auto& all = blueprint.attachments();
  return std::any_of(all.begin(), all.end(),
                     [&](const auto& attachment) { return attachment->name() == name; });
}

/// A scheme of units, as a user writes it.
class Scheme {
 public:
  Scheme(const Blueprint& blueprint, const std::string& text)
      : where_("unit scheme \"" + text + "\": ") {
    std::istringstream parts(text + "+");
    for (std::string kind; std::getline(parts, kind, '+');) {
      if (kind != kOnly) {
        add(blueprint, kind);
      } else {
        if (only_) throw InputError(where_ + "\"only\" is named twice");
        only_ = true;
      }
    }
    if (kinds_.empty()) throw InputError(where_ + "\"only\" says of other kinds where they end");
    refuse_overlap();
  }
  const std::vector<models::UnitKind>& kinds() const { return kinds_; }
  bool only() const { return only_; }

 private:
  bool has(const std::string& name) const {
    return std::any_of(kinds_.begin(), kinds_.end(),
                       [&](const models::UnitKind& kind) { return kind.name == name; });
  }

  void add(const Blueprint& blueprint, const std::string& name) {
    if (has(name)) throw InputError(where_ + "\"" + name + "\" is named twice");
    if (name == models::block_kind().name) {
      kinds_.push_back(models::block_kind());
      return;
    }
    const MethodType* type = find_type(name, &MethodType::name);
    if (!type) {
      std::vector<std::string> names = {models::block_kind().name};
      for (const MethodType& known : method_types()) names.push_back(known.name);
      names.push_back(kOnly);
      throw InputError(where_ + "unknown kind \"" + name + "\"" + did_you_mean(name, names) +
                       "; the kinds are " + quoted_list(names) + ", joined by '+'");
    }
    if (type->read && !has_method(blueprint, name)) {
      throw InputError(where_ + "the model has no " + type->plural +
                       (type->needs.empty()
                            ? "; `model.peft` or --peft " + type->section + " adds them"
                            : " (its " + type->needs + " is 0)"));
    }
    if (!type->read && !in_a_block(blueprint, *type))
      throw InputError(where_ + "the model has no " + type->plural + " in its blocks");
    kinds_.push_back({name, type->trains, false});
  }

  static bool in_a_block(const Blueprint& blueprint, const MethodType& type) {
    for (const models::Layer& layer : blueprint.layers()) {
      if (layer.frozen ||
          !blueprint.architecture().stages()[static_cast<std::size_t>(layer.stage)].is_block())
        continue;
      for (const models::Parameter& parameter : layer.parameters)
        if (type.trains(layer, parameter)) return true;
    }
    return false;
  }

  void refuse_overlap() const {
    if (!has(models::block_kind().name)) return;
    for (const MethodType& type : method_types()) {
      // What adds nothing trains what the block has.
      if (!type.read && has(type.name))
        throw InputError(where_ + "\"block\" holds what \"" + type.name + "\" would add");
    }
  }

  /// Not a kind: of the stages beside the blocks, too, what the kinds hold, and the classifier.
  static constexpr const char* kOnly = "only";

  std::string where_;
  std::vector<models::UnitKind> kinds_;
  bool only_ = false;
};

}  // namespace

// A further method is a file and a line.
const std::vector<MethodType>& method_types() {
  static const std::vector<MethodType> types = {
      prompt_type(), lora_type(), adapter_type(),   adaptformer_type(),
      oft_type(),    loha_type(), lokr_type(),      vera_type(),
      tsa_type(),    ia3_type(),  ssf_type(),       layernorm_type(),
      norm_type(),   bias_type(), attention_type(), decoder_type(),
  };
  return types;
}

std::function<bool(const models::Layer&, const models::Parameter&)> own_layers(std::string method) {
  return [method = std::move(method)](const models::Layer& layer, const models::Parameter&) {
    return layer.method == method;
  };
}

Methods read_methods(ObjectReader section) {
  Methods methods;
  for (const std::string& name : sections()) {
    const MethodType* type = find_type(name, &MethodType::section);
    if (section.has(name)) methods.push_back(type->read(section.object(name, true)));
  }
  section.finish();
  return methods;
}

MethodPtr parse_method(const std::string& text, const std::string& where) {
  const std::size_t colon = text.find(':');
  const std::string name = text.substr(0, colon);
  const MethodType* type = find_type(name, &MethodType::section);
  if (!type) type = find_type(name, &MethodType::name);
  if (!type || !type->parse) {
    throw InputError(where + ": unknown method \"" + name + "\"" + did_you_mean(name, sections()) +
                     "; the methods are " + section_names());
  }
  const std::string fields = colon == std::string::npos ? "" : text.substr(colon + 1);
  return type->parse(fields, where + " " + text);
}

Methods parse_methods(const std::vector<std::string>& texts, const std::string& where) {
  Methods methods;
  for (const std::string& text : texts) methods.push_back(parse_method(text, where));
  return methods;
}

const MethodType& type_of(const Method& method) {
  return *find_type(method.name(), &MethodType::name);
}

std::string section_names() {
  return quoted_list(sections());
}

std::vector<FieldRow> field_rows() {
  std::vector<FieldRow> rows;
  for (const std::string& name : sections()) {
    const MethodType& type = *find_type(name, &MethodType::section);
    rows.push_back({name, "none", "a mapping",
                    type.help + "; `" + name + ": {}` takes what defaults there are"});
    for (FieldRow row : type.rows()) {
      row.key = name + "." + row.key;
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

Json methods_json(const Methods& methods) {
  std::map<std::string, Json> sections;  // in the order of their names
  for (const MethodPtr& method : methods) sections[type_of(*method).section] = method->options();
  Json json = Json::object();
  for (const auto& [section, options] : sections) json[section] = options;
  return json;
}

Blueprint with_methods(const Blueprint& blueprint, const Methods& methods,
                       const std::string& where) {
  std::set<std::string> added;
  for (const MethodPtr& method : methods) {
    if (has_method(blueprint, method->name()) || !added.insert(method->name()).second) {
      throw InputError(where + ": the model has " + type_of(*method).plural + " already");
    }
    method->check(blueprint, where);
  }
  models::Attachments all = blueprint.attachments();
  all.insert(all.end(), methods.begin(), methods.end());
  models::Attachments ordered;
  for (const MethodType& type : method_types()) {
    for (const auto& attachment : all)
      if (attachment->name() == type.name) ordered.push_back(attachment);
  }
  Blueprint changed = blueprint;
  changed.set_attachments(std::move(ordered));
  return changed;
}

Methods methods_of(const Blueprint& blueprint) {
  Methods methods;
  for (const auto& attachment : blueprint.attachments()) {
    if (auto method = std::dynamic_pointer_cast<const Method>(attachment))
      methods.push_back(std::move(method));
  }
  return methods;
}

std::vector<FactorPair> factors_of(const Blueprint& blueprint) {
  std::vector<FactorPair> pairs;
  for (const MethodPtr& method : methods_of(blueprint)) {
    for (FactorPair& pair : method->factors(blueprint)) pairs.push_back(std::move(pair));
  }
  return pairs;
}

std::set<std::string> companion_parameters(const Blueprint& blueprint) {
  std::set<std::string> methods, parameters;
  for (const MethodPtr& method : methods_of(blueprint))
    if (method->has_companions()) methods.insert(method->name());
  for (const models::Layer& layer : blueprint.layers()) {
    if (!methods.count(layer.method)) continue;
    for (const models::Parameter& parameter : layer.parameters) parameters.insert(parameter.name);
  }
  return parameters;
}

std::vector<Unit> scheme_units(const Blueprint& blueprint, const std::string& scheme,
                               std::int64_t text_tokens, models::Buffers buffers) {
  const Scheme parsed(blueprint, scheme);
  auto units = models::make_units(blueprint, parsed.kinds(), text_tokens, buffers, parsed.only());
  const auto moving = models::moving_norms(blueprint, units);
  for (const MethodPtr& method : methods_of(blueprint))
    method->check_moving(moving, "unit scheme \"" + scheme + "\": ");
  return units;
}

std::vector<Unit> scheme_units(const Blueprint& blueprint, const std::string& scheme,
                               models::Buffers buffers) {
  return scheme_units(blueprint, scheme, blueprint.architecture().text_tokens(), buffers);
}

bool holds(const Blueprint& blueprint, const Unit& unit, const std::string& method) {
  return std::any_of(unit.parameters.begin(), unit.parameters.end(), [&](const std::string& name) {
    return blueprint.layer_of(name).method == method;
  });
}

}  // namespace strata::peft
