#include "fedrunner/foundation.h"

#include <set>

#include "models/tokenizer_files.h"

namespace strata::fedrunner {

Foundation load_foundation(const std::filesystem::path& folder, torch::Device device) {
  return {models::Transformer::load(folder, device), models::load_tokenizer(folder)};
}

Foundation relabelled_foundation(const std::filesystem::path& folder,
                                 const std::vector<std::string>& labels, std::uint64_t seed,
                                 torch::Device device) {
  const auto published = models::Transformer::load(folder, device);
  auto architecture = published.config();
  architecture.labels = labels;
  Foundation foundation{models::Transformer(architecture, seed, device),
                        models::load_tokenizer(folder)};
  auto state = published.state();
  const std::string output = architecture.has_text() ? "classifier.3." : "classifier.";
  for (const char* name : {"weight", "bias"}) state.erase(output + name);
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
