#include "fedrunner/foundation.h"

#include "core/document.h"
#include "models/tokenizer_files.h"
#include "peft/files.h"
#include "strata/core/atomic_file.h"

namespace strata::fedrunner {

namespace {

Foundation with_tokenizers(models::Model model, const std::filesystem::path& folder) {
  auto tokenizer = models::load_tokenizer(model.architecture(), folder);
  auto language = models::load_language(model.architecture(), folder);
  return {std::move(model), std::move(tokenizer), std::move(language)};
}

models::Model load_sized(const std::filesystem::path& folder, torch::Device device,
                         std::int64_t image_size) {
  models::Model model = peft::load_model(folder, device);
  if (image_size > 0) model.set_image_size(image_size);
  return model;
}

}  // namespace

Foundation load_foundation(const std::filesystem::path& folder, torch::Device device,
                           std::int64_t image_size) {
  return with_tokenizers(load_sized(folder, device, image_size), folder);
}

Foundation relabelled_foundation(const std::filesystem::path& folder,
                                 const std::vector<std::string>& labels, std::uint64_t seed,
                                 torch::Device device, std::int64_t image_size) {
  models::Model model = load_sized(folder, device, image_size);
  model.relabel(labels, seed);
  return with_tokenizers(std::move(model), folder);
}

void save_foundation(const models::Model& model, bool several_labels,
                     const std::filesystem::path& folder) {
  peft::save_model(model, folder);
  if (!several_labels) return;
  Json config = load_json(folder / "config.json").root;
  config["problem_type"] = "multi_label_classification";
  write_file(folder / "config.json", config.dump(2) + "\n");
}

}  // namespace strata::fedrunner
