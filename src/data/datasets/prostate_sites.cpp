// T2 images of the prostate from six sites, put together as SAML (Liu, Dou, Heng 2020, arXiv
// 2007.02035) publishes them: a folder for each site with `CaseNN.nii.gz` and
// `CaseNN_segmentation.nii.gz` (`_Segmentation` at BMC). FedFMS (arXiv 2403.05408) has the same as
// `SITE/images/CaseNN.nii.gz` and `SITE/labels/CaseNN.nii.gz`, RUNMC under the name ISBI and BMC
// under ISBI_1.5.
//
// Test cases of each site: MA-SAM (Chen et al. 2023, arXiv 2309.08842), dataset_split.md, which
// FLAP-SAM (Asokan et al. 2024, arXiv 2407.21739) has in preprocess_prostateMRI.py, too: 24/6,
// 24/6, 15/4, 10/3, 9/3, 9/3. All labels above 0 are the prostate. Intensities are cut off at the
// quantile 0.99; the last axis counts slices.
#include "data/datasets/prostate_sites.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <set>

#include "data/datasets/datasets.h"
#include "data/datasets/volume_pairs.h"
#include "strata/core/error.h"

namespace strata::data {
const std::vector<ProstateSite>& prostate_site_table() {
  static const std::vector<ProstateSite> kSites = {
      {"RUNMC", "ISBI", {3, 8, 12, 15, 18, 26}, "_segmentation"},
      {"BMC", "ISBI_1.5", {3, 8, 12, 15, 18, 26}, "_Segmentation"},
      {"I2CVB", "I2CVB", {3, 8, 13, 15}, "_segmentation"},
      {"UCL", "UCL", {1, 32, 34}, "_segmentation"},
      {"BIDMC", "BIDMC", {0, 4, 9}, "_segmentation"},
      {"HK", "HK", {38, 41, 46}, "_segmentation"},
  };
  return kSites;
}

std::string padded_case(int number) {
  std::array<char, 12> text{};
  std::snprintf(text.data(), text.size(), "Case%02d", number);
  return text.data();
}

namespace {

const std::vector<std::string> kProstateMaskEnds = {"_segmentation", "_Segmentation"};

/// The number in "CaseNN" or "CaseNN_segmentation"; empty of other names.
std::optional<int> case_number(const std::string& stem) {
  constexpr std::size_t kNumberAt = 4, kNumberEnd = 6;
  if (stem.size() < kNumberEnd || stem.rfind("Case", 0) != 0) return {};
  const std::string rest = stem.substr(kNumberEnd);
  if (!rest.empty() && rest != kProstateMaskEnds[0] && rest != kProstateMaskEnds[1]) return {};
  const char tens = stem[kNumberAt], ones = stem[kNumberAt + 1];
  if (tens < '0' || tens > '9' || ones < '0' || ones > '9') return {};
  return 10 * (tens - '0') + (ones - '0');
}

std::set<int> cases_in(const std::filesystem::path& folder) {
  std::set<int> numbers;
  for (const char* place : {"", "images", "labels"})
    for (const std::string& stem : volume_stems(folder / place))
      if (const auto number = case_number(stem)) numbers.insert(*number);
  return numbers;
}

/// The name under which a site's cases are in the folder; "" where it is not there.
std::string site_folder(const std::filesystem::path& folder, const ProstateSite& site) {
  for (const char* name : {site.name, site.other_name})
    if (!cases_in(folder / name).empty()) return name;
  return "";
}

bool is_prostate_sites(const std::filesystem::path& folder) {
  return std::any_of(prostate_site_table().begin(), prostate_site_table().end(),
                     [&](const ProstateSite& site) { return !site_folder(folder, site).empty(); });
}

Manifest read_prostate_sites(const std::filesystem::path& folder, const LoadOptions&) {
  Manifest manifest;
  manifest.folder = folder;
  manifest.name = "prostate";
  manifest.synthetic = is_made_set(folder);
  manifest.classes = {"prostate"};
  manifest.volumes = VolumeReading{2, Intensities::kBelowQuantile, {}, /*higher_is_last=*/true};
  for (const ProstateSite& site : prostate_site_table()) {
    const std::string own = site_folder(folder, site);
    if (own.empty()) {
      manifest.notes.push_back(std::string("the site ") + site.name + " is not here");
      continue;
    }
    for (const int number : cases_in(folder / own)) {
      const std::string name = own + "/" + padded_case(number);
      auto example =
          find_pair(folder, name, {name + kProstateMaskEnds[0], name + kProstateMaskEnds[1]});
      if (!example)
        example = find_pair(folder, own + "/images/" + padded_case(number),
                            {own + "/labels/" + padded_case(number)});
      example->client = site.name;
      example->split = site.test.count(number) ? kTestSplit : kTrainSplit;
      manifest.examples.push_back(*std::move(example));
    }
  }
  return manifest;
}

}  // namespace

Dataset prostate_sites() {
  return {"the six prostate sites", "RUNMC/Case00.nii.gz, ISBI/images/Case00.nii.gz or the like",
          is_prostate_sites, read_prostate_sites, Reading::kMasks};
}

}  // namespace strata::data
