// Fitzpatrick17k (Groh et al. 2021, arXiv 2104.09957; mattgroh/fitzpatrick17k):
// `fitzpatrick17k.csv` and the images as MD5HASH.jpg in `images/`, in `data/finalfitz17k/`, as the
// authors' training script has them, or beside the table. The images are not published: one fetches
// each by the table's column "url", and some addresses no longer answer. So rows whose image is not
// there are left out with a note; that none is there is an error.
//
// Columns read: md5hash and three_partition_label (benign, malignant, non-neoplastic: the class).
// All images are one client's. There is no published split: split_stratified makes one by images,
// of all rows, so that it is the same whichever images one has.
#include <algorithm>
#include <unordered_set>

#include "data/datasets/csv_table.h"
#include "data/datasets/datasets.h"
#include "data/datasets/own_split.h"
#include "data/datasets/published.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

const std::vector<std::string> kFitzpatrickTable = {"fitzpatrick17k.csv"};
const std::vector<std::string> kFitzpatrickPlaces = {"images/", "data/finalfitz17k/", ""};

bool is_fitzpatrick17k(const std::filesystem::path& folder) {
  return !first_file(folder, kFitzpatrickTable).empty();
}

/// @throws InputError: what names a file is no MD5 hash.
const std::string& image_hash(const CsvTable& table, std::size_t row, std::size_t column) {
  const std::string& hash = table.at(row, column);
  const bool digits = hash.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (hash.size() != 32 || !digits)
    table.fail(row, column, "\"" + hash + "\" is no MD5 hash: 32 of 0 to 9 and a to f");
  return hash;
}

Manifest read_fitzpatrick17k(const std::filesystem::path& folder, const LoadOptions& options) {
  Manifest manifest;
  manifest.folder = folder;
  manifest.name = "fitzpatrick17k";
  manifest.classes = {"benign", "malignant", "non-neoplastic"};
  const CsvTable table(first_file(folder, kFitzpatrickTable));
  const std::size_t hash = table.column("md5hash"), label = table.column("three_partition_label");
  const ImageCheck images(folder, options);
  LeftOut left_out;
  std::unordered_set<std::string> seen;
  std::vector<std::string> names;
  for (std::size_t row = 0; row < table.size(); ++row) {
    const std::string& name = image_hash(table, row, hash);
    if (!seen.insert(name).second) table.fail(row, hash, "the image " + name + " stands twice");
    Example example;
    example.image = images.find_if_there(kFitzpatrickPlaces, name, {".jpg"});
    example.labels = {manifest.classes[table.choice(row, label, manifest.classes)]};
    example.client = manifest.name;
    if (example.image.empty()) left_out.add("the image is not there", table.place(row));
    names.push_back(name);
    manifest.examples.push_back(std::move(example));
  }
  split_stratified(manifest, names);
  auto& examples = manifest.examples;
  examples.erase(std::remove_if(examples.begin(), examples.end(),
                                [](const Example& example) { return example.image.empty(); }),
                 examples.end());
  if (examples.empty())
    throw InputError(folder.string() + ": none of the images that fitzpatrick17k.csv names is " +
                     "there, as MD5HASH.jpg in \"images\", in \"data/finalfitz17k\" or in the " +
                     "folder; they are fetched by its column \"url\"");
  left_out.write(manifest);
  return manifest;
}

}  // namespace

Dataset fitzpatrick17k() {
  return {"Fitzpatrick17k", "fitzpatrick17k.csv", is_fitzpatrick17k, read_fitzpatrick17k,
          Reading::kLabels};
}

}  // namespace strata::data
