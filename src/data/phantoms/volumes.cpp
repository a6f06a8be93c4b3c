#include "data/phantoms/volumes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "core/document.h"
#include "core/parallel.h"
#include "data/datasets/fed_kits19.h"
#include "data/datasets/prostate_sites.h"
#include "data/made_set.h"
#include "data/nifti.h"
#include "data/phantoms/bodies.h"
#include "data/phantoms/scanners.h"
#include "data/phantoms/tools.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/core/random.h"

namespace strata::data {
namespace {

constexpr int kLeastVolumes = 12, kMostVolumes = 60;

struct PhantomSite {
  std::string name;
  double share;                  ///< of all volumes, as of the published slices
  std::array<double, 2> stored;  ///< what brightness 0 and 1 are in the file
  std::vector<int> train, test;  ///< the numbers that its cases may have
};

struct CaseFiles {
  std::string image, mask;
};

/// A volume that is to be made.
struct PlannedVolume {
  const PhantomSite* site;
  std::size_t scanner;
  int number;
  bool test;
};

struct PhantomLayout {
  const char* name;
  PhantomBody (*draw)(const BodyDrawing& drawing);
  double field;       ///< mm a side of a slice
  bool slices_first;  ///< along axis 0 of the file, else along the last
  int classes;        ///< that masks have; higher labels of the body are the last
  std::vector<PhantomSite> (*sites)();
  CaseFiles (*files)(const std::string& site, int number);
  /// What stands beside the volumes; null where nothing does.
  void (*write_table)(const std::filesystem::path& out, const std::vector<PlannedVolume>& plan);
};

std::string formatted(const char* format, int number) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, number);
  return text.data();
}

std::vector<int> numbers_from(int first, int count) {
  std::vector<int> numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), first);
  return numbers;
}

std::vector<PhantomSite> kits_phantom_sites() {
  // Weights of FLAP-SAM's aggregation, which are shares of training slices.
  constexpr double kShares[] = {0.03, 0.18, 0.15, 0.10, 0.05, 0.49};
  std::vector<PhantomSite> sites;
  for (const KitsSite& site : kits_sites())
    sites.push_back({site.client(),
                     kShares[sites.size()],
                     {site.window[0], site.window[1]},
                     site.train,
                     site.test});
  return sites;
}

CaseFiles kits_files(const std::string&, int number) {
  const std::string folder = "data/" + kits_case(number);
  return {folder + "/imaging.nii.gz", folder + "/segmentation.nii.gz"};
}

constexpr const char* kHospitals[] = {"Guys", "HH", "IOP"};

std::vector<PhantomSite> ixi_phantom_sites() {
  constexpr double kShares[] = {0.55, 0.32, 0.13};
  std::vector<PhantomSite> sites;
  for (const char* name : kHospitals) {
    const int first = 1 + 200 * static_cast<int>(sites.size());
    sites.push_back({name,
                     kShares[sites.size()],
                     {0, 900},
                     numbers_from(first, 100),
                     numbers_from(first + 100, 100)});
  }
  return sites;
}

CaseFiles ixi_files(const std::string& site, int number) {
  const std::string name = formatted("IXI%03d-", number) + site + formatted("-%04d", number);
  const std::string folder = "IXI_sample/" + name;
  return {folder + "/T1/" + name + "_image.nii.gz", folder + "/label/" + name + "_label.nii.gz"};
}

void write_ixi_table(const std::filesystem::path& out, const std::vector<PlannedVolume>& plan) {
  std::string table = "Patient ID,Manufacturer,Split\n";
  for (const PlannedVolume& volume : plan) {
    const auto hospital =
        std::find(std::begin(kHospitals), std::end(kHospitals), volume.site->name) -
        std::begin(kHospitals);
    table += std::to_string(volume.number) + "," + std::to_string(hospital) + "," +
             (volume.test ? kTestSplit : kTrainSplit) + "\n";
  }
  write_file(out / "metadata_tiny.csv", table, false);
}

