#include "models/architectures/classifier_head.h"

#include <cctype>

#include "models/architectures/config_limits.h"

namespace strata::models {
namespace {

const std::string kClassifier = "ForSequenceClassification";

/// The class that `architectures` names first; "" where it names none.
std::string named_class(const Json& config) {
  const auto names = config.find("architectures");
  if (names == config.end() || !names->is_array() || names->empty() || !names->front().is_string())
    return "";
  return names->front().get<std::string>();
}

}  // namespace

std::vector<std::string> read_classes(ObjectReader& reader) {
  if (!named_class(reader.whole()).ends_with(kClassifier)) return {};
  return read_labels(reader);
}

Json with_classes(Json config, const std::vector<std::string>& labels) {
  std::string name = named_class(config);
  if (name.empty()) {
    name = config.at("model_type").get<std::string>();
    name.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(name.front())));
  }
  config["architectures"] = {name.substr(0, name.find("For")) + kClassifier};
  config["id2label"] = id2label(labels);
  config["label2id"] = label2id(labels);
  for (const char* key : {"num_labels", "problem_type"}) config.erase(key);
  return config;
}

}  // namespace strata::models
