// The RSNA Pneumonia Detection Challenge (Shih et al. 2019, Radiology: AI 1(1), e180041), as Kaggle
// publishes it (rsna-pneumonia-detection-challenge): `stage_2_train_labels.csv` with a row for
// every box (columns read: patientId, Target), `stage_2_detailed_class_info.csv` (patientId, class)
// and the images, one a patient, in `stage_2_train_images/`.
//
// The images are published as DICOM files (.dcm), which are not read: they are to be made into
// PATIENTID.png, .jpg or .jpeg beside them or in a folder in their place, which DCMTK's dcm2img
// does (Debian's package dcmtk; dcmj2pnm in versions before 3.6.9).
//
// Where the detailed table is there its three classes are the classes, and else those of Target:
// whether there is an opacity that speaks for pneumonia. All images are one client's. The labels of
// the challenge's test are not published: split_stratified makes a split by patients.
#include <algorithm>
#include <unordered_map>

#include "data/datasets/csv_table.h"
#include "data/datasets/datasets.h"
#include "data/datasets/own_split.h"
#include "data/datasets/published.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

const std::vector<std::string> kRsnaLabels = {"stage_2_train_labels.csv"};
const std::vector<std::string> kRsnaDetails = {"stage_2_detailed_class_info.csv"};
const std::string kRsnaImages = "stage_2_train_images/";

bool is_rsna_pneumonia(const std::filesystem::path& folder) {
  return !first_file(folder, kRsnaLabels).empty();
}

/// What the rows of a table say of the patients, who may have several.
struct RsnaColumn {
  std::vector<std::string> patients;                    ///< in the order of their first rows
  std::vector<std::string> places;                      ///< of these rows
  std::unordered_map<std::string, std::size_t> values;  ///< of `allowed`, by patient
};

/// @throws InputError: rows of one patient that say different things
RsnaColumn read_rsna_column(const CsvTable& table, const std::string& name,
                            const std::vector<std::string>& allowed) {
  RsnaColumn read;
  const std::size_t patient = table.column("patientId"), column = table.column(name);
  for (std::size_t row = 0; row < table.size(); ++row) {
    const std::string& id = table.filled(row, patient);
    const std::size_t value = table.choice(row, column, allowed);
    const auto [entry, fresh] = read.values.emplace(id, value);
    if (entry->second != value)
      table.fail(row, column,
                 "\"" + allowed[value] + "\", where a row before it says \"" +
                     allowed[entry->second] + "\" of the patient " + id);
    if (!fresh) continue;
    read.patients.push_back(id);
    read.places.push_back(table.place(row));
  }
  return read;
}

std::string rsna_image(const Manifest& manifest, const ImageCheck& images,
                       const std::string& patient, const std::string& place) {
  const std::vector<std::string> endings = {".png", ".jpg", ".jpeg"};
  const std::string found = images.find_if_there({kRsnaImages}, patient, endings);
  if (!found.empty()) return found;
  const auto dicom = manifest.folder / (kRsnaImages + patient + ".dcm");
  if (std::filesystem::exists(dicom))
    throw InputError(
        dicom.string() +
        ": DICOM files are not read; make a .png or .jpg of the same name beside "
        "each, as dcm2img of DCMTK does (Debian's package dcmtk; dcmj2pnm before 3.6.9)");
  return images.find(place, "patientId", {kRsnaImages}, patient, endings);
}

Manifest read_rsna_pneumonia(const std::filesystem::path& folder, const LoadOptions& options) {
  Manifest manifest;
  manifest.folder = folder;
  manifest.name = "rsna-pneumonia";
  const CsvTable table(first_file(folder, kRsnaLabels));
  const RsnaColumn targets = read_rsna_column(table, "Target", {"0", "1"});
  manifest.classes = {"no pneumonia", "pneumonia"};
  auto values = targets.values;
  const auto details = first_file(folder, kRsnaDetails);
  if (!details.empty()) {
    manifest.classes = {"Normal", "No Lung Opacity / Not Normal", "Lung Opacity"};
    values = read_rsna_column(CsvTable(details), "class", manifest.classes).values;
    manifest.notes.push_back("the classes are those of " + details.string() +
                             "; without that file they are Target's two");
  }
  const ImageCheck images(folder, options);
  for (std::size_t i = 0; i < targets.patients.size(); ++i) {
    const std::string &patient = targets.patients[i], &place = targets.places[i];
    const auto value = values.find(patient);
    if (value == values.end())
      throw InputError(place + ": patientId: " + details.string() + " has no row of the patient " +
                       patient);
    Example example;
    example.image = rsna_image(manifest, images, patient, place);
    example.labels = {manifest.classes[value->second]};
    example.client = manifest.name;
    manifest.examples.push_back(std::move(example));
  }
  split_stratified(manifest, targets.patients);
  return manifest;
}

}  // namespace

Dataset rsna_pneumonia() {
  return {"RSNA Pneumonia Detection", "stage_2_train_labels.csv", is_rsna_pneumonia,
          read_rsna_pneumonia, Reading::kLabels};
}

}  // namespace strata::data
