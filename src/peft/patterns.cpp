#include "peft/patterns.h"

#include <algorithm>
#include <optional>

#include "peft/limits.h"
#include "strata/core/error.h"

namespace strata::peft {
namespace {

using models::Blueprint;
using models::Layer;

/// `read` of every value of a mapping from names.
template <typename Value, typename Read>
Kind<std::map<std::string, Value>> by_name(const Read& read) {
  using Map = std::map<std::string, Value>;
  const auto read_all = [=](ObjectReader& reader, const std::string& key,
                            const std::optional<Map>& fallback) {
    if (!reader.has(key)) return fallback.value_or(Map());
    ObjectReader mapping = reader.object(key);
    Map found;
    for (const std::string& name : mapping.keys()) found[name] = read(mapping, name);
    return found;
  };
  return {read_all, [](const Map& map) { return Json(map); }, Form::kMapping,
          "a mapping from ends of layers' names"};
}

}  // namespace

Kind<RankPattern> rank_pattern_kind() {
  return by_name<std::int64_t>([](ObjectReader& reader, const std::string& name) {
    return reader.integer(name, 1, kLargestField);
  });
}

Kind<AlphaPattern> alpha_pattern_kind() {
  return by_name<double>([](ObjectReader& reader, const std::string& name) {
    return reader.number(name, 1e-6, kLargestAlpha);
  });
}

void read_patterns(ObjectReader& reader, RankPattern& ranks, AlphaPattern& alphas) {
  if (!reader.raw("rank_pattern").is_null())
    ranks = rank_pattern_kind().read(reader, "rank_pattern", {});
  if (!reader.raw("alpha_pattern").is_null())
    alphas = alpha_pattern_kind().read(reader, "alpha_pattern", {});
}

void write_patterns(const PatternedLayers& layers, std::int64_t rank, double alpha,
                    const Blueprint& blueprint, Json& json) {
  for (const Layer& layer : blueprint.architecture().layers()) {
    if (!layers.has(layer)) continue;
    std::vector<std::string> names = {layer.name};
    for (const std::string& other : other_names(layer)) names.push_back(other);
    for (const std::string& name : names) {
      if (layers.rank(layer) != rank) json["rank_pattern"][name] = layers.rank(layer);
      if (layers.alpha(layer) != alpha) json["alpha_pattern"][name] = layers.alpha(layer);
    }
  }
}

void check_names(const std::vector<std::string>& names, const Blueprint& blueprint,
                 const MayTarget& may, const std::string& what, const std::string& where) {
  const auto& layers = blueprint.architecture().layers();
  for (const std::string& name : names) {
    if (std::any_of(layers.begin(), layers.end(),
                    [&](const Layer& layer) { return may(layer) && selects(name, layer); }))
      continue;
    const std::vector<std::string> known = target_names(blueprint, may);
    throw InputError(where + ": no layer that can have " + what + " is called \"" + name + "\"" +
                     did_you_mean(name, known) + "; the targets are " + quoted_list(known));
  }
}

void check_patterns(const RankPattern& ranks, const AlphaPattern& alphas,
                    const Blueprint& blueprint, const MayTarget& may, const std::string& what,
                    const std::string& where) {
  std::vector<std::string> names;
  for (const auto& [name, value] : ranks) names.push_back(name);
  for (const auto& [name, value] : alphas) names.push_back(name);
  check_names(names, blueprint, may, what, where);
}

}  // namespace strata::peft
