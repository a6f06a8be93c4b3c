// HAM10000 (Tschandl et al. 2018, Scientific Data 5, 180161), as the Harvard Dataverse
// (doi 10.7910/DVN/DBW86T) and Kaggle (kmader/skin-cancer-mnist-ham10000) publish it:
// `HAM10000_metadata` or `HAM10000_metadata.csv`, and the images as ID.jpg in
// `HAM10000_images_part_1/` and `HAM10000_images_part_2/`, in `images/`, or beside the table.
//
// Columns read: lesion_id, image_id, dx (akiec, bcc, bkl, df, mel, nv, vasc: the class) and
// dataset, the site that is the client; Kaggle's copy does not have it and is one client. There is
// no published split of these images: split_stratified makes one by lesion_id.
#include <unordered_set>

#include "data/datasets/csv_table.h"
#include "data/datasets/datasets.h"
#include "data/datasets/own_split.h"
#include "data/datasets/published.h"

namespace strata::data {
namespace {

const std::vector<std::string> kHamTables = {"HAM10000_metadata", "HAM10000_metadata.csv"};
const std::vector<std::string> kHamPlaces = {"HAM10000_images_part_1/", "HAM10000_images_part_2/",
                                             "images/", ""};

bool is_ham10000(const std::filesystem::path& folder) {
  return !first_file(folder, kHamTables).empty();
}

Manifest read_ham10000(const std::filesystem::path& folder, const LoadOptions& options) {
  Manifest manifest;
  manifest.folder = folder;
  manifest.name = "ham10000";
  manifest.classes = {"akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"};
  const CsvTable table(first_file(folder, kHamTables));
  const std::size_t lesion = table.column("lesion_id"), image = table.column("image_id"),
                    dx = table.column("dx");
  const bool has_site = table.has_column("dataset");
  const std::size_t site = has_site ? table.column("dataset") : 0;
  ImageCheck check_image(folder, options);
  std::unordered_set<std::string> seen;
  std::vector<std::string> lesions;
  for (std::size_t row = 0; row < table.size(); ++row) {
    const std::string& id = table.filled(row, image);
    if (!seen.insert(id).second) table.fail(row, image, "the image " + id + " stands twice");
    Example example;
    example.image = check_image.find(table.place(row), "image_id", kHamPlaces, id, {".jpg"});
    example.labels = {manifest.classes[table.choice(row, dx, manifest.classes)]};
    example.client = has_site ? table.filled(row, site) : manifest.name;
    example.lesion = table.filled(row, lesion);
    lesions.push_back(example.lesion);
    manifest.examples.push_back(std::move(example));
  }
  split_stratified(manifest, lesions);
  return manifest;
}

}  // namespace

Dataset ham10000() {
  return {"HAM10000", "HAM10000_metadata or HAM10000_metadata.csv", is_ham10000, read_ham10000,
          Reading::kLabels};
}

}  // namespace strata::data
