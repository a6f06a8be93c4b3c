#include "peft/chosen_names.h"

#include <algorithm>
#include <cctype>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "peft/expression.h"
#include "peft/targets.h"

namespace strata::peft {
namespace {

using models::Blueprint;
using models::Layer;

/// Whether a layer is chosen.
using Choice = std::function<bool(const Layer&)>;

template <typename Matches>
bool any_name(const Layer& layer, const Matches& matches) {
  return matches(layer.name) || (!layer.renamed.empty() && matches(layer.renamed)) ||
         std::any_of(layer.aliases.begin(), layer.aliases.end(), matches);
}

/// The first number in a name that stands between dots, behind what `fits`; -1 where none does.
std::int64_t first_number(const std::string& name,
                          const std::function<bool(const std::string& before)>& fits) {
  std::size_t begin = name.find('.');
  while (begin != std::string::npos) {
    const std::size_t end = name.find('.', begin + 1);
    if (end == std::string::npos) return -1;
    const std::string part = name.substr(begin + 1, end - begin - 1);
    const bool number = !part.empty() && part.size() < 10 &&
                        part.find_first_not_of("0123456789") == std::string::npos;
    if (number && fits(name.substr(0, begin))) return std::stoll(part);
    begin = end;
  }
  return -1;
}

/// As PEFT counts blocks: the number behind the first of these names that is in `name`, or, where
/// there are none, behind any that has another before it.
std::int64_t peft_number(const std::string& name, const std::vector<std::string>& behind) {
  if (behind.empty()) {
    return first_number(
        name, [](const std::string& before) { return before.find('.') != std::string::npos; });
  }
  for (const std::string& word : behind) {
    const std::int64_t found = first_number(name, [&](const std::string& before) {
      return before == word || before.ends_with("." + word);
    });
    if (found >= 0) return found;
  }
  return -1;
}

class ChosenNames {
 public:
  ChosenNames(const Document& document, const Blueprint& blueprint)
      : reader_(document), blueprint_(blueprint), json_(document.root) {}

  Json names() {
    choose_modules();
    for (const char* key : {"rank_pattern", "alpha_pattern"}) replace_pattern(key);
    return std::move(json_);
  }

 private:
  bool is_text(const char* key) { return reader_.raw(key).is_string(); }
  bool is_there(const char* key) {
    const Json& value = reader_.raw(key);
    return !value.is_null() && !(value.is_array() && value.empty());
  }

  Json names_of(const Choice& choice) const {
    Json names = Json::array();
    for (const Layer& layer : blueprint_.architecture().layers())
      if (layer.weight() && choice(layer)) names.push_back(layer.name);
    return names;
  }

  /// By a list of ends of names, or an expression.
  Choice choice_of(const char* key) {
    if (!is_there(key)) return [](const Layer&) { return false; };
    if (!is_text(key)) {
      return [names = reader_.texts(key)](const Layer& layer) { return selects_any(names, layer); };
    }
    auto expression = std::make_shared<Expression>(reader_, key, reader_.filled_text(key));
    return [expression](const Layer& layer) {
      return any_name(layer, [&](const std::string& name) { return expression->matches(name); });
    };
  }

  Choice targets() {
    std::string lower = is_text("target_modules") ? reader_.text("target_modules") : "";
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (lower != kAllLinear) return choice_of("target_modules");
    const bool without_head = reader_.raw("task_type") == "SEQ_CLS";
    return [=](const Layer& layer) {
      return layer.kind == models::LayerKind::kLinear && layer.role != Role::kOutput &&
             !(without_head && layer.role == Role::kHead);
    };
  }

