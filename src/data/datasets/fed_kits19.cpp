// Fed-KiTS19 (Ogier du Terrail et al. 2022, FLamby, arXiv 2210.04620): the training part of KiTS19
// (Heller et al. 2019, arXiv 1904.00445) with the sites and the split of FLamby. Either as KiTS19's
// program fetches it, `data/case_NNNNN/imaging.nii.gz` and `segmentation.nii.gz` (or the cases in
// the folder itself), or as FLAP-SAM's preprocessing (Asokan et al. 2024, arXiv 2407.21739) has it,
// a folder in nnU-Net's layout for each site: `KiTS2019_siteA/imagesTr/case_NNNNN_0000.nii.gz`,
// `KiTS2019_siteA/labelsTr/case_NNNNN.nii.gz`.
//
// Sites and split: owkin/FLamby, flamby/datasets/fed_kits19/metadata/thresholded_sites.csv, sites
// with ten cases or more, 74 for training and 22 for testing; site 0 is FLAP-SAM's A. Windows in
// Hounsfield units, the foreground's percentiles 0.5 and 99.5 of each site: BioMedIA-MBZUAI/
// FLAP-SAM, preprocess_kits.py. Its division by mean and deviation is without effect, as each stack
// is brought to 0 … 1 afterwards. Axis 0 counts slices (neheller/kits19, README).
#include "data/datasets/fed_kits19.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <set>

#include "data/datasets/datasets.h"
#include "data/datasets/published.h"
#include "data/datasets/volume_pairs.h"

namespace strata::data {
const std::vector<KitsSite>& kits_sites() {
  static const std::vector<KitsSite> kSites = {
      {'A', {-66, 208}, {21, 38, 55, 62, 74, 129, 164, 173, 175}, {181, 195, 208}},
      {'B', {-77, 341}, {0, 27, 51, 86, 101, 108, 116, 139, 141, 142, 155}, {161, 165, 198}},
      {'C', {-89, 325}, {3, 14, 33, 42, 98, 100, 102, 103, 120}, {154, 156, 157}},
      {'D', {-64, 202}, {53, 67, 70, 75, 78, 87, 113, 126, 135}, {140, 159, 188}},
      {'E', {-64, 236}, {11, 20, 39, 56, 69, 73, 77, 80, 119, 122, 136, 152}, {153, 177, 184, 209}},
      {'F',
       {-82, 288},
       {1,  2,  5,  16, 22, 26, 30, 47,  49,  52,  59,  63,
        68, 71, 76, 89, 91, 93, 96, 110, 114, 115, 118, 132},
       {144, 146, 147, 148, 151, 158}},
  };
  return kSites;
}

std::string kits_case(int number) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "case_%05d", number);
  return text.data();
}

namespace {

std::string kits_folder(const KitsSite& site) {
  return std::string("KiTS2019_site") + site.letter;
}

bool is_kits_case(const std::string& name) {
  return name.size() == 10 && name.rfind("case_", 0) == 0 &&
         std::all_of(name.begin() + 5, name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// "" or "data/": where the cases are. Empty where there are none.
std::optional<std::string> case_place(const std::filesystem::path& folder) {
  for (const std::string place : {"data/", ""}) {
    if (!std::filesystem::is_directory(folder / place)) continue;
    for (const auto& inner : folders_in(folder / place))
      if (is_kits_case(inner.filename().string())) return place;
  }
  return {};
}

bool has_site_folders(const std::filesystem::path& folder) {
  return std::any_of(kits_sites().begin(), kits_sites().end(), [&](const KitsSite& site) {
    return std::filesystem::is_directory(folder / kits_folder(site) / "imagesTr");
  });
}

bool is_fed_kits19(const std::filesystem::path& folder) {
  return has_site_folders(folder) || case_place(folder);
}

void note_cases_without_site(const std::filesystem::path& cases, Manifest& manifest) {
  std::set<std::string> known;
  for (const KitsSite& site : kits_sites())
    for (const auto* numbers : {&site.train, &site.test})
      for (const int number : *numbers) known.insert(kits_case(number));
  LeftOut left_out;
  for (const auto& inner : folders_in(cases)) {
    const std::string name = inner.filename().string();
    if (is_kits_case(name) && !known.count(name))
      left_out.add("they are of no site with ten cases or more, or have no mask", name);
  }
  left_out.write(manifest);
}

Manifest read_fed_kits19(const std::filesystem::path& folder, const LoadOptions&) {
  Manifest manifest;
  manifest.folder = folder;
  manifest.name = "fed-kits19";
  manifest.synthetic = is_made_set(folder);
  manifest.classes = {"kidney", "tumor"};
  manifest.volumes = VolumeReading{0, Intensities::kWindow, {}, /*higher_is_last=*/true};
  const bool by_site = has_site_folders(folder);
  const std::string place = by_site ? "" : *case_place(folder);
  std::vector<std::string> absent;
  std::size_t all = 0;
  for (const KitsSite& site : kits_sites()) {
    const std::string client = site.client();
    manifest.volumes->windows[client] = site.window;
    for (const auto* numbers : {&site.train, &site.test})
      for (const int number : *numbers) {
        const std::string name = kits_case(number), own = kits_folder(site);
        auto example = by_site ? find_pair(folder, own + "/imagesTr/" + name + "_0000",
                                           {own + "/labelsTr/" + name})
                               : find_pair(folder, place + name + "/imaging",
                                           {place + name + "/segmentation"});
        ++all;
        if (!example) {
          absent.push_back(name);
          continue;
        }
        example->client = client;
        example->split = numbers == &site.train ? kTrainSplit : kTestSplit;
        manifest.examples.push_back(*std::move(example));
      }
  }
  note_absent(manifest, absent, all);
  if (!by_site) note_cases_without_site(folder / place, manifest);
  return manifest;
}

}  // namespace

Dataset fed_kits19() {
  return {"Fed-KiTS19", "data/case_NNNNN/ or KiTS2019_siteA/imagesTr/", is_fed_kits19,
          read_fed_kits19, Reading::kMasks};
}

}  // namespace strata::data
