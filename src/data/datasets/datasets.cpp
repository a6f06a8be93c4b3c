#include "data/datasets/datasets.h"

#include <algorithm>

namespace strata::data {
namespace {

/// Strata's own layout, which whoever converts a set asks for by that file.
Dataset own_layout() {
  return {"Strata's own layout", "manifest.jsonl",
          [](const std::filesystem::path& folder) {
            return std::filesystem::exists(folder / "manifest.jsonl");
          },
          [](const std::filesystem::path& folder, const LoadOptions&) {
            return read_manifest(folder);
          }};
}

/// In the order in which they are looked for.
const std::vector<Dataset>& datasets() {
  static const std::vector<Dataset> kDatasets = {
      own_layout(), easy_vqa(), vqa_rad(),  omni_med_vqa(),
      path_vqa(),   slake(),    medmnist(), vqa_med(),
  };
  return kDatasets;
}

const Dataset* first_here(const std::filesystem::path& folder, bool deep) {
  for (const Dataset& dataset : datasets())
    if (dataset.deep == deep && dataset.is_here(folder)) return &dataset;
  return nullptr;
}

}  // namespace

const Dataset* find_dataset(const std::filesystem::path& folder) {
  if (const Dataset* found = first_here(folder, /*deep=*/false)) return found;
  for (const auto& inner : folders_in(folder))
    if (first_here(inner, /*deep=*/false)) return nullptr;
  return first_here(folder, /*deep=*/true);
}

const Dataset* find_inner_dataset(const std::filesystem::path& folder) {
  const Dataset* found = first_here(folder, /*deep=*/false);
  return found ? found : first_here(folder, /*deep=*/true);
}

std::vector<std::string> known_layouts() {
  std::vector<std::string> layouts;
  for (const Dataset& dataset : datasets())
    layouts.push_back(std::string(dataset.layout) + " (" + dataset.name + ")");
  return layouts;
}

std::vector<std::filesystem::path> folders_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> folders;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.is_directory()) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  return folders;
}

}  // namespace strata::data