  /// By the number of its block, or of all where none is asked for.
  Choice blocks() {
    if (!is_there("layers_to_transform")) return [](const Layer&) { return true; };
    std::vector<std::int64_t> numbers;
    const Json& raw = reader_.raw("layers_to_transform");
    for (const Json& value : raw.is_array() ? raw : Json::array({raw})) {
      if (!value.is_number_integer())
        reader_.fail("layers_to_transform", excerpt(raw) + " is no list of whole numbers");
      numbers.push_back(value.get<std::int64_t>());
    }
    std::vector<std::string> behind;
    if (is_text("layers_pattern")) behind = {reader_.text("layers_pattern")};
    if (reader_.raw("layers_pattern").is_array()) behind = reader_.texts("layers_pattern");
    for (const std::string& name : behind) {
      if (is_expression(name))
        reader_.fail("layers_pattern", excerpt(Json(name)) +
                                           " is no name that stands before a "
                                           "block's number, such as \"layers\"");
    }
    std::erase(behind, "");
    return [=](const Layer& layer) {
      return any_name(layer, [&](const std::string& name) {
        return std::find(numbers.begin(), numbers.end(), peft_number(name, behind)) !=
               numbers.end();
      });
    };
  }

  /// Whether LoRA's own fields say the same.
  bool blocks_are_plain(const Choice& target, const Choice& block) {
    if (!is_there("layers_to_transform")) return true;
    if (is_there("layers_pattern")) return false;
    const Json& raw = reader_.raw("layers_to_transform");
    const Json numbers = raw.is_array() ? raw : Json::array({raw});
    const auto& layers = blueprint_.architecture().layers();
    return std::all_of(layers.begin(), layers.end(), [&](const Layer& layer) {
      const bool own =
          std::find(numbers.begin(), numbers.end(), block_number(layer)) != numbers.end();
      return !layer.weight() || !target(layer) || own == block(layer);
    });
  }

  void choose_modules() {
    if (!is_there("target_modules")) return;
    const Choice target = targets(), excluded = choice_of("exclude_modules"), block = blocks();
    const bool lora = reader_.raw("peft_type") == "LORA";
    if (is_text("target_modules") && is_there("layers_to_transform"))
      reader_.fail("layers_to_transform", "PEFT has it with a list of target_modules alone");
    if (is_text("feedforward_modules"))
      json_["feedforward_modules"] = names_of(choice_of("feedforward_modules"));
    const bool plain = !is_text("target_modules") && !is_text("exclude_modules") &&
                       (lora ? blocks_are_plain(target, block)
                             : !is_there("exclude_modules") && !is_there("layers_to_transform"));
    if (plain) return;
    const Json names = names_of(
        [&](const Layer& layer) { return target(layer) && !excluded(layer) && block(layer); });
    if (names.empty()) {
      reader_.fail("target_modules", excerpt(reader_.raw("target_modules")) +
                                         ", exclude_modules and layers_to_transform choose no "
                                         "layer of the model");
    }
    json_["target_modules"] = names;
    for (const char* key : {"exclude_modules", "layers_to_transform", "layers_pattern"})
      json_[key] = nullptr;
  }

  void replace_pattern(const char* key) {
    const Json& pattern = reader_.raw(key);
    if (!pattern.is_object()) return;
    bool any = false;
    for (const auto& [name, value] : pattern.items()) any |= is_expression(name);
    if (!any) return;
    ObjectReader section = reader_.object(key);
    std::vector<std::pair<Expression, const Json*>> values;
    for (const std::string& name : section.keys())
      values.emplace_back(Expression(section, name, name), &section.raw(name));
    Json named = Json::object();
    for (const Layer& layer : blueprint_.architecture().layers()) {
      const auto found = std::find_if(values.begin(), values.end(), [&](const auto& each) {
        return any_name(layer, [&](const auto& name) { return each.first.matches_end(name); });
      });
      if (layer.weight() && found != values.end()) named[layer.name] = *found->second;
    }
    json_[key] = named;
  }

  ObjectReader reader_;
  const Blueprint& blueprint_;
  Json json_;
};

}  // namespace

Document with_chosen_names(Document document, const Blueprint& blueprint) {
  if (document.root.is_object()) document.root = ChosenNames(document, blueprint).names();
  return document;
}

}  // namespace strata::peft