std::vector<PhantomSite> prostate_phantom_sites() {
  constexpr double kShares[] = {0.15, 0.26, 0.31, 0.08, 0.13, 0.07};
  std::vector<PhantomSite> sites;
  for (const ProstateSite& site : prostate_site_table()) {
    PhantomSite made{
        site.name, kShares[sites.size()], {0, 700}, {}, {site.test.begin(), site.test.end()}};
    for (int number = 0; number < 60; ++number)
      if (!site.test.count(number)) made.train.push_back(number);
    sites.push_back(std::move(made));
  }
  return sites;
}

CaseFiles prostate_files(const std::string& site, int number) {
  const auto& table = prostate_site_table();
  const auto row = std::find_if(table.begin(), table.end(),
                                [&](const ProstateSite& one) { return one.name == site; });
  const std::string stem = site + "/" + padded_case(number);
  return {stem + ".nii.gz", stem + row->mask_ending + ".nii.gz"};
}

const std::vector<PhantomLayout>& phantom_layouts() {
  static const std::vector<PhantomLayout> kLayouts = {
      {"kits", draw_abdomen, 320, true, 2, kits_phantom_sites, kits_files, nullptr},
      {"ixi", draw_head, 220, false, 1, ixi_phantom_sites, ixi_files, write_ixi_table},
      {"prostate", draw_pelvis, 190, false, 2, prostate_phantom_sites, prostate_files, nullptr},
  };
  return kLayouts;
}

const PhantomLayout& layout_named(const std::string& name) {
  require_name("volumes: the layout", name, volume_layouts());
  return *std::find_if(phantom_layouts().begin(), phantom_layouts().end(),
                       [&](const PhantomLayout& layout) { return layout.name == name; });
}

/// Two volumes for each site, and the others one by one to the site that has the least of its
/// share, as long as its numbers last.
std::vector<int> deal_volumes(const std::vector<PhantomSite>& sites, int volumes) {
  std::vector<int> counts(sites.size(), 2);
  for (int left = volumes - 2 * static_cast<int>(sites.size()); left > 0; --left) {
    std::size_t chosen = sites.size();
    double most_wanting = 0;
    for (std::size_t i = 0; i < sites.size(); ++i) {
      const double wanting = sites[i].share * volumes - counts[i];
      const auto room = static_cast<int>(sites[i].train.size() + sites[i].test.size()) - counts[i];
      if (room > 0 && (chosen == sites.size() || wanting > most_wanting)) {
        chosen = i;
        most_wanting = wanting;
      }
    }
    ++counts[chosen];
  }
  return counts;
}

std::vector<PlannedVolume> plan_volumes(const std::vector<PhantomSite>& sites, int volumes) {
  const std::vector<int> counts = deal_volumes(sites, volumes);
  std::vector<PlannedVolume> plan;
  for (std::size_t s = 0; s < sites.size(); ++s) {
    const auto train = static_cast<int>(sites[s].train.size());
    const auto test = static_cast<int>(sites[s].test.size());
    const int fifth = std::max(1, (2 * counts[s] + 5) / 10);
    const int tests = std::min(test, std::max(fifth, counts[s] - train));
    for (int i = 0; i < counts[s]; ++i) {
      const bool tested = i >= counts[s] - tests;
      const auto at = static_cast<std::size_t>(tested ? i - (counts[s] - tests) : i);
      plan.push_back({&sites[s], s, tested ? sites[s].test[at] : sites[s].train[at], tested});
    }
  }
  return plan;
}

struct MadeFiles {
  std::filesystem::path image, mask;
};

/// Draws a body, scans it and writes both files.
void make_volume(const PhantomLayout& layout, const Scanner& scanner,
                 const std::array<double, 2>& stored, int size, std::uint64_t seed,
                 const MadeFiles& files) {
  Random random(seed);
  const int slices = static_cast<int>(random.between(scanner.slices[0], scanner.slices[1]));
  PhantomBody body = layout.draw({slices, size, scanner.thickness, random});
  scan(body, scanner, random);
  const double pixel = layout.field / size, slice = layout.field * scanner.thickness / 64;
  Volume image{scan_grid(body, pixel, slice, layout.slices_first, random), {}};
  Mask mask{image, {}};
  image.values.resize(image.voxels());
  mask.labels.resize(image.voxels());
  std::size_t place = 0;
  for (std::int64_t k = 0; k < image.size[2]; ++k)
    for (std::int64_t j = 0; j < image.size[1]; ++j)
      for (std::int64_t i = 0; i < image.size[0]; ++i, ++place) {
        const auto [s, r, c] = layout.slices_first ? std::array{i, j, k} : std::array{k, j, i};
        const double value = mix(stored[0], stored[1], body.tissue.at(s, r, c));
        image.values[place] =
            static_cast<float>(std::clamp(std::floor(value + 0.5), -1024.0, 3071.0));
        mask.labels[place] =
            std::min(body.labels.at(s, r, c), static_cast<std::uint8_t>(layout.classes));
      }
  write_nifti(files.image, image, VoxelType::kInt16, NiftiPacking::kStored);
  write_nifti(files.mask, mask, NiftiPacking::kStored);
}

