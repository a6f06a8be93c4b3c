#pragma once
/// \file
/// What configurations of all architectures may hold.

#include <cstdint>
#include <string>
#include <vector>

#include "core/document.h"

namespace strata::models {

// Beyond what any model has, and small enough that every count of weights and operations is exact
// and that a few bytes of config.json cannot ask for more work than there is memory.
constexpr std::int64_t kMostLayers = 1000, kLargestWidth = 1 << 16, kLargestIntermediate = 1 << 18,
                       kLargestImage = 4096, kLongestText = 1 << 16, kLargestVocabulary = 1 << 22,
                       kMostTypes = 1024, kMostPatches = 1 << 24;

/// id2label as a list. @throws InputError where ids are not 0 … n-1, each once
std::vector<std::string> read_labels(ObjectReader& reader);

/// Of timm's config.json: label_names or, where there are none, LABEL_0, …, for num_classes of
/// them, at least `fewest`. @throws InputError
std::vector<std::string> read_timm_labels(ObjectReader& reader, std::int64_t fewest = 1);
/// Whether a config.json is timm's: transformers' says a `model_type`.
bool is_of_timm(const Json& config);
/// timm's config.json for these labels: as it is, where it has them.
Json timm_config(Json own, const std::vector<std::string>& labels);
/// The two mappings of config.json.
Json id2label(const std::vector<std::string>& labels);
Json label2id(const std::vector<std::string>& labels);

/// A list of at least one whole number, each in the range. @throws InputError
std::vector<std::int64_t> read_sizes(ObjectReader& reader, const std::string& key, std::int64_t low,
                                     std::int64_t high, const std::vector<std::int64_t>& fallback);

/// @throws InputError where `value` is not a multiple
void check_divisible(const ObjectReader& reader, const std::string& key, std::int64_t value,
                     const std::string& divisor_key, std::int64_t divisor);

}  // namespace strata::models
