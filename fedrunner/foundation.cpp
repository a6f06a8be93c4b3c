#include "fedrunner/foundation.h"

#include <algorithm>
#include <set>

#include "models/tokenizer_files.h"
#include "peft/files.h"

namespace strata::fedrunner {

Foundation load_foundation(const std::filesystem::path& folder, torch::Device device) {
  return {peft::load_model(folder, device), models::load_tokenizer(folder)};
}

Foundation relabelled_foundation(const std::filesystem::path& folder,
                                 const std::vector<std::string>& labels, std::uint64_t seed,
                                 torch::Device device) {
  const auto published = peft::load_model(folder, device);
  Foundation foundation{models::Model(published.blueprint().with(labels), seed, device),
                        models::load_tokenizer(folder)};
  // The output layer alone depends on the labels.
  const auto& layers = published.architecture().layers();
  const auto output = std::find_if(layers.rbegin(), layers.rend(),
                                   [](const auto& layer) { return layer.weight() != nullptr; });
  auto state = published.state();
  for (const auto& parameter : output->parameters) state.erase(parameter.name);
  foundation.model.load_state(state);
  return foundation;
}

std::vector<std::string> training_answers(const data::Manifest& manifest) {
  std::set<std::string> answers;
  for (const auto& example : manifest.examples)
    if (example.split == "train") answers.insert(example.answers.front());
  return {answers.begin(), answers.end()};
}

}  // namespace strata::fedrunner
