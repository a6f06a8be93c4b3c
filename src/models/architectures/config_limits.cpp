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

void check_divisible(const ObjectReader& reader, const std::string& key, std::int64_t value,
                     const std::string& divisor_key, std::int64_t divisor) {
  if (value % divisor != 0) {
    reader.fail(key, std::to_string(value) + " is not a multiple of " + divisor_key + " = " +
                         std::to_string(divisor));
  }
}

}  // namespace strata::models
