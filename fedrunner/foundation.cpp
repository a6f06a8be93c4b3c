#include "fedrunner/foundation.h"

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

}  // namespace strata::fedrunner
