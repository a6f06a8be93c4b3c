// A data set in nnU-Net's raw layout (Isensee et al. 2021; MIC-DKFZ/nnUNet,
// documentation/dataset_format.md): `imagesTr/NAME_0000.nii.gz`, `labelsTr/NAME.nii.gz` and
// `dataset.json`, whose `labels` names the classes, in version 1 {"0": "background", "1": "kidney"}
// and in version 2 {"background": 0, "kidney": 1}. One channel is read. Volumes in `imagesTs` are
// the test where `labelsTs` has their masks; else one case of imagesTr in five, by a hash of its
// name, is for testing. The set is one client; the last axis counts slices.
#include <algorithm>
#include <map>

#include "core/document.h"
#include "data/datasets/datasets.h"
#include "data/datasets/published.h"
#include "data/datasets/volume_pairs.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

constexpr std::string_view kFirstChannel = "_0000";
constexpr int kMostClasses = 255;  ///< that a label of eight bits can tell from the background

bool is_nnunet_raw(const std::filesystem::path& folder) {
  return std::filesystem::is_directory(folder / "imagesTr") &&
         std::filesystem::is_directory(folder / "labelsTr");
}

bool is_whole_number(const std::string& text) {
  return !text.empty() && text.size() < 6 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// A row of the table of labels, whichever version wrote it.
std::pair<int, std::string> nnunet_label(ObjectReader& labels, const std::string& key) {
  const Json& value = labels.raw(key);
  if (is_whole_number(key)) return {std::stoi(key), labels.filled_text(key)};
  if (value.is_array())
    labels.fail(key, "is a region of several labels; a class of one label can be read");
  return {static_cast<int>(labels.integer(key, 0, kMostClasses)), key};
}

std::vector<std::string> nnunet_classes(ObjectReader labels) {
  std::map<int, std::string> names;
  for (const std::string& key : labels.keys()) {
    auto [label, name] = nnunet_label(labels, key);
    if (name == "ignore") labels.fail(key, "voxels that are ignored cannot be read");
    if (!names.emplace(label, name).second)
      labels.fail(key, "the label " + std::to_string(label) + " stands twice");
  }
  std::vector<std::string> classes;
  for (const auto& [label, name] : names) {
    if (label == 0) continue;
    if (label != static_cast<int>(classes.size()) + 1)
      labels.fail(name, "has the label " + std::to_string(label) + ", expected " +
                            std::to_string(classes.size() + 1) +
                            "; labels follow each other without a gap");
    classes.push_back(name);
  }
  if (classes.empty()) throw InputError(labels.file() + ": labels: no class beside the background");
  return classes;
}

void read_nnunet_description(Manifest& manifest) {
  const auto file = manifest.folder / "dataset.json";
  if (!std::filesystem::exists(file))
    throw InputError(file.string() + ": no such file; its \"labels\" name the classes");
  const Document document = load_json(file);
  ObjectReader reader(document);
  manifest.classes = nnunet_classes(reader.object("labels", /*required=*/true));
}

/// The cases of imagesTr or imagesTs. @throws InputError: one has a second channel.
std::vector<std::string> nnunet_cases(const std::filesystem::path& folder,
                                      const std::string& images, const std::string& labels) {
  std::vector<std::string> names;
  for (const std::string& stem : volume_stems(folder / images)) {
    const std::size_t end = stem.size() - std::min(stem.size(), kFirstChannel.size());
    const std::string name = stem.substr(0, end), channel = stem.substr(end);
    if (channel != kFirstChannel && channel.front() == '_' && is_whole_number(channel.substr(1)))
      throw InputError((folder / images / stem).string() +
                       ": is a further channel of the image; images of one channel can be read");
    if (channel == kFirstChannel) names.push_back(name);
  }
  // A mask without an image is found by find_pair.
  for (const std::string& stem : volume_stems(folder / labels)) names.push_back(stem);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

void read_nnunet_cases(const std::string& images, const std::string& labels,
                       const std::string& split, Manifest& manifest) {
  for (const std::string& name : nnunet_cases(manifest.folder, images, labels)) {
    auto example = find_pair(manifest.folder, images + "/" + name + std::string(kFirstChannel),
                             {labels + "/" + name});
    if (!example) continue;
    example->client = manifest.name;
    example->split = split.empty() ? hashed_split(name) : split;
    manifest.examples.push_back(*std::move(example));
  }
}

Manifest read_nnunet_raw(const std::filesystem::path& folder, const LoadOptions&) {
  Manifest manifest;
  manifest.folder = folder;
  manifest.name = folder_name(folder);
  manifest.volumes.emplace();
  read_nnunet_description(manifest);
  const bool tested = !volume_stems(folder / "labelsTs").empty();
  read_nnunet_cases("imagesTr", "labelsTr", tested ? kTrainSplit : "", manifest);
  if (tested) read_nnunet_cases("imagesTs", "labelsTs", kTestSplit, manifest);
  if (manifest.examples.empty())
    throw InputError(folder.string() + ": no volume imagesTr/NAME_0000.nii.gz");
  if (!tested) {
    const std::size_t unlabelled = volume_stems(folder / "imagesTs").size();
    if (unlabelled > 0)
      manifest.notes.push_back("volumes of imagesTs left out, as they have no masks (labelsTs): " +
                               std::to_string(unlabelled));
    manifest.notes.push_back(
        "no test with masks: one case in five, by a hash of its name, is for testing");
  }
  return manifest;
}

}  // namespace

Dataset nnunet_raw() {
  return {"nnU-Net's raw layout", "imagesTr/ and labelsTr/", is_nnunet_raw, read_nnunet_raw,
          Reading::kMasks};
}

}  // namespace strata::data
