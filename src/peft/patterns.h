#pragma once
/// \file
/// Ranks and alphas of some of a method's layers that are others than its own, as PEFT's
/// `rank_pattern` and `alpha_pattern` have them. Internal.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/fields.h"
#include "peft/targets.h"

namespace strata::peft {

/// By ends of layers' names.
using RankPattern = std::map<std::string, std::int64_t>;
using AlphaPattern = std::map<std::string, double>;

/// Fields of them.
Kind<RankPattern> rank_pattern_kind();
Kind<AlphaPattern> alpha_pattern_kind();

/// The two of a PEFT file, each of which may be absent or null. @throws InputError
void read_patterns(ObjectReader& reader, RankPattern& ranks, AlphaPattern& alphas);

/// The value of the pattern's first name that selects the layer.
template <typename Value>
Value by_pattern(const std::map<std::string, Value>& pattern, const models::Layer& at,
                 Value fallback) {
  for (const auto& [name, value] : pattern)
    if (selects(name, at)) return value;
  return fallback;
}

/// What a method with patterns says of a layer.
struct PatternedLayers {
  std::function<bool(const models::Layer&)> has;
  std::function<std::int64_t(const models::Layer&)> rank;
  std::function<double(const models::Layer&)> alpha;
};

/// Puts ranks and alphas that are not the file's own into adapter_config.json, by the whole names
/// of layers: an end might select others in a transformers that names them otherwise.
void write_patterns(const PatternedLayers& layers, std::int64_t rank, double alpha,
                    const models::Blueprint& blueprint, Json& json);

/// That every name selects a layer that may be. @throws InputError beginning with `where`, with the
/// nearest name; `what` is what the layers get: "a LoRA pair"
void check_names(const std::vector<std::string>& names, const models::Blueprint& blueprint,
                 const MayTarget& may, const std::string& what, const std::string& where);
/// The same of the patterns' names.
void check_patterns(const RankPattern& ranks, const AlphaPattern& alphas,
                    const models::Blueprint& blueprint, const MayTarget& may,
                    const std::string& what, const std::string& where);

}  // namespace strata::peft
