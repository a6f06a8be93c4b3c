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

/// Units by role, and by stage where there is one for each.
class Division {
 public:
  Division(const Blueprint& blueprint, const std::vector<UnitKind>& kinds) : blueprint_(blueprint) {
    add("embeddings", Role::kEmbeddings);
    for (const UnitKind& kind : kinds) {
      if (holds_prompts(blueprint, kind)) {
        add(kind.name, Role::kPrompt);
        prompts_.push_back(&kind);
      } else {
        in_block_.push_back(&kind);
        block_name_ += (block_name_.empty() ? "" : "+") + kind.name;
      }
    }
    std::int64_t block = 0, stage = 0;
    for (const Stage& at : blueprint.architecture().stages()) {
      if (at.role == Role::kBody && !in_block_.empty()) {
        of_stage_[stage] = units_.size();
        add(block_name_ + "." + std::to_string(block++), Role::kBody);
      }
      ++stage;
    }
    add("head", Role::kHead);
  }

  std::vector<Unit> fill() {
    for (const Layer& layer : blueprint_.layers()) {
      for (const Parameter& parameter : layer.parameters) {
        Unit* unit = unit_of(layer, parameter);
        if (!unit) continue;
        hold(parameter, *unit);
      }
    }
    return std::move(units_);
  }

 private:
  void add(const std::string& name, Role role) {
    units_.emplace_back().name = name;
    units_.back().role = role;
  }

  static bool held(const std::vector<const UnitKind*>& kinds, const Layer& layer,
                   const Parameter& parameter) {
    return std::any_of(kinds.begin(), kinds.end(),
                       [&](const UnitKind* kind) { return kind->holds(layer, parameter); });
  }

  Unit* unit_of(const Layer& layer, const Parameter& parameter) {
    switch (layer.role) {
      case Role::kEmbeddings:
        return layer.method.empty() ? &units_.front() : nullptr;
      case Role::kHead:
        return layer.method.empty() ? &units_.back() : nullptr;
      case Role::kPrompt:
        for (std::size_t i = 0; i < prompts_.size(); ++i)
          if (prompts_[i]->holds(layer, parameter)) return &units_[1 + i];
        return nullptr;
      default:
        return held(in_block_, layer, parameter) ? &units_[of_stage_.at(layer.stage)] : nullptr;
    }
  }

  const Blueprint& blueprint_;
  std::vector<const UnitKind*> prompts_, in_block_;
  std::string block_name_;
  std::map<std::int64_t, std::size_t> of_stage_;
  std::vector<Unit> units_;
};

}  // namespace

const UnitKind& block_kind() {
  static const UnitKind kind{
      "block", [](const Layer& layer, const Parameter&) { return layer.method.empty(); }, true};
  return kind;
}

std::vector<Unit> make_units(const Blueprint& blueprint, const std::vector<UnitKind>& kinds,
                             std::int64_t text_tokens, Buffers buffers) {
  std::vector<Unit> units = Division(blueprint, kinds).fill();
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
