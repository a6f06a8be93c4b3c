// SMDG-19, fundus images of nineteen public sets for glaucoma in one form (Kaggle,
// deathtrooper/multichannel-glaucoma-benchmark-dataset): `metadata - standardized.csv` and the
// images as NAME.png in `full-fundus/full-fundus/`, as the archive unpacks, or in `full-fundus/`.
//
// Columns read: names and types: 1 is glaucoma, 0 is none; -1 is a suspect, which is left out with
// a note. A name is its source's, which is the client, and a number: "PAPILA-12". Parts that a
// source was published in are one client: "OIA-ODIR-TEST-ONLINE-7" and "OIA-ODIR-TRAIN-7" are of
// OIA-ODIR. Where the columns are there, whose eye it is, too: patient_id, which PAPILA alone has,
// or what the source itself calls the image, original_name ("1363_left.jpg" of OIA-ODIR,
// "IM000000_L.JPG" of BEH, "Healthy-P_1-Left Eye" of CRFO-v4). There is no published split:
// split_stratified makes one by patients or, where none is known, images.
//
// Checked against the whole table, as TheBeastCoding/standardized-multichannel-dataset-glaucoma has
// it. Not verified: the images.
#include <algorithm>
#include <optional>
#include <unordered_set>

#include "data/datasets/csv_table.h"
#include "data/datasets/datasets.h"
#include "data/datasets/own_split.h"
#include "data/datasets/published.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

const std::vector<std::string> kSmdgTable = {"metadata - standardized.csv"};
const std::vector<std::string> kSmdgPlaces = {"full-fundus/full-fundus/", "full-fundus/"};
/// What the parts of a source are called, in small letters.
const std::unordered_set<std::string> kSmdgParts = {"train",      "test",   "val",
                                                    "validation", "online", "offline"};

bool is_smdg19(const std::filesystem::path& folder) {
  return !first_file(folder, kSmdgTable).empty();
}

/// "OIA-ODIR" of "OIA-ODIR-TEST-ONLINE-7"; "" where nothing stands before a number.
std::string source_of(const std::string& name) {
  const std::size_t number = name.rfind('-');
  if (number == std::string::npos || number + 1 == name.size() ||
      name.find_first_not_of("0123456789", number + 1) != std::string::npos)
    return "";
  std::string source = name.substr(0, number);
  for (std::size_t part = source.rfind('-'); part != std::string::npos; part = source.rfind('-')) {
    if (kSmdgParts.count(lower_ascii(source.substr(part + 1))) == 0) break;
    source.resize(part);
  }
  return source;
}

/// "1363" of "1363_left.jpg"; "" where a name is not that of one of two eyes.
std::string owner_of_eye(const std::string& original) {
  const std::string stem = original.substr(0, original.rfind('.'));
  for (const std::string eye : {"_left", "_right", "_L", "_R", "-Left Eye", "-Right Eye"})
    if (stem.ends_with(eye)) return stem.substr(0, stem.size() - eye.size());
  return "";
}

/// Whose eye the image of a row is, by its table and by its source's own names; "" where neither
/// tells.
class SmdgPatients {
 public:
  explicit SmdgPatients(const CsvTable& table) : table_(table) {
    if (table.has_column("patient_id")) id_ = table.column("patient_id");
    if (table.has_column("original_name")) original_ = table.column("original_name");
  }
  std::string of(std::size_t row, const std::string& source) const {
    if (id_ && !table_.at(row, *id_).empty()) return table_.at(row, *id_);
    const std::string owner = original_ ? owner_of_eye(table_.at(row, *original_)) : "";
    return owner.empty() ? "" : source + " " + owner;
  }

 private:
  const CsvTable& table_;
  std::optional<std::size_t> id_, original_;
};

Manifest read_smdg19(const std::filesystem::path& folder, const LoadOptions& options) {
  Manifest manifest;
  manifest.folder = folder;
  manifest.name = "smdg-19";
  manifest.classes = {"no glaucoma", "glaucoma"};
  const CsvTable table(first_file(folder, kSmdgTable));
  const std::size_t name = table.column("names"), type = table.column("types");
  const ImageCheck images(folder, options);
  const SmdgPatients patients(table);
  LeftOut left_out;
  std::unordered_set<std::string> seen;
  std::vector<std::string> groups;
  for (std::size_t row = 0; row < table.size(); ++row) {
    const std::string& id = table.filled(row, name);
    if (!seen.insert(id).second) table.fail(row, name, "the image " + id + " stands twice");
    const std::size_t label = table.choice(row, type, {"0", "1", "-1"});
    if (label >= manifest.classes.size()) {
      left_out.add("glaucoma is suspected (types -1)", table.place(row));
      continue;
    }
    Example example;
    example.image = images.find(table.place(row), "names", kSmdgPlaces, id, {".png"});
    example.labels = {manifest.classes[label]};
    example.client = source_of(id);
    if (example.client.empty())
      table.fail(row, name, "\"" + id + "\" is no name of a source and a number, as PAPILA-12 is");
    example.patient = patients.of(row, example.client);
    groups.push_back(example.patient.empty() ? id : "patient " + example.patient);
    manifest.examples.push_back(std::move(example));
  }
  if (manifest.examples.empty()) throw InputError(folder.string() + ": no example in it");
  split_stratified(manifest, groups);
  left_out.write(manifest);
  return manifest;
}

}  // namespace

Dataset smdg19() {
  return {"SMDG-19", "metadata - standardized.csv", is_smdg19, read_smdg19, Reading::kLabels};
}

}  // namespace strata::data
