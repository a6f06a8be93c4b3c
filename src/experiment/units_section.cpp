#include "experiment/units_section.h"

#include <set>

#include "experiment/unit_modes.h"
#include "peft/methods.h"

namespace strata::experiment {
namespace {

using Patterns = std::optional<std::vector<std::string>>;

/// What `selectable` says in place of a list.
const std::string kBlocks = "blocks";

Patterns read_patterns(ObjectReader& reader, const std::string& key) {
  const auto patterns = reader.texts(key);
  std::set<std::string> seen;
  for (const auto& pattern : patterns)
    if (!seen.insert(pattern).second) reader.fail(key, "\"" + pattern + "\" stands twice");
  return patterns;
}

Field<UnitsConfig> selectable_field() {
  Field<UnitsConfig> field{"selectable",
                           "every unit of the scheme, `SCHEME.N` and, unless `always` names it, "
                           "`prompt`; or a list of unit names or patterns such as `block.*` "
                           "(`strata inspect --scheme` shows them)",
                           "`blocks`, or a list of texts", "", Form::kList};
  field.read = [](ObjectReader& reader, UnitsConfig& units, bool) {
    units.wishes.where_competing = reader.where("selectable");
    if (reader.raw("selectable").is_array()) {
      units.wishes.competing = read_patterns(reader, "selectable");
    } else {
      reader.choice("selectable", {kBlocks}, kBlocks);
    }
  };
  field.write = [](const UnitsConfig& units) {
    return units.wishes.competing ? Json(*units.wishes.competing) : Json(kBlocks);
  };
  return field;
}

Field<UnitsConfig> always_field() {
  Field<UnitsConfig> field{"always", "trained by every client, outside the budget",
                           "a list of texts", "`[head]`, unless `selectable` names it",
                           Form::kList};
  field.read = [](ObjectReader& reader, UnitsConfig& units, bool) {
    units.wishes.where_always = reader.where("always");
    if (reader.has("always")) units.wishes.always = read_patterns(reader, "always");
  };
  field.write = [](const UnitsConfig& units) {
    return units.wishes.always ? Json(*units.wishes.always) : Json();
  };
  return field;
}

Field<UnitsConfig> personal_field() {
  Field<UnitsConfig> field{"personal",
                           "units, or patterns, that every client trains in every round and keeps "
                           "to itself: never sent, and each client is measured with its own "
                           "(FedPer, [below](#personal-units)); such as `[head]`",
                           "a list of texts", "none", Form::kList};
  field.read = [](ObjectReader& reader, UnitsConfig& units, bool) {
    units.wishes.where_personal = reader.where("personal");
    if (reader.has("personal")) units.wishes.personal = read_patterns(reader, "personal");
  };
  field.write = [](const UnitsConfig& units) {
    return Json(units.wishes.personal.value_or(std::vector<std::string>()));
  };
  return field.written_if_changed();
}

/// Read first: what it says is the other keys' default.
Field<UnitsConfig> mode_field() {
  const std::vector<std::string> names = unit_mode_names();
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "`" : ", `") + name + "`";
  Field<UnitsConfig> field{"mode",
                           "of a SAM, in place of `scheme`, `selectable` and `always`: what "
                           "FLAP-SAM's comparison calls " +
                               all + " ([models.md](models.md#sam))",
                           "a text", "none", Form::kText};
  field.read = [names](ObjectReader& reader, UnitsConfig& units, bool) {
    if (!reader.has("mode")) return;
    const std::string name = reader.choice("mode", names);
    for (const char* other : {"scheme", "selectable", "always"})
      if (reader.has(other)) reader.fail(other, "stands beside mode, which says it");
    for (const UnitMode& mode : unit_modes()) {
      if (mode.name != name) continue;
      units.scheme = mode.scheme;
      units.wishes.competing = mode.selectable;
      units.wishes.always = mode.always;
    }
  };
  // What it stands for is written.
  field.write = [](const UnitsConfig&) { return Json(); };
  return field;
}

std::string schemes() {
  std::string names = "`block`";
  for (const peft::MethodType& type : peft::method_types()) names += ", `" + type.name + "`";
  return names;
}

}  // namespace

const Fields<UnitsConfig>& units_fields() {
  static const Fields<UnitsConfig> fields({
      mode_field(),
      field("scheme", &UnitsConfig::scheme, text(),
            "what a block's unit holds: " + schemes() +
                ", or several joined by `+` ([models.md](models.md))")
          .written_if_changed(),
      selectable_field(),
      always_field(),
      personal_field(),
      field("buffers", &UnitsConfig::buffers, choice(models::buffers_choices()),
            "running statistics of the BatchNorms that a client trains: `average`, they move with "
            "its batches and are averaged as weights are; `frozen`, only γ and β are trained; "
            "`local`, every client keeps its own, with γ and β (FedBN). Those of BatchNorms that "
            "nobody trains are always frozen")
          .written_if_changed(),
  });
  return fields;
}

}  // namespace strata::experiment