const PhantomLayout& solids_layout() {
  static const PhantomLayout kSolids = {"solids", draw_solids, 320,     false,
                                        2,        nullptr,     nullptr, nullptr};
  return kSolids;
}

std::string describe_volumes(const VolumePhantomOptions& options, bool solids) {
  Json json;
  json["version"] = 1;
  json["name"] = solids ? "solids" : "volumes";
  json["synthetic"] = true;
  if (solids) {
    json["classes"] = {"ellipsoid", "box"};
    json["slice_axis"] = 2;
  } else {
    json["layout"] = options.layout;
  }
  json["seed"] = options.seed;
  json["size"] = options.size;
  json["volumes"] = options.volumes;
  return json.dump(2) + "\n";
}

/// One volume in ten is the test.
Manifest solids_manifest(const std::filesystem::path& folder, int volumes) {
  Manifest manifest{folder, "solids", true, {}};
  manifest.classes = {"ellipsoid", "box"};
  manifest.volumes.emplace();
  for (int i = 0; i < volumes; ++i) {
    Example example;
    example.image = "images/" + formatted("%04d.nii.gz", i + 1);
    example.mask = "masks/" + formatted("%04d.nii.gz", i + 1);
    example.client = "solids";
    example.split = i < volumes - volumes / 10 ? kTrainSplit : kTestSplit;
    manifest.examples.push_back(std::move(example));
  }
  return manifest;
}

}  // namespace

const std::vector<std::string>& volume_layouts() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names;
    for (const PhantomLayout& layout : phantom_layouts()) names.emplace_back(layout.name);
    return names;
  }();
  return kNames;
}

Manifest make_volumes(const std::filesystem::path& out, const VolumePhantomOptions& options) {
  const PhantomLayout& layout = layout_named(options.layout);
  check_made("volumes: the number of volumes", options.volumes, kLeastVolumes, kMostVolumes);
  check_made("volumes: the size of slices", options.size, 32, 256);
  // The description comes first and the solids' manifest last: an interrupted call can be repeated.
  const std::string about = describe_volumes(options, false);
  check_made_folder(out, "volumes", about);
  write_file(out / "dataset.json", about);
  write_file(out / "solids" / "dataset.json", describe_volumes(options, true));
  const std::vector<PhantomSite> sites = layout.sites();
  const std::vector<PlannedVolume> plan = plan_volumes(sites, options.volumes);
  const Manifest solids = solids_manifest(out / "solids", options.volumes);
  const auto solids_seed = derive_seed(options.seed, "solids");
  parallel_for(2 * options.volumes, options.threads, [&](int task) {
    if (task < options.volumes) {
      const PlannedVolume& volume = plan[static_cast<std::size_t>(task)];
      const CaseFiles files = layout.files(volume.site->name, volume.number);
      make_volume(layout, scanners()[volume.scanner], volume.site->stored, options.size,
                  derive_seed(derive_seed(options.seed, volume.site->name),
                              {static_cast<std::uint64_t>(volume.number)}),
                  {out / files.image, out / files.mask});
    } else {
      const auto i = static_cast<std::size_t>(task - options.volumes);
      make_volume(
          solids_layout(), scanners()[i % scanners().size()], {0, 1000}, options.size,
          derive_seed(solids_seed, {i}),
          {solids.folder / solids.examples[i].image, solids.folder / solids.examples[i].mask});
    }
  });
  if (layout.write_table) layout.write_table(out, plan);
  write_manifest_lines(solids);
  LoadOptions load;
  load.reading = Reading::kMasks;
  return load_data(out, load);
}

}  // namespace strata::data
