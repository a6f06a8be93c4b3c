#include "peft/targets.h"

#include <algorithm>
#include <set>

#include "core/text.h"
#include "peft/limits.h"
#include "strata/core/error.h"

namespace strata::peft {
namespace {

using models::Blueprint;
using models::Layer;

bool selects(const std::string& target, const std::string& name) {
  return name == target || (name.size() > target.size() && name.ends_with(target) &&
                            name[name.size() - target.size() - 1] == '.');
}

/// The endings of a name at its dots, the shortest first.
std::vector<std::string> endings(const std::string& name) {
  std::vector<std::string> found;
  for (std::size_t dot = name.rfind('.');; dot = name.rfind('.', dot - 1)) {
    found.push_back(name.substr(dot == std::string::npos ? 0 : dot + 1));
    if (dot == std::string::npos || dot == 0) return found;
  }
}

/// "1" of "classifier.1" would be a block's name, too.
bool begins_with_number(const std::string& ending) {
  return all_digits(ending.substr(0, ending.find('.')));
}

/// What comes behind the number of its block in a layer's name; all of a name without one.
std::string behind_number(const std::string& name) {
  std::string tail = name;
  for (const std::string& ending : endings(name)) {
    if (begins_with_number(ending)) return tail;
    tail = ending;
  }
  return name;
}

/// The same with the number and the word before it: "layer.3.output.dense".
std::string with_number(const std::string& name) {
  const std::size_t tail = behind_number(name).size();
  for (const std::string& ending : endings(name)) {
    if (ending.size() > tail && !begins_with_number(ending)) return ending;
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

bool selects_one(const std::string& ending, const std::vector<Named>& all) {
  return std::count_if(all.begin(), all.end(),
                       [&](const Named& at) { return selects(ending, at.name); }) == 1;
}

/// Whether an ending is of layers of several kinds and says so little that other models' poolers
/// are called so, too: "dense".
bool is_vague(const std::string& ending, const std::vector<Named>& all) {
  const bool convolutions = std::all_of(all.begin(), all.end(), [&](const Named& at) {
    return !selects(ending, at.name) || at.layer->kind == models::LayerKind::kConvolution;
  });
  if (convolutions) return false;
  std::set<std::string> tails;
  for (const Named& at : all)
    if (selects(ending, at.name)) tails.insert(behind_number(at.name));
  return ending.find('.') == std::string::npos && tails.size() > 1;
}

/// Appends the targets of one naming.
void add_target_modules(const MayTarget& may, const std::vector<Named>& all,
                        std::vector<std::string>& targets) {
  const auto targeted = [&](const Named& at) { return may(*at.layer); };
  std::set<std::string> done;  // kinds of layers that have an ending
  for (const Named& at : all) {
    if (!targeted(at)) continue;
    const std::string tail = behind_number(at.name);
    if (done.count(tail)) continue;
    std::string ending;
    for (const std::string& candidate : endings(tail)) {
      if (ending.empty() && !begins_with_number(candidate) &&
          selects_only(candidate, all, targeted) && !is_vague(candidate, all))
        ending = candidate;
    }
    if (ending.empty()) {
      const std::string own = with_number(at.name);
      const bool one = selects_one(own, all);
      targets.push_back(one ? own : at.name);
      if (!one && !at.layer->two_names)  // which has a naming of its own
        for (const std::string& other : other_names(*at.layer)) targets.push_back(other);
      continue;
    }
    done.insert(tail);
    // An ending of two kinds of layers stands where the second would.
    targets.erase(std::remove(targets.begin(), targets.end(), ending), targets.end());
    targets.push_back(ending);
  }
}

}  // namespace

bool is_matrix(const Layer& layer) {
  if (!layer.method.empty()) return false;
  if (layer.kind == models::LayerKind::kConvolution) return layer.before_batch_norm;
  return layer.kind == models::LayerKind::kLinear &&
         (layer.role == Role::kBody || layer.role == Role::kVision ||
          layer.role == Role::kConnector);
}

bool is_patches(const Layer& layer) {
  return layer.method.empty() && layer.kind == models::LayerKind::kConvolution &&
         !layer.before_batch_norm && layer.stage == 0;
}

bool is_matrix_or_patches(const Layer& layer) {
  return is_matrix(layer) || is_patches(layer);
}

bool is_any_matrix(const Layer& layer) {
  const bool head =
      layer.method.empty() && layer.kind == models::LayerKind::kLinear && layer.role == Role::kHead;
  return head || is_matrix_or_patches(layer);
}

bool is_linear_matrix(const Layer& layer) {
  return is_matrix(layer) && layer.kind == models::LayerKind::kLinear;
}

bool is_pointwise(const Layer& layer) {
  return is_matrix(layer) &&
         (layer.kind == models::LayerKind::kLinear || layer.weight()->shape.back() == 1);
}

bool selects(const std::string& target, const Layer& layer) {
  const auto selected = [&](const std::string& name) { return selects(target, name); };
  return selected(layer.name) || (!layer.renamed.empty() && selected(layer.renamed)) ||
         std::any_of(layer.aliases.begin(), layer.aliases.end(), selected);
}

bool selects_any(const std::vector<std::string>& targets, const Layer& layer) {
  return std::any_of(targets.begin(), targets.end(),
                     [&](const std::string& target) { return selects(target, layer); });
}

std::vector<std::string> target_names(const Blueprint& blueprint, const MayTarget& may) {
  std::vector<std::string> names;
  for (const auto name : {&Layer::name, &Layer::renamed}) {
    const auto all = named_layers(blueprint, name);
    for (const Named& at : all) {
      if (!may(*at.layer)) continue;
      const std::string tail = behind_number(at.name);
      const auto ends = endings(tail);
      const auto ending = std::find_if(ends.begin(), ends.end(), [&](const std::string& candidate) {
        return selects_only(candidate, all, [&](const Named& other) {
          return may(*other.layer) && behind_number(other.name) == tail;
        });
      });
      std::string found = ending == ends.end() ? tail : *ending;
      // Of a ResNet's convolutions those of 3 x 3 have the same tail.
      if (at.layer->kind == models::LayerKind::kConvolution &&
          !selects_only(found, all, [&](const Named& other) { return may(*other.layer); })) {
        found = with_number(at.name);
        if (found == at.name) continue;
      }
      if (std::find(names.begin(), names.end(), found) == names.end()) names.push_back(found);
    }
  }
  return names;
}

std::vector<std::string> target_modules(const Blueprint& blueprint, const MayTarget& targeted) {
  std::vector<std::string> targets;
  add_target_modules(targeted, named_layers(blueprint, &Layer::name), targets);
  if (has_two_names(blueprint.architecture()))
    add_target_modules(targeted, named_layers(blueprint, &Layer::renamed), targets);
  return targets;
}

std::vector<std::string> other_names(const Layer& layer) {
  if (layer.two_names) return {layer.renamed};
  std::vector<std::string> names;
  for (const std::string& alias : layer.aliases)
    if (alias.starts_with("model.")) names.push_back(alias);
  return names;
}

bool has_two_names(const models::Architecture& architecture) {
  const auto& layers = architecture.layers();
  return std::any_of(layers.begin(), layers.end(), [](const Layer& at) { return at.two_names; });
}

std::int64_t block_number(const Layer& layer) {
  for (const std::string& ending : endings(layer.name)) {
    const std::string head = ending.substr(0, ending.find('.'));
    if (head.size() < ending.size() && all_digits(head) && head.size() < 10)
      return std::stoll(head);
  }
  return -1;
}

void check_targets(const Blueprint& blueprint, const std::vector<std::string>& targets,
                   const MayTarget& may, bool from_peft, const TargetWords& words,
                   const std::string& where) {
  const std::vector<std::string> known = target_names(blueprint, may);
  if (known.empty()) no_place(where, blueprint, words.plural);
  if (targets.empty()) {
    throw InputError(where + ": " + words.method + " needs at least one target; the targets are " +
                     quoted_list(known));
  }
  bool any = false;
  std::set<std::string> seen;
  for (const std::string& target : targets) {
    bool found = false, others = false;
    for (const Layer& layer : blueprint.architecture().layers()) {
      if (!layer.weight() || !selects(target, layer)) continue;
      (may(layer) ? found : others) = true;
    }
    any = any || found;
    if (others || (!found && !from_peft)) {
      throw InputError(where + ": unknown " + words.method + " target \"" + target + "\"" +
                       did_you_mean(target, known) + "; the targets are " + quoted_list(known));
    }
    if (!seen.insert(target).second)
      throw InputError(where + ": the " + words.method + " target \"" + target +
                       "\" is named twice");
  }
  if (!any) {
    throw InputError(where + ": target_modules: no layer of the model is called " +
                     quoted_list(targets));
  }
}

}  // namespace strata::peft
