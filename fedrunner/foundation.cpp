#include "fedrunner/foundation.h"

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
  Foundation foundation = load_foundation(folder, device);
  foundation.model.relabel(labels, seed);
  return foundation;
}

std::vector<std::string> training_answers(const data::Manifest& manifest) {
  std::set<std::string> answers;
  for (const auto& example : manifest.examples)
    if (example.split == "train") answers.insert(example.answers.front());
  return {answers.begin(), answers.end()};
}

}  // namespace strata::fedrunner
