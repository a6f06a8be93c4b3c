// Fed-ISIC2019 of FLamby (Ogier du Terrail et al. 2022, arXiv 2210.04620; owkin/FLamby), made of
// the training images of ISIC 2019 that its licence lets one share: FLamby's table
// `train_test_split` or `train_test_split.csv`, and the images as IMAGE.jpg in
// `ISIC_2019_Training_Input_preprocessed/`, where FLamby's script puts them, or as they were in
// `ISIC_2019_Training_Input/`.
//
// Columns read: image, target (0 to 7: MEL, NV, BCC, AK, BKL, DF, VASC, SCC), center (0 to 5, the
// client) and fold (train or test). Which lesion an image shows stands in ISIC 2019's own table,
// `ISIC_2019_Training_Metadata.csv` (columns read: image, lesion_id), which FLamby's script puts
// beside the images; without it lesions are not known. FLamby's folds are of images.
#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "data/datasets/csv_table.h"
#include "data/datasets/datasets.h"
#include "data/datasets/published.h"

namespace strata::data {
namespace {

const std::vector<std::string> kIsicTables = {"train_test_split", "train_test_split.csv"};
const std::vector<std::string> kIsicPlaces = {"ISIC_2019_Training_Input_preprocessed/",
                                              "ISIC_2019_Training_Input/"};
const std::vector<std::string> kIsicLesions = {"ISIC_2019_Training_Metadata.csv"};

bool is_fed_isic2019(const std::filesystem::path& folder) {
  return !first_file(folder, kIsicTables).empty();
}

/// The lesion of every image, where the folder has ISIC 2019's table of them.
class IsicLesions {
 public:
  explicit IsicLesions(const std::filesystem::path& folder)
      : file_(first_file(folder, kIsicLesions)) {
    if (file_.empty()) return;
    const CsvTable table(file_);
    const std::size_t image = table.column("image"), lesion = table.column("lesion_id");
    for (std::size_t row = 0; row < table.size(); ++row)
      of_image_[table.filled(row, image)] = table.at(row, lesion);
  }
  /// Of those that stand in a row of FLamby's table none is without a lesion.
  std::string of(const std::string& id, const CsvTable& table, std::size_t row,
                 std::size_t image) const {
    if (file_.empty()) return "";
    const auto found = of_image_.find(id);
    if (found == of_image_.end() || found->second.empty())
      table.fail(row, image, "the image " + id + " has no lesion_id in " + file_.string());
    return found->second;
  }

 private:
  std::filesystem::path file_;
  std::unordered_map<std::string, std::string> of_image_;
};

/// Says how many lesions have images in both folds.
void note_lesions(Manifest& manifest) {
  std::map<std::string, std::set<std::string>> splits;
  for (const Example& example : manifest.examples)
    if (!example.lesion.empty()) splits[example.lesion].insert(example.split);
  const auto both = std::count_if(splits.begin(), splits.end(),
                                  [](const auto& lesion) { return lesion.second.size() > 1; });
  if (both > 0)
    manifest.notes.push_back(
        "lesions with images for training and for testing, as FLamby's folds "
        "are of images: " +
        std::to_string(both) + " of " + std::to_string(splits.size()));
}

Manifest read_fed_isic2019(const std::filesystem::path& folder, const LoadOptions& options) {
  Manifest manifest;
  manifest.folder = folder;
  manifest.name = "fed-isic2019";
  manifest.classes = {"MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC"};
  const std::vector<std::string> targets = {"0", "1", "2", "3", "4", "5", "6", "7"};
  const std::vector<std::string> centers = {"0", "1", "2", "3", "4", "5"};
  const std::vector<std::string> folds = {kTrainSplit, kTestSplit};
  const CsvTable table(first_file(folder, kIsicTables));
  const std::size_t image = table.column("image"), target = table.column("target"),
                    center = table.column("center"), fold = table.column("fold");
  const IsicLesions lesions(folder);
  ImageCheck check_image(folder, options);
  std::unordered_set<std::string> seen;
  for (std::size_t row = 0; row < table.size(); ++row) {
    const std::string& id = table.filled(row, image);
    if (!seen.insert(id).second) table.fail(row, image, "the image " + id + " stands twice");
    Example example;
    example.image = check_image.find(table.place(row), "image", kIsicPlaces, id, {".jpg"});
    example.labels = {manifest.classes[table.choice(row, target, targets)]};
    example.client = "center-" + centers[table.choice(row, center, centers)];
    example.split = folds[table.choice(row, fold, folds)];
    example.lesion = lesions.of(id, table, row, image);
    manifest.examples.push_back(std::move(example));
  }
  // Clients come in the order of the examples, and are to come in that of their numbers.
  std::stable_sort(manifest.examples.begin(), manifest.examples.end(),
                   [](const Example& a, const Example& b) { return a.client < b.client; });
  note_lesions(manifest);
  return manifest;
}

}  // namespace

Dataset fed_isic2019() {
  return {"Fed-ISIC2019", "train_test_split or train_test_split.csv", is_fed_isic2019,
          read_fed_isic2019, Reading::kLabels};
}

}  // namespace strata::data
