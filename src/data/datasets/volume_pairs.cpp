#include "data/datasets/volume_pairs.h"

#include <algorithm>
#include <string_view>

#include "core/document.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

constexpr const char* kVolumeEndings[] = {".nii.gz", ".nii"};

}  // namespace

std::string volume_stem(const std::filesystem::path& file) {
  const std::string name = file.filename().string();
  for (const std::string_view ending : kVolumeEndings)
    if (name.size() > ending.size() &&
        name.compare(name.size() - ending.size(), ending.size(), ending) == 0)
      return name.substr(0, name.size() - ending.size());
  return "";
}

std::vector<std::string> volume_stems(const std::filesystem::path& folder) {
  std::vector<std::string> stems;
  if (!std::filesystem::is_directory(folder)) return stems;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    // macOS leaves files that begin with a dot beside those that it packs.
    const std::string stem = volume_stem(entry.path());
    if (!stem.empty() && stem.front() != '.' && entry.is_regular_file()) stems.push_back(stem);
  }
  std::sort(stems.begin(), stems.end());
  stems.erase(std::unique(stems.begin(), stems.end()), stems.end());
  return stems;
}

std::string find_volume(const std::filesystem::path& folder, const std::string& stem) {
  for (const char* ending : kVolumeEndings)
    if (std::filesystem::is_regular_file(folder / (stem + ending))) return stem + ending;
  return "";
}

std::optional<Example> find_pair(const std::filesystem::path& folder, const std::string& image,
                                 const std::vector<std::string>& masks) {
  Example example;
  example.image = find_volume(folder, image);
  for (const std::string& mask : masks)
    if (example.mask.empty()) example.mask = find_volume(folder, mask);
  if (example.image.empty() && example.mask.empty()) return {};
  if (example.mask.empty())
    throw InputError((folder / example.image).string() + ": its mask is missing; looked for " +
                     quoted_list({masks.front() + ".nii.gz", masks.front() + ".nii"}) + " in " +
                     folder.string());
  if (example.image.empty())
    throw InputError((folder / example.mask).string() + ": its image is missing; looked for " +
                     quoted_list({image + ".nii.gz", image + ".nii"}) + " in " + folder.string());
  return example;
}

void note_absent(Manifest& manifest, const std::vector<std::string>& absent, std::size_t all) {
  const std::string of_all = " of the " + std::to_string(all) + " volumes of the published split ";
  if (absent.size() == all)
    throw InputError(manifest.folder.string() + ": none" + of_all + "is here");
  if (absent.empty() || manifest.synthetic) return;
  manifest.notes.push_back(std::to_string(absent.size()) + of_all +
                           (absent.size() == 1 ? "is" : "are") +
                           " not here (first: " + absent.front() + ")");
}

bool is_made_set(const std::filesystem::path& folder) {
  const auto file = folder / "dataset.json";
  if (!std::filesystem::is_regular_file(file)) return false;
  const Document document = load_json(file);
  return document.root.is_object() && document.root.value("synthetic", Json()) == Json(true);
}

}  // namespace strata::data
