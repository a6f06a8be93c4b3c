#include "models/architectures/config_limits.h"

#include <algorithm>

namespace strata::models {

std::vector<std::string> read_labels(ObjectReader& reader) {
  const Json& map = reader.raw("id2label");
  if (!map.is_object() || map.empty()) {
    reader.fail("id2label", "must map the ids \"0\", \"1\", … to answers");
  }
  std::vector<std::string> labels(map.size());
  std::vector<bool> seen(map.size());
  for (const auto& [key, value] : map.items()) {
    const bool digits =
        !key.empty() && key.size() < 10 &&
        std::all_of(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; });
    const std::size_t id = digits ? std::stoul(key) : map.size();
    if (id >= map.size() || seen[id]) {
      reader.fail("id2label", "found the id \"" + key + "\", but the ids must be 0 to " +
                                  std::to_string(map.size() - 1) + ", each once");
    }
    if (!value.is_string()) reader.fail("id2label", "the label of \"" + key + "\" is not a text");
    seen[id] = true;
    labels[id] = value.get<std::string>();
  }
  return labels;
}

std::vector<std::string> read_timm_labels(ObjectReader& reader, std::int64_t fewest) {
  constexpr std::int64_t kMostLabels = kLargestVocabulary;
  if (reader.has("label_names")) {
    std::vector<std::string> names = reader.filled_texts("label_names");
    const auto count = static_cast<std::int64_t>(names.size());
    if (reader.integer("num_classes", 1, kMostLabels, count) != count) {
      reader.fail("label_names", "there are " + std::to_string(count) + ", but num_classes is " +
                                     std::to_string(reader.integer("num_classes", 1, kMostLabels)));
    }
    return names;
  }
  std::vector<std::string> labels;
  const std::int64_t count = reader.integer("num_classes", fewest, kMostLabels);
  for (std::int64_t i = 0; i < count; ++i) labels.push_back("LABEL_" + std::to_string(i));
  return labels;
}

bool is_of_timm(const Json& config) {
  return !config.contains("model_type") && config.contains("architecture");
}

Json timm_config(Json own, const std::vector<std::string>& labels) {
  const Document document{"config.json", own, {}, {}};
  ObjectReader reader(document);
  if (read_timm_labels(reader, 0) == labels) return own;
  own["num_classes"] = labels.size();
  if (own.contains("model_args") && own["model_args"].contains("num_classes"))
    own["model_args"]["num_classes"] = labels.size();
  own["label_names"] = labels;
  own.erase("label_descriptions");  // by the former names
  return own;
}

Json id2label(const std::vector<std::string>& labels) {
  Json map = Json::object();
  for (std::size_t id = 0; id < labels.size(); ++id) map[std::to_string(id)] = labels[id];
  return map;
}

Json label2id(const std::vector<std::string>& labels) {
  Json map = Json::object();
  for (std::size_t id = 0; id < labels.size(); ++id) map[labels[id]] = id;
  return map;
}

std::vector<std::int64_t> read_sizes(ObjectReader& reader, const std::string& key, std::int64_t low,
                                     std::int64_t high, const std::vector<std::int64_t>& fallback) {
  const Json& list = reader.raw(key);
  if (list.is_null()) return fallback;
  std::vector<std::int64_t> sizes;
  bool sound = list.is_array() && !list.empty();
  for (std::size_t i = 0; sound && i < list.size(); ++i) {
    sound = list[i].is_number_integer();
    if (sound) sizes.push_back(list[i].get<std::int64_t>());
    sound = sound && low <= sizes.back() && sizes.back() <= high;
  }
  if (!sound) {
    reader.fail(key, "a list of whole numbers from " + std::to_string(low) + " to " +
                         std::to_string(high) + " was expected, found " + excerpt(list));
  }
  return sizes;
}

void check_divisible(const ObjectReader& reader, const std::string& key, std::int64_t value,
                     const std::string& divisor_key, std::int64_t divisor) {
  if (value % divisor != 0) {
    reader.fail(key, std::to_string(value) + " is not a multiple of " + divisor_key + " = " +
                         std::to_string(divisor));
  }
}

}  // namespace strata::models
