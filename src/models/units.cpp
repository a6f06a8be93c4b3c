#include "models/units.h"

#include <algorithm>
#include <map>
#include <set>

#include "models/cost.h"

namespace strata::models {
namespace {

constexpr std::int64_t kFloatBytes = 4;  // of a weight on its way

void hold(const Parameter& parameter, Unit& unit) {
  unit.parameters.push_back(parameter.name);
  unit.parameter_count += parameter.numel();
  unit.bytes = kFloatBytes * unit.parameter_count;
}

bool holds_prompts(const Blueprint& blueprint, const UnitKind& kind) {
  for (const Layer& layer : blueprint.layers()) {
    if (layer.role != Role::kPrompt) continue;
    for (const Parameter& parameter : layer.parameters)
      if (kind.holds(layer, parameter)) return true;
  }
  return false;
}

/// Units by stage: of a block what the kinds hold, of any other its own weights.
class Division {
 public:
  Division(const Blueprint& blueprint, const std::vector<UnitKind>& kinds, bool only)
      : blueprint_(blueprint), only_(only) {
    for (const Layer& layer : blueprint.architecture().layers())
      if (layer.role == Role::kHead && layer.weight() && !layer.frozen) classifier_ = layer.name;
    for (const UnitKind& kind : kinds) {
      if (holds_prompts(blueprint, kind)) {
        prompts_.push_back(&kind);
      } else {
        in_block_.push_back(&kind);
        block_name_ += (block_name_.empty() ? "" : "+") + kind.name;
      }
    }
    std::map<std::string, std::int64_t> blocks;  // by group
    for (const Stage& at : blueprint.architecture().stages()) {
      of_stage_.push_back(units_.size());
      if (!at.is_block()) {
        add(at.name, at.role);
      } else {
        add(at.group + block_name_ + "." + std::to_string(blocks[at.group]++), at.role);
      }
      // The first: those of a decoder come later.
      if (at.role != Role::kEmbeddings || first_prompt_ > 0) continue;
      first_prompt_ = units_.size();
      for (const UnitKind* kind : prompts_) add(kind->name, Role::kPrompt);
    }
  }

  std::vector<Unit> fill() {
    for (const Layer& layer : blueprint_.layers()) {
      if (layer.frozen) continue;
      for (const Parameter& parameter : layer.parameters)
        if (Unit* unit = unit_of(layer, parameter)) hold(parameter, *unit);
    }
    units_.erase(std::remove_if(units_.begin(), units_.end(),
                                [](const Unit& unit) { return unit.parameters.empty(); }),
                 units_.end());
    return std::move(units_);
  }

 private:
  void add(const std::string& name, Role role) {
    units_.emplace_back().name = name;
    units_.back().role = role;
  }

  Unit* unit_of(const Layer& layer, const Parameter& parameter) {
    const auto stage =
        static_cast<std::size_t>(layer.unit_stage < 0 ? layer.stage : layer.unit_stage);
    if (layer.role == Role::kPrompt) {
      for (std::size_t i = 0; i < prompts_.size(); ++i)
        if (prompts_[i]->holds(layer, parameter)) return &units_[first_prompt_ + i];
      return nullptr;
    }
    const bool in_block = blueprint_.architecture().stages()[stage].is_block();
    const bool whole = !in_block && layer.method.empty() && (!only_ || layer.name == classifier_);
    const bool held =
        whole || std::any_of(in_block_.begin(), in_block_.end(),
                             [&](const UnitKind* kind) { return kind->holds(layer, parameter); });
    return held ? &units_[of_stage_[stage]] : nullptr;
  }

  const Blueprint& blueprint_;
  bool only_;
  std::string classifier_;
  std::vector<const UnitKind*> prompts_, in_block_;
  std::string block_name_;
  std::vector<std::size_t> of_stage_;  // the unit of each
  std::size_t first_prompt_ = 0;
  std::vector<Unit> units_;
};

}  // namespace

const UnitKind& block_kind() {
  static const UnitKind kind{
      "block", [](const Layer& layer, const Parameter&) { return layer.method.empty(); }, true};
  return kind;
}

std::vector<Unit> make_units(const Blueprint& blueprint, const std::vector<UnitKind>& kinds,
                             std::int64_t text_tokens, Buffers buffers, bool only) {
  std::vector<Unit> units = Division(blueprint, kinds, only).fill();
  set_buffers(blueprint, buffers, units);
  const bool whole =
      std::any_of(kinds.begin(), kinds.end(), [](const UnitKind& kind) { return kind.whole; });
  count_costs(blueprint, text_tokens, whole, units);
  return units;
}

std::vector<Unit> stage_units(const Blueprint& blueprint, Buffers buffers) {
  return make_units(blueprint, {block_kind()}, blueprint.architecture().text_tokens(), buffers);
}

const Choices<Buffers>& buffers_choices() {
  static const Choices<Buffers> choices(
      {{Buffers::kAverage, "average"}, {Buffers::kFrozen, "frozen"}, {Buffers::kLocal, "local"}});
  return choices;
}

void set_buffers(const Blueprint& blueprint, Buffers policy, std::vector<Unit>& units) {
  if (policy == Buffers::kFrozen) return;
  std::set<std::string> taken;
  for (Unit& unit : units) {
    for (const std::string& parameter : unit.parameters) {
      const Layer& layer = blueprint.layer_of(parameter);
      if (layer.kind != LayerKind::kBatchNorm) continue;
      const bool local = policy == Buffers::kLocal;
      if (local) {
        unit.local.push_back(parameter);
        unit.bytes -= kFloatBytes * blueprint.parameter(parameter).numel();
      }
      if (!taken.insert(layer.name).second) continue;
      for (const Parameter& buffer : layer.buffers) {
        if (buffer.counter) continue;  // momentum does not ask how many batches there were
        unit.buffers.push_back(buffer.name);
        if (local)
          unit.local.push_back(buffer.name);
        else
          unit.bytes += kFloatBytes * buffer.numel();
      }
    }
  }
}

Unit unit_of(const Blueprint& blueprint, const std::set<std::string>& parameters, Buffers buffers) {
  std::vector<Unit> units(1);
  for (const Parameter& parameter : blueprint.parameters())
    if (parameters.count(parameter.name)) hold(parameter, units.front());
  set_buffers(blueprint, buffers, units);
  return std::move(units.front());
}

std::set<std::string> moving_norms(const Blueprint& blueprint, const std::vector<Unit>& units) {
  std::set<std::string> norms;
  for (const Unit& unit : units)
    for (const std::string& buffer : unit.buffers) norms.insert(blueprint.layer_of(buffer).name);
  return norms;
}

}  // namespace strata::models
