// Fed-IXI Tiny (Ogier du Terrail et al. 2022, FLamby, arXiv 2210.04620): T1 images of IXI's three
// hospitals with masks of the brain, made small by TorchIO. Either as Mendeley has them (doi
// 10.17632/7kd5wj7v7p), `IXI_sample/IXI002-Guys-0828/T1/IXI002-Guys-0828_image.nii.gz` and
// `…/label/IXI002-Guys-0828_label.nii.gz` (or those folders in the folder itself), or as TorchIO,
// flat: `image/IXI002-Guys-0828_image.nii.gz`, `label/IXI002-Guys-0828_label.nii.gz`.
//
// The hospital is the name's second part: Guys, HH, IOP. Split: FLamby's metadata_tiny.csv (owkin/
// FLamby, flamby/datasets/fed_ixi/metadata), in the folder or in its `metadata/`: Patient ID, the
// number in the name, Manufacturer (0 Guys, 1 HH, 2 IOP) and Split; 453 and 113 of 566. Without it
// one volume in five, by a hash of its name, is for testing.
#include <algorithm>
#include <map>

#include "data/datasets/csv_table.h"
#include "data/datasets/datasets.h"
#include "data/datasets/published.h"
#include "data/datasets/volume_pairs.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

const std::vector<std::string> kIxiSites = {"Guys", "HH", "IOP"};
const std::vector<std::string> kIxiTables = {"metadata_tiny.csv", "metadata/metadata_tiny.csv"};

/// "IXI002-Guys-0828" in its parts; a patient of 0 is none.
struct IxiName {
  int patient = 0;
  std::string site;
};

IxiName ixi_name(const std::string& name) {
  const std::size_t dash = name.find('-'), second = name.find('-', dash + 1);
  if (name.rfind("IXI", 0) != 0 || dash != 6 || second == std::string::npos) return {};
  IxiName parts;
  for (std::size_t i = 3; i < dash; ++i) {
    if (name[i] < '0' || name[i] > '9') return {};
    parts.patient = 10 * parts.patient + (name[i] - '0');
  }
  parts.site = name.substr(dash + 1, second - dash - 1);
  return parts;
}

/// The names of the volumes, and the folder of their folders; that is empty of the flat layout.
struct IxiVolumes {
  std::vector<std::string> names;
  std::optional<std::string> place;
};

IxiVolumes ixi_volumes(const std::filesystem::path& folder) {
  IxiVolumes found;
  for (const std::string place : {"IXI_sample/", ""}) {
    if (!std::filesystem::is_directory(folder / place)) continue;
    for (const auto& inner : folders_in(folder / place))
      if (ixi_name(inner.filename().string()).patient > 0)
        found.names.push_back(inner.filename().string());
    if (found.names.empty()) continue;
    found.place = place;
    return found;
  }
  constexpr std::string_view kImageEnd = "_image";
  for (const std::string& stem : volume_stems(folder / "image"))
    if (ixi_name(stem).patient > 0 && stem.size() > kImageEnd.size() &&
        stem.substr(stem.size() - kImageEnd.size()) == kImageEnd)
      found.names.push_back(stem.substr(0, stem.size() - kImageEnd.size()));
  return found;
}

bool is_ixi_tiny(const std::filesystem::path& folder) {
  return !ixi_volumes(folder).names.empty();
}

/// FLamby's table by patient.
class IxiSplits {
 public:
  explicit IxiSplits(const std::filesystem::path& file) : table_(file) {
    const std::size_t patient = table_.column("Patient ID");
    for (std::size_t row = 0; row < table_.size(); ++row)
      if (!rows_.emplace(table_.filled(row, patient), row).second)
        table_.fail(row, patient, "the patient stands twice");
  }

  /// The split of a volume; empty where the table does not have it. @throws InputError: it has
  /// it at another hospital.
  std::optional<std::string> of(const IxiName& name) const {
    const auto found = rows_.find(std::to_string(name.patient));
    if (found == rows_.end()) return {};
    const std::size_t row = found->second, site = table_.column("Manufacturer");
    const std::string& stated = kIxiSites[table_.choice(row, site, {"0", "1", "2"})];
    if (stated != name.site)
      table_.fail(
          row, site,
          table_.at(row, site) + " is " + stated + ", but the patient's volume is of " + name.site);
    const std::vector<std::string> splits = {kTrainSplit, kTestSplit};
    return splits[table_.choice(row, table_.column("Split"), splits)];
  }
  std::size_t size() const { return table_.size(); }

 private:
  CsvTable table_;
  std::map<std::string, std::size_t> rows_;
};

Example read_ixi_volume(const std::filesystem::path& folder, const std::string& name,
                        const std::optional<std::string>& place) {
  const std::string own = place ? *place + name + "/" : "";
  auto example = find_pair(folder, own + (place ? "T1/" : "image/") + name + "_image",
                           {own + "label/" + name + "_label"});
  if (!example)
    throw InputError((folder / own).string() + ": no volume in it; looked for \"T1/" + name +
                     "_image.nii.gz\" and \"label/" + name + "_label.nii.gz\"");
  const std::string site = ixi_name(name).site;
  if (std::find(kIxiSites.begin(), kIxiSites.end(), site) == kIxiSites.end())
    throw InputError((folder / example->image).string() + ": the hospital \"" + site +
                     "\" is not one of " + quoted_list(kIxiSites) + did_you_mean(site, kIxiSites));
  example->client = site;
  return *std::move(example);
}

Manifest read_ixi_tiny(const std::filesystem::path& folder, const LoadOptions&) {
  Manifest manifest;
  manifest.folder = folder;
  manifest.name = "ixi-tiny";
  manifest.synthetic = is_made_set(folder);
  manifest.classes = {"brain"};
  manifest.volumes.emplace();
  const IxiVolumes volumes = ixi_volumes(folder);
  const auto table = first_file(folder, kIxiTables);
  std::optional<IxiSplits> splits;
  if (!table.empty()) splits.emplace(table);
  LeftOut left_out;
  for (const std::string& name : volumes.names) {
    Example example = read_ixi_volume(folder, name, volumes.place);
    const auto split = splits ? splits->of(ixi_name(name)) : hashed_split(name);
    if (!split) {
      left_out.add("metadata_tiny.csv does not have them", name);
      continue;
    }
    example.split = *split;
    manifest.examples.push_back(std::move(example));
  }
  if (manifest.examples.empty())
    throw InputError(table.string() + ": no patient of it has a volume here");
  left_out.write(manifest);
  if (!splits)
    manifest.notes.push_back(
        "metadata_tiny.csv is not here: one volume in five, by a hash of its name, is for testing");
  else if (splits->size() > manifest.examples.size())
    manifest.notes.push_back("patients of metadata_tiny.csv without a volume here: " +
                             std::to_string(splits->size() - manifest.examples.size()));
  return manifest;
}

}  // namespace

Dataset ixi_tiny() {
  return {"IXI Tiny", "IXI_sample/IXI002-Guys-0828/ or image/IXI002-Guys-0828_image.nii.gz",
          is_ixi_tiny, read_ixi_tiny, Reading::kMasks};
}

}  // namespace strata::data
