#include "cli/trained_weights.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <set>

#include "cli/model_weights.h"
#include "cli/unit_layers.h"
#include "core/console.h"
#include "core/plan.h"
#include "core/text.h"
#include "strata/core/error.h"

namespace strata::cli {
namespace {

using Names = std::vector<std::string>;

constexpr const char* kAnyPrefix = "^(.+[.])?";

/// `name` as a regular expression for itself.
std::string literal(const std::string& name) {
  std::string pattern;
  for (const char c : name) {
    if (c == '.') {
      pattern += "[.]";
    } else {
      if (std::string("\\^$|?*+()[]{}").find(c) != std::string::npos) pattern += '\\';
      pattern += c;
    }
  }
  return pattern;
}

std::string either(const Names& names) {
  std::string pattern;
  for (const auto& name : names) pattern += (pattern.empty() ? "" : "|") + literal(name);
  return names.size() == 1 ? pattern : "(" + pattern + ")";
}

/// Where between the dots of `weight` the dotted `part` stands: what precedes it, each once.
std::set<std::string> prefixes_of(const Names& weights, const std::string& part) {
  std::set<std::string> prefixes;
  for (const auto& weight : weights) {
    const std::string dotted = "." + weight + ".";
    const std::size_t at = dotted.find("." + part + ".");
    if (at != std::string::npos) prefixes.insert(weight.substr(0, at));
  }
  return prefixes;
}

/// "block.3" and "vision.block.3", which call a layer by its number alone.
bool is_plain_layer(const std::string& unit) {
  const Names parts = parts_of(unit);
  if (!is_layer_number(parts.back())) return parts.size() == 1 && layer_of(unit) >= 0;
  return parts.size() >= 2 && parts.size() <= 3 &&
         contains(layer_words(), lower_case(parts[parts.size() - 2]));
}

}  // namespace

WeightPatterns::WeightPatterns(const std::string& model) : model_(model) {
  if (model.empty()) {
    family_ = common_family();
    family_.layers_pattern = layer_words();
    return;
  }
  std::error_code none;
  const std::filesystem::path folder = model;
  if (std::filesystem::is_directory(folder, none)) {
    weights_ = weight_names(folder);
    has_family_ =
        std::filesystem::exists(folder / "config.json", none) && has_adapter_family(model);
    if (!has_family_ && weights_.empty())
      throw InputError("--export-model: " + model +
                       " has no weights (model.safetensors, pytorch_model.bin or the index of "
                       "either) and no config.json with a model_type that has a preset");
  } else {
    has_family_ = true;
  }
  if (has_family_) family_ = adapter_family(model);
  find_stacks();
}

void WeightPatterns::find_stacks() {
  const Names& words = has_family_ ? family_.layers_pattern : layer_words();
  for (const auto& weight : weights_) {
    const Names parts = parts_of(weight);
    for (std::size_t i = 1; i < parts.size(); ++i) {
      if (!is_layer_number(parts[i])) continue;
      if (has_family_ && !contains(words, parts[i - 1])) continue;
      const std::string stack =
          joined(Names(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(i)), ".");
      int& layers = stacks_[stack];
      layers = std::max(layers, std::stoi(parts[i]) + 1);
      break;
    }
  }
  // A list that is not called one (the parts of a head, say) counts where there is no other.
  const auto called = [&](const auto& stack) {
    return contains(words, parts_of(stack.first).back());
  };
  if (std::any_of(stacks_.begin(), stacks_.end(), called))
    std::erase_if(stacks_, [&](const auto& stack) { return !called(stack); });
}

Names WeightPatterns::of_head() const {
  // Of one name or the other, and not among the weights where it is the words' table, too: then
  // the embeddings', as `strata score` has it, and the head is what stands before it.
  static const Names words_heads = {"lm_head", "embed_out"};
  Names modules =
      has_family_ ? family_.head : Names{"classifier", "lm_head", "score", "head", "fc"};
  Names patterns, there;
  bool lacks_one = false;
  for (const auto& module : modules) {
    if (!prefixes_of(weights_, module).empty()) {
      there.push_back(module);
    } else if (!contains(words_heads, module)) {
      lacks_one = true;
    }
  }
  if (knows_weights() && (there.empty() || (has_family_ && lacks_one))) {
    throw InputError("the unit \"head\": " + model_ + " has no weight of " +
                     (has_family_ ? quoted_list(modules) : quoted_list(modules) + " either") +
                     "; weights that are tied to the embeddings are trained with those");
  }
  for (const auto& module : knows_weights() ? there : modules)
    patterns.push_back(kAnyPrefix + literal(module) + "[.]");
  return patterns;
}

Names WeightPatterns::of_layer(const std::string& unit, int layer) const {
  const std::string tail = "[.]" + std::to_string(layer) + "[.]";
  const auto missing = [&](const std::string& where, int layers) {
    return InputError("the unit \"" + unit + "\" is layer " + std::to_string(layer) + ", but " +
                      where + " has the layers 0 to " + std::to_string(layers - 1));
  };
  if (!knows_weights()) {
    if (family_.layers && layer >= *family_.layers) throw missing(family_.name, *family_.layers);
    return {kAnyPrefix + either(family_.layers_pattern) + tail};
  }
  const Names parts = parts_of(unit);
  const std::string kind = parts.size() > 2 ? parts.front() : "";
  Names fitting, all;
  for (const auto& [stack, layers] : stacks_) {
    all.push_back(stack);
    const Names words = parts_of(stack);
    if (std::any_of(words.begin(), words.end(),
                    [&](const auto& word) { return word.rfind(kind, 0) == 0; }))
      fitting.push_back(stack);
  }
  if (fitting.size() != 1) {
    throw InputError("the unit \"" + unit + "\" could be of " +
                     (all.empty() ? "no list of layers" : quoted_list(all)) + " in " + model_ +
                     "; call the units by the names of their weights, such as \"" +
                     (all.empty() ? "model.layers" : all.front()) + "." + std::to_string(layer) +
                     "\"");
  }
  const std::string& stack = fitting.front();
  if (layer >= stacks_.at(stack)) throw missing(model_, stacks_.at(stack));
  // By the list's usual names where there is one list: transformers renames what holds it.
  if (has_family_ && all.size() == 1) return {kAnyPrefix + either(family_.layers_pattern) + tail};
  return {"^" + literal(stack) + tail};
}

Names WeightPatterns::of_name(const std::string& unit) const {
  if (!knows_weights()) return {kAnyPrefix + literal(unit) + "[.]"};
  std::set<std::string> prefixes = prefixes_of(weights_, unit);
  if (prefixes.count("")) prefixes = {""};
  if (prefixes.empty())
    throw InputError("the unit \"" + unit +
                     "\" is no layer by its number, not \"head\", and no "
                     "part of a weight's name in " +
                     model_);
  if (prefixes.size() > 1) {
    Names places;
    for (const auto& prefix : prefixes) places.push_back(prefix + unit);
    throw InputError("the unit \"" + unit + "\" stands in several weights' names of " + model_ +
                     ": " + quoted_list(places, 3));
  }
  const std::string name = *prefixes.begin() + unit;
  return {"^" + literal(name) + (contains(weights_, name) ? "$" : "[.]")};
}

Names WeightPatterns::of(const std::string& unit) const {
  if (unit == kHeadUnit) return of_head();
  if (is_plain_layer(unit)) return of_layer(unit, layer_of(unit));
  return of_name(unit);
}

std::vector<Names> trained_weights(const Plan& plan, const std::string& model) {
  if (plan.has_ranks())
    throw InputError(
        "--export: ranks are of LoRA pairs, which peft exports; unfrozen and "
        "requires_grad are of the model's own weights, which have none");
  const WeightPatterns known(model);
  if (!known.knows_weights()) {
    Names layers;
    std::copy_if(plan.units.begin(), plan.units.end(), std::back_inserter(layers), is_plain_layer);
    require_one_tower(layers, "--export",
                      "--export-model with a folder of weights says which layers they are");
  }
  std::map<std::string, Names> patterns;
  std::vector<Names> of_clients;
  std::set<std::string> guessed;
  for (std::size_t i = 0; i < plan.clients.size(); ++i) {
    Names units = plan.units_of(static_cast<int>(i)), names;
    units.insert(units.end(), plan.always.begin(), plan.always.end());
    for (const auto& unit : units) {
      const auto [entry, is_new] = patterns.try_emplace(unit);
      if (is_new)
        with_context("--export: client \"" + plan.clients[i] + "\"",
                     [&] { entry->second = known.of(unit); });
      names.insert(names.end(), entry->second.begin(), entry->second.end());
      if (!known.knows_weights() && unit != kHeadUnit &&
          (!is_plain_layer(unit) || parts_of(unit).size() > 2))
        guessed.insert(unit);
    }
    of_clients.push_back(names);
  }
  if (!guessed.empty())
    log_warning("--export: " + quoted_list(Names(guessed.begin(), guessed.end()), 3) +
                ": taken for parts of weights' names; --export-model with a folder of weights "
                "would check it");
  return of_clients;
}

}  // namespace strata::cli
