#include "data/datasets/datasets.h"

#include <algorithm>

namespace strata::data {
namespace {

/// In the order in which they are looked for: Strata's own layout first, which whoever converts a
/// set asks for by its file, and last the one that says least.
const std::vector<Dataset>& datasets() {
  static const std::vector<Dataset> kDatasets = {
      own_layout(),      //
      easy_vqa(),        //
      vqa_rad(),         //
      omni_med_vqa(),    //
      open_i(),          //
      mimic_cxr(),       //
      path_vqa(),        //
      slake(),           //
      medmnist(),        //
      ham10000(),        //
      fed_isic2019(),    //
      fitzpatrick17k(),  //
      smdg19(),          //
      rsna_pneumonia(),  //
      busi(),            //
      fed_kits19(),      //
      ixi_tiny(),        //
      prostate_sites(),  //
      nnunet_raw(),      //
      vqa_med(),         //
      image_folder(),    //
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

std::string reading_problem(const Dataset& dataset, Reading reading) {
  const bool masks = dataset.offers == Reading::kMasks || dataset.masks;
  if (reading == Reading::kMasks) return masks ? "" : "it has no volumes with masks";
  if (dataset.offers == Reading::kMasks && reading != Reading::kEither)
    return std::string("it has volumes with masks, no ") +
           (reading == Reading::kQuestions ? "questions" : "labels");
  if (reading == Reading::kLabelledTexts && !dataset.texts)
    return "it has no labels with texts beside the images";
  if (reading == Reading::kLabelledTexts || reading == dataset.offers ||
      reading == Reading::kEither || dataset.offers == Reading::kEither)
    return "";
  return reading == Reading::kLabels ? "it has questions, no labels"
                                     : "it has labels, no questions";
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

std::string folder_name(const std::filesystem::path& folder) {
  const auto path = std::filesystem::absolute(folder).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

}  // namespace strata::data
