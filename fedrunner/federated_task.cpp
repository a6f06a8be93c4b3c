#include "fedrunner/federated_task.h"

#include <algorithm>

#include "peft/files.h"
#include "peft/lora.h"
#include "peft/methods.h"

namespace strata::fedrunner {

RunUnits units_of_run(const SelectedUnits& units, const Strategy& strategy,
                      const models::Model& model, LoraAverage lora) {
  RunUnits run{names_of(units.selectable), names_of(units.always), units.selectable, {}};
  run.all.insert(run.all.end(), units.always.begin(), units.always.end());
  if (strategy.own == OwnAlgorithm::kNone && run.always.empty()) {
    const auto& stages = model.units();
    for (const auto& unit : stages) {
      if (unit.role != Role::kHead) continue;
      run.always.push_back(unit.name);
      if (std::find(run.selectable.begin(), run.selectable.end(), unit.name) ==
          run.selectable.end())
        run.all.push_back(unit);
    }
  }
  for (const auto& unit : run.all) {
    const auto names = state_of(unit);
    run.weights.insert(names.begin(), names.end());
  }
  const auto position = [&](const Unit& unit) {
    const auto& all = model.units();
    return std::find_if(all.begin(), all.end(),
                        [&](const Unit& other) { return other.name == unit.name; }) -
           all.begin();
  };
  std::stable_sort(run.all.begin(), run.all.end(),
                   [&](const Unit& a, const Unit& b) { return position(a) < position(b); });
  run.pairs = UnitPairs(lora_rule(lora), model.blueprint(), run.all);
  run.weights.merge(run.pairs.bases());
  const auto companions = peft::companion_parameters(model.blueprint());
  for (const auto& unit : run.all) {
    for (const auto& name : unit.parameters)
      if (companions.count(name)) run.companions.insert(name);
  }
  return run;
}

bool plans_lora(const models::Blueprint& blueprint, const SelectedUnits& units) {
  if (blueprint.architecture().speech()) return false;
  return std::any_of(units.selectable.begin(), units.selectable.end(), [&](const Unit& unit) {
    return peft::holds(blueprint, unit, peft::lora_type().name);
  });
}

}  // namespace strata::fedrunner
