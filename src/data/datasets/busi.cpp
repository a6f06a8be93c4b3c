// BUSI, breast ultrasound images (Al-Dhabyani et al. 2020, Data in Brief 28, 104863), as its
// authors publish it: `Dataset_BUSI_with_GT/` with the folders `benign/`, `malignant/` and
// `normal/`, or these three in the set's own folder. Images are PNG files such as "benign (1).png";
// files whose names hold "_mask" are outlines of the lesion ("benign (1)_mask.png", "…_mask_1.png")
// and no examples.
//
// All images are one client's. Patients are not published, nor is a split: split_stratified makes
// one by images.
#include <algorithm>

#include "data/datasets/datasets.h"
#include "data/datasets/own_split.h"
#include "data/datasets/published.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBusiFolder = "Dataset_BUSI_with_GT";
const std::vector<std::string> kBusiClasses = {"benign", "malignant", "normal"};

bool is_busi(const fs::path& folder) {
  return fs::is_directory(folder / kBusiFolder) ||
         std::all_of(kBusiClasses.begin(), kBusiClasses.end(),
                     [&](const std::string& name) { return fs::is_directory(folder / name); });
}

/// The names of a class's images, sorted. @throws InputError: none, or no such folder.
std::vector<std::string> busi_images(const fs::path& folder) {
  if (!fs::is_directory(folder))
    throw InputError(folder.string() + ": no such folder; BUSI has the classes " +
                     quoted_list(kBusiClasses));
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (lower_ascii(entry.path().extension().string()) == ".png" &&
        name.find("_mask") == std::string::npos)
      names.push_back(name);
  }
  if (names.empty())
    throw InputError(folder.string() +
                     ": no image of this class; they are .png files without "
                     "\"_mask\" in their names");
  std::sort(names.begin(), names.end());
  return names;
}

Manifest read_busi(const fs::path& folder, const LoadOptions&) {
  Manifest manifest;
  manifest.folder = folder;
  manifest.name = "busi";
  manifest.classes = kBusiClasses;
  const std::string inner =
      fs::is_directory(folder / kBusiFolder) ? std::string(kBusiFolder) + "/" : "";
  std::vector<std::string> images;
  for (const std::string& label : kBusiClasses)
    for (const std::string& name : busi_images(folder / (inner + label))) {
      Example example;
      example.image = inner + label + "/" + name;
      example.labels = {label};
      example.client = manifest.name;
      images.push_back(label + "/" + name);
      manifest.examples.push_back(std::move(example));
    }
  split_stratified(manifest, images);
  return manifest;
}

}  // namespace

Dataset busi() {
  return {"BUSI", "Dataset_BUSI_with_GT/, or benign/, malignant/ and normal/", is_busi, read_busi,
          Reading::kLabels};
}

}  // namespace strata::data
